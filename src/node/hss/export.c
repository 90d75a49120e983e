/* A page of all subscriptions for an export: a line each, as an import reads it, written straight
 * from the records. It has the same members as what GET shows of one, without what an import does
 * not take: version, state, checks of keys. */
#include "node/hss/web.h"

#include <stdlib.h>

enum {
    SLICE = 100,         /* subscriptions that are written before others have their turn */
    BYTES_MAX = 4 << 20, /* of a page; a little more with its last line */
    LINE_GUESS = 4096,
};

/* A line under way. */
struct writer {
    struct export_page *page;
    bool first; /* of an object or list: no comma yet */
};

static bool room_for(struct export_page *p, size_t n) {
    if (n > p->cap - p->n) {
        size_t cap = p->cap ? 2 * p->cap : (size_t)1 << 20;
        while (cap - p->n < n) {
            cap *= 2;
        }
        char *grown = realloc(p->text, cap);
        if (!grown) {
            p->failed = true;
            return false;
        }
        p->text = grown;
        p->cap = cap;
    }
    return true;
}

static void put(struct export_page *p, const char *text, size_t n) {
    if (room_for(p, n)) {
        memcpy(p->text + p->n, text, n);
        p->n += n;
    }
}

#define PUT(page, literal) put(page, literal, sizeof(literal) - 1)

static bool is_plain(struct span s) {
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c < 0x20 || c > 0x7e || c == '"' || c == '\\') {
            return false;
        }
    }
    return true;
}

static void put_text(struct export_page *p, struct span s) {
    if (is_plain(s)) {
        PUT(p, "\"");
        put(p, s.p, s.n);
        PUT(p, "\"");
        return;
    }
    json_t *json = json_of_text(s);
    char *text = json ? json_dumps(json, JSON_ENCODE_ANY | JSON_ENSURE_ASCII) : NULL;
    put(p, text ? text : "null", text ? strlen(text) : 4);
    free(text);
    json_decref(json);
}

static void put_number(struct export_page *p, uint64_t value) {
    char digits[24];
    struct buf b = buf_init(digits, sizeof digits);
    buf_u64(&b, value);
    put(p, digits, b.n);
}

/* The comma and the name of a member: name is "\"NAME\":". */
static void begin_member(struct writer *w, const char *name) {
    if (!w->first) {
        PUT(w->page, ",");
    }
    w->first = false;
    put(w->page, name, strlen(name));
}

static void member_text(struct writer *w, const char *name, struct span value) {
    if (value.n) {
        begin_member(w, name);
        put_text(w->page, value);
    }
}

static void member_flag(struct writer *w, const char *name, bool value) {
    begin_member(w, name);
    put(w->page, value ? "true" : "false", value ? 4 : 5);
}

static void member_hex(struct writer *w, const char *name, const uint8_t *bytes, size_t n) {
    char text[80];
    struct buf b = buf_init(text, sizeof text);
    buf_hex(&b, bytes, n);
    member_text(w, name, buf_span(&b));
}

static void put_impi(struct export_page *p, struct rec_impi impi, enum web_secrets secrets) {
    struct writer w = {p, true};
    PUT(p, "{");
    member_text(&w, "\"identity\":", rec_impi_identity(impi));
    if (rec_impi_privileged_sender(impi)) {
        member_flag(&w, "\"privileged_sender\":", true);
    }
    if (rec_impi_has_aka(impi)) {
        member_hex(&w, "\"amf\":", rec_impi_amf(impi), 2);
    }
    if (rec_impi_has_digest_md5(impi) || rec_impi_has_digest_sha256(impi)) {
        member_text(&w, "\"digest_realm\":", rec_impi_digest_realm(impi));
    }
    if (secrets == WEB_SECRETS_KEYS && rec_impi_has_aka(impi)) {
        member_hex(&w, "\"k\":", rec_impi_k(impi), 16);
        member_hex(&w, "\"opc\":", rec_impi_opc(impi), 16);
    }
    if (secrets != WEB_SECRETS_NONE && rec_impi_has_digest_md5(impi)) {
        member_hex(&w, "\"ha1_md5\":", rec_impi_ha1_md5(impi), 16);
    }
    if (secrets != WEB_SECRETS_NONE && rec_impi_has_digest_sha256(impi)) {
        member_hex(&w, "\"ha1_sha256\":", rec_impi_ha1_sha256(impi), 32);
    }
    PUT(p, "}");
}

static void put_networks(struct writer *w, struct rec_impu impu) {
    if (rec_impu_roams_anywhere(impu)) {
        return;
    }
    begin_member(w, "\"visited_networks\":[");
    for (size_t i = 0, n = rec_impu_n_visited_networks(impu); i < n; i++) {
        if (i) {
            PUT(w->page, ",");
        }
        put_text(w->page, rec_impu_visited_networks(impu, i));
    }
    PUT(w->page, "]");
}

static void put_impu(struct export_page *p, struct rec_subscription s, struct rec_impu impu) {
    struct writer w = {p, true};
    const char *type = subscription_type_name(rec_impu_type(impu));
    struct rec_impi owner;
    PUT(p, "{");
    member_text(&w, "\"identity\":", rec_impu_identity(impu));
    if (rec_impu_impi(impu) != SUBSCRIPTION_IMPI_ALL &&
        subscription_impi_of_slot(s, rec_impu_impi(impu), &owner)) {
        member_text(&w, "\"impi\":", rec_impi_identity(owner));
    }
    if (rec_impu_type(impu) != IDENTITY_USER) {
        member_text(&w, "\"type\":", span_from_cstr(type));
    }
    if (subscription_is_psi(impu)) {
        member_flag(&w, "\"active\":", !rec_impu_inactive(impu));
        member_text(&w, "\"server_name\":", rec_impu_server_name(impu));
    }
    if (rec_impu_loose_route(impu)) {
        member_flag(&w, "\"loose_route\":", true);
    }
    begin_member(&w, "\"set\":");
    put_number(p, (uint64_t)rec_impu_set(impu) + 1);
    member_flag(&w, "\"default\":", rec_impu_is_default(impu));
    member_flag(&w, "\"barred\":", rec_impu_barred(impu));
    member_text(&w, "\"profile\":", rec_impu_profile(impu));
    member_text(&w, "\"display_name\":", rec_impu_display_name(impu));
    member_text(&w, "\"alias_group\":", rec_impu_alias_group(impu));
    put_networks(&w, impu);
    PUT(p, "}");
}

static void put_numbers(struct writer *w, const char *name, struct rec_subscription s, size_t n,
                        uint32_t (*get)(struct rec_subscription s, size_t i)) {
    begin_member(w, name);
    PUT(w->page, "[");
    for (size_t i = 0; i < n; i++) {
        if (i) {
            PUT(w->page, ",");
        }
        put_number(w->page, get(s, i));
    }
    PUT(w->page, "]");
}

static void put_capabilities(struct writer *outer, struct rec_subscription s) {
    struct export_page *p = outer->page;
    struct writer w = {p, true};
    begin_member(outer, "\"capabilities\":{");
    put_numbers(&w, "\"mandatory\":", s, rec_subscription_n_mandatory_capabilities(s),
                rec_subscription_mandatory_capabilities);
    put_numbers(&w, "\"optional\":", s, rec_subscription_n_optional_capabilities(s),
                rec_subscription_optional_capabilities);
    begin_member(&w, "\"servers\":[");
    for (size_t i = 0, n = rec_subscription_n_server_names(s); i < n; i++) {
        if (i) {
            PUT(p, ",");
        }
        put_text(p, rec_subscription_server_names(s, i));
    }
    PUT(p, "]}");
}

static void put_charging(struct writer *outer, struct rec_subscription s) {
    struct writer w = {outer->page, true};
    begin_member(outer, "\"charging\":{");
    member_text(&w, "\"primary_ecf\":", rec_subscription_primary_ecf(s));
    member_text(&w, "\"secondary_ecf\":", rec_subscription_secondary_ecf(s));
    member_text(&w, "\"primary_ccf\":", rec_subscription_primary_ccf(s));
    member_text(&w, "\"secondary_ccf\":", rec_subscription_secondary_ccf(s));
    PUT(outer->page, "}");
}

void export_line(struct export_page *p, struct rec_subscription s, enum web_secrets secrets) {
    struct writer w = {p, true};
    PUT(p, "{");
    member_text(&w, "\"name\":", rec_subscription_name(s));
    put_capabilities(&w, s);
    put_charging(&w, s);
    begin_member(&w, "\"impis\":[");
    for (size_t i = 0, n = rec_subscription_n_impis(s); i < n; i++) {
        if (i) {
            PUT(p, ",");
        }
        put_impi(p, rec_subscription_impis(s, i), secrets);
    }
    PUT(p, "],\"impus\":[");
    for (size_t i = 0, n = rec_subscription_n_impus(s); i < n; i++) {
        if (i) {
            PUT(p, ",");
        }
        put_impu(p, s, rec_subscription_impus(s, i));
    }
    PUT(p, "]}\n");
}

/* Walking. */

static void walk(struct web_job *w);

static void walked(struct store_op *op) {
    struct web_job *w = CONTAINER_OF(op, struct web_job, op);

    w->got = true;
    w->error = op->error;
    w->finished = op->error != OK;
    if (!op->error) {
        w->after = op->subscription.id;
        w->seen++;
        export_line(&w->page, rec_subscription_of(op->subscription.data), w->secrets);
        w->finished = w->seen == w->limit || w->page.n > BYTES_MAX || w->page.failed;
    }
    if (!w->asking) {
        walk(w);
    }
}

static void go_on(struct post *p) {
    walk(CONTAINER_OF(p, struct web_job, turn));
}

static void answer(struct web_job *w) {
    char next[24] = "";
    bool more = !w->error;

    if (more) {
        snprintf(next, sizeof next, "%llu", (unsigned long long)w->after);
    }
    web_end_lines(w, next);
}

static void walk(struct web_job *w) {
    while (!w->finished) {
        w->asking = true;
        w->got = false;
        store_next(w->hss->store, &w->op, w->after);
        w->asking = false;
        if (!w->got) {
            return;
        }
        if (!w->finished && w->seen % SLICE == 0) {
            env_post(w->hss->env, &w->turn);
            return;
        }
    }
    if (w->page.failed || (w->error && w->error != ERR_NOT_FOUND)) {
        web_store_problem(w, w->page.failed ? ERR_NO_MEMORY : w->error);
    } else {
        answer(w);
    }
}

void web_export(struct web_job *w) {
    post_init(&w->turn, go_on);
    w->op.done = walked;
    (void)room_for(&w->page, w->limit < BYTES_MAX / LINE_GUESS ? w->limit * LINE_GUESS : BYTES_MAX);
    walk(w);
}
