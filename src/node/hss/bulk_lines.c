/* The lines of a long import. Each is a JSON object: a subscription (it has impis), a SIM (imsi), a
 * client (user), or {"profile": {...}}. */
#include "node/hss/bulk.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>

enum { BLOCK = 1 << 20, FAULTS_MAX = 1000, RECORD_MAX = SUBSCRIPTION_RECORD_MAX * 2 };

/* Records. */

struct bulk_block {
    struct bulk_block *next;
    size_t size, used;
    char bytes[];
};

void bulk_records_free(struct bulk_records *records) {
    while (records->blocks) {
        struct bulk_block *block = records->blocks;

        records->blocks = block->next;
        OPENSSL_cleanse(block->bytes, block->used);
        free(block);
    }
    free(records->changes);
    free(records->lines);
    free(records->profiles);
    *records = (struct bulk_records){0};
}

static struct bulk_block *add_block(struct bulk_records *records, size_t size) {
    struct bulk_block *block = malloc(sizeof *block + size);

    if (block) {
        *block = (struct bulk_block){.next = records->blocks, .size = size};
        records->blocks = block;
        records->bytes += sizeof *block + size;
    }
    return block;
}

/* Encodes into the newest block, or into a new one if there is not enough room. */
static enum error encode(struct bulk_records *records, const struct record_type *type,
                         const void *data, struct span *out) {
    struct bulk_block *block = records->blocks;
    size_t size = BLOCK;

    for (;;) {
        struct buf b = block ? buf_init(block->bytes + block->used, block->size - block->used)
                             : buf_init(NULL, 0);

        if (block && record_encode(type, data, &b) == OK) {
            *out = buf_span(&b);
            block->used += (b.n + 7) & ~(size_t)7; /* records are read in place */
            block->used = block->used < block->size ? block->used : block->size;
            return OK;
        }
        if (block) {
            OPENSSL_cleanse(block->bytes + block->used, b.n);
        }
        if (size > RECORD_MAX || (block && block->used == 0 && block->size >= RECORD_MAX)) {
            return ERR_TOO_BIG;
        }
        block = add_block(records, size);
        if (!block) {
            return ERR_NO_MEMORY;
        }
        size = RECORD_MAX;
    }
}

static bool grow(struct bulk_records *records) {
    size_t cap = records->cap ? 2 * records->cap : 1024;
    struct store_change *changes = realloc(records->changes, cap * sizeof *changes);

    records->changes = changes ? changes : records->changes;
    uint64_t *lines = changes ? realloc(records->lines, cap * sizeof *lines) : NULL;
    records->lines = lines ? lines : records->lines;
    records->cap = lines ? cap : records->cap;
    return lines != NULL;
}

static enum error add(struct bulk_records *records, uint64_t line, struct span record,
                      struct span profile) {
    if (records->n == records->cap && !grow(records)) {
        return ERR_NO_MEMORY;
    }
    records->lines[records->n] = line;
    records->changes[records->n++] = (struct store_change){.data = record, .profile = profile};
    records->n_profiles += profile.n > 0;
    return OK;
}

static enum error know(struct bulk_records *records, struct span name) {
    if (records->n_known == records->known_cap) {
        size_t cap = records->known_cap ? 2 * records->known_cap : 16;
        struct rec_profile_data *grown = realloc(records->profiles, cap * sizeof *grown);

        if (!grown) {
            return ERR_NO_MEMORY;
        }
        records->profiles = grown;
        records->known_cap = cap;
    }
    records->profiles[records->n_known++] = (struct rec_profile_data){.name = name};
    return OK;
}

enum error bulk_know_profile(struct bulk_records *records, struct span name) {
    const struct rec_profile_data profile = {.name = name};
    struct span record;
    enum error e = encode(records, &rec_profile_type, &profile, &record);

    return e ? e : know(records, rec_profile_name(rec_profile_of(record)));
}

/* Faults. */

void bulk_fault(struct bulk_job *b, uint64_t line, const struct subscription_fault *fault) {
    if (b->n_faults++ >= FAULTS_MAX && b->mode != BULK_EACH) {
        return;
    }
    json_t *json = json_object();

    json_object_set_new(json, "line", json_integer((json_int_t)line));
    json_object_set_new(json, "rule", json_string(fault->rule));
    json_object_set_new(json, "pointer", json_string(fault->member));
    json_object_set_new(json, "detail", json_string(fault->text));
    json_array_append_new(b->faults, json);
}

/* What is taken, and by whom. */
static void taken(struct bulk_job *b, size_t at, const struct store_outcome *o) {
    struct subscription_fault fault;
    char identity[120];
    struct buf id = buf_init(identity, sizeof identity);

    web_taken(rec_subscription_of(b->records->changes[at].data), o->identity, &fault);
    buf_escaped(&id, span_slice(o->identity, 0, 100));
    if (o->other != STORE_TAKEN) {
        snprintf(fault.text, sizeof fault.text, "line %llu has %.*s, too",
                 (unsigned long long)b->records->lines[o->other], SPAN_ARG(buf_span(&id)));
    }
    bulk_fault(b, b->records->lines[at], &fault);
}

size_t bulk_outcomes(struct bulk_job *b, const struct store_op *op) {
    size_t fine = 0;

    for (size_t i = 0; i < b->records->n; i++) {
        const struct store_outcome *o = &op->outcomes[i];
        struct subscription_fault fault;

        if (o->error == ERR_EXISTS) {
            taken(b, i, o);
        } else if (o->error) {
            (void)subscription_faulty(&fault, "record", "", 0, error_text(o->error));
            bulk_fault(b, b->records->lines[i], &fault);
        } else {
            fine += b->records->changes[i].profile.n == 0;
        }
    }
    return fine;
}

/* Lines. */

/* jansson tells what stands near the fault; that may be a key. */
static void syntax_fault(struct json_reader *r, const json_error_t *error) {
    char text[200];
    struct span what = span_from_cstr(error->text);

    what = span_slice(what, 0, span_find(what, SPAN(" near ")));
    snprintf(text, sizeof text, "column %d: %.*s", error->column, SPAN_ARG(what));
    json_fault(r, "json", "", 0, text);
}

static void read_profile(struct json_reader *r, const json_t *json, struct rec_profile_data *out) {
    static const char *const members[] = {"profile", NULL};

    json_known(r, json, "", 0, members);
    profile_from_json(r, json_object_get(json, "profile"), SPAN_NONE, out);
}

static enum error take_profile(struct json_reader *r, const json_t *json, struct bulk_job *b) {
    struct rec_profile_data data;
    struct span record;

    read_profile(r, json, &data);
    enum error e = r->failed ? OK : encode(b->records, &rec_profile_type, &data, &record);
    if (r->failed || e) {
        return e;
    }
    struct span name = rec_profile_name(rec_profile_of(record));
    e = know(b->records, name);
    return e ? e : add(b->records, b->line, record, name);
}

static enum error take_subscription(struct json_reader *r, const json_t *json, struct bulk_job *b) {
    struct rec_subscription_data data;
    struct span record;

    if (json_object_get(json, "imsi") || json_object_get(json, "user")) {
        sim_from_json(r, json, &data);
    } else {
        subscription_from_json(r, json, SPAN_NONE, NULL, &data);
        if (!r->failed && !data.name.n) {
            json_fault(r, "member-missing", "/name", 0, "name the subscription");
        }
    }
    bool sound = web_check(r, &data, b->records->profiles, b->records->n_known);
    enum error e = sound ? encode(b->records, &rec_subscription_type, &data, &record) : OK;
    OPENSSL_cleanse((void *)(uintptr_t)data.impis, data.n_impis * sizeof *data.impis);
    return e || !sound ? e : add(b->records, b->line, record, SPAN_NONE);
}

/* A line that says something. */
static enum error take(struct web_job *w, struct bulk_job *b, struct json_reader *r,
                       struct span line) {
    json_error_t error;
    json_t *json = line.n > BULK_LINE_MAX ? NULL : json_read(line, JSON_LINE_VALUES_MAX, &error);
    enum error e = OK;

    if (line.n > BULK_LINE_MAX) {
        json_fault(r, "too-big", "", 0, "a line has at most 8 MiB");
    } else if (!json && json_error_code(&error) == json_error_out_of_memory) {
        e = ERR_NO_MEMORY;
    } else if (!json) {
        syntax_fault(r, &error);
    } else if (json_object_get(json, "profile") &&
               json_is_object(json_object_get(json, "profile"))) {
        e = take_profile(r, json, b);
    } else {
        e = take_subscription(r, json, b);
    }
    if (e == ERR_TOO_BIG) {
        json_fault(r, "too-big", "", 0, "it is larger than a record may be");
        e = OK;
    }
    web_wipe(json);
    json_decref(json);
    arena_release(&w->arena);
    return e;
}

enum error bulk_line(struct web_job *w, struct bulk_job *b) {
    struct json_reader r = {.hss = w->hss, .arena = &w->arena, .claim = b->records};
    struct span line = span_trim(span_cut(&b->rest, '\n'));
    enum error e = line.n ? take(w, b, &r, line) : OK;

    if (!e && r.failed && strcmp(r.fault.rule, "memory") == 0) {
        e = ERR_NO_MEMORY; /* the line is not at fault */
    }
    if (r.failed) {
        bulk_fault(b, b->line, &r.fault);
    }
    b->line++;
    return e;
}
