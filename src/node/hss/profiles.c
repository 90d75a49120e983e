/* Service profiles in memory, rendered once: TS 29.228 6.6 and annex E. */
#include "node/hss/sh.h"

#include "codec/userdata/userdata.h"
#include "obs/reason.h"

#include <stdlib.h>

enum { SCRATCH_START = 16384, SCRATCH_MAX = DIAMETER_MESSAGE_MAX - 16384 };

static uint64_t name_hash(struct span name) {
    return hash_bytes(name);
}

struct profile *profiles_find(struct hss *h, struct span name) {
    for (struct htab_node *n = htab_first(&h->profiles, name_hash(name)); n; n = htab_next(n)) {
        struct profile *p = CONTAINER_OF(n, struct profile, node);
        if (span_eq(p->name, name)) {
            return p;
        }
    }
    return NULL;
}

void profiles_remove(struct hss *h, struct profile *p) {
    htab_remove(&h->profiles, &p->node);
    free(p);
}

/* The record as User-Data's own structures: only pointers move. */
static struct userdata_profile to_userdata(const struct rec_profile_data *d, struct arena *arena,
                                           bool *failed) {
    struct userdata_ifc *ifcs = arena_zalloc(arena, (d->n_ifcs + 1) * sizeof *ifcs);
    struct userdata_profile p = {.ifcs = ifcs,
                                 .n_ifcs = d->n_ifcs,
                                 .shared_ifc_sets = d->shared_ifc_sets,
                                 .n_shared_ifc_sets = d->n_shared_ifc_sets,
                                 .has_media_profile = d->has_media_profile,
                                 .media_profile = d->media_profile,
                                 .service_ids = d->service_ids,
                                 .n_service_ids = d->n_service_ids};

    *failed = !ifcs;
    for (size_t i = 0; i < d->n_ifcs && !*failed; i++) {
        const struct rec_ifc_data *c = &d->ifcs[i];
        struct userdata_spt *spts = arena_zalloc(arena, (c->n_spts + 1) * sizeof *spts);

        *failed = !spts;
        for (size_t k = 0; k < c->n_spts && spts; k++) {
            const struct rec_spt_data *t = &c->spts[k];

            spts[k] = (struct userdata_spt){.kind = t->kind,
                                            .negated = t->negated,
                                            .groups = t->groups,
                                            .n_groups = t->n_groups,
                                            .value = t->value,
                                            .content = t->content,
                                            .has_content = t->has_content,
                                            .session_case = t->session_case,
                                            .registration_types = t->registration_types};
        }
        ifcs[i] = (struct userdata_ifc){.priority = c->priority,
                                        .part = c->part,
                                        .has_trigger = c->has_trigger,
                                        .cnf = c->cnf,
                                        .spts = spts,
                                        .n_spts = c->n_spts,
                                        .server_name = c->server_name,
                                        .terminate_on_failure = c->terminate_on_failure,
                                        .service_info = c->service_info,
                                        .include_register_request = c->include_register_request,
                                        .include_register_response = c->include_register_response};
    }
    return p;
}

/* Appends those of one profile or shared set, and the numbers of the sets that it refers to. */
static bool put_criteria(struct buf *b, const struct profile *known, struct span server_name,
                         struct arena *arena, struct userdata_profile *p) {
    struct rec_profile_data data;
    bool failed = true;

    if (rec_profile_decode(known->record, arena, &data) == OK) {
        *p = to_userdata(&data, arena, &failed);
    }
    for (size_t i = 0; !failed && i < p->n_ifcs; i++) {
        if (span_eq(p->ifcs[i].server_name, server_name)) {
            userdata_put_ifc(b, &p->ifcs[i]);
        }
    }
    return !failed;
}

struct span profiles_criteria(struct hss *h, struct span name, struct span server_name,
                              struct arena *arena) {
    struct profile *known = profiles_find(h, name);

    if (!known) {
        return SPAN("");
    }
    for (size_t size = 4096; size <= SCRATCH_MAX; size *= 4) {
        char *room = arena_alloc(arena, size), set_name[SHARED_SET_NAME];
        struct buf b = buf_init(room, room ? size : 0);
        struct userdata_profile p, unused;

        if (!room || !put_criteria(&b, known, server_name, arena, &p)) {
            return SPAN_NONE;
        }
        for (size_t i = 0; i < p.n_shared_ifc_sets; i++) {
            struct profile *set = profiles_find(h, shared_set_name(set_name, p.shared_ifc_sets[i]));
            if (set && !put_criteria(&b, set, server_name, arena, &unused)) {
                return SPAN_NONE;
            }
        }
        if (!b.overflow) {
            return buf_span(&b);
        }
    }
    return SPAN_NONE;
}

/* Renders a profile into memory of its own; *out is NULL when memory is out. */
static enum error render(struct hss *h, struct span record, char **out, struct span *fragment,
                         size_t *own_n) {
    struct arena arena = arena_init(h->env->chunks);
    struct rec_profile_data data;
    bool failed = true;
    enum error e = rec_profile_decode(record, &arena, &data);

    *out = NULL;
    if (!e) {
        struct userdata_profile p = to_userdata(&data, &arena, &failed);
        const struct userdata_profile references = {.shared_ifc_sets = p.shared_ifc_sets,
                                                    .n_shared_ifc_sets = p.n_shared_ifc_sets};

        p.n_shared_ifc_sets = 0;
        for (size_t size = 4096; !failed && size <= SCRATCH_MAX; size *= 4) {
            free(*out);
            *out = malloc(size);
            if (!*out) {
                break;
            }
            struct buf b = buf_init(*out, size);
            userdata_put_fragment(&b, &p);
            *own_n = b.n;
            userdata_put_fragment(&b, &references);
            if (!b.overflow) {
                *fragment = buf_span(&b);
                arena_release(&arena);
                return OK;
            }
        }
        e = *out ? ERR_TOO_BIG : ERR_NO_MEMORY;
    }
    free(*out);
    *out = NULL;
    arena_release(&arena);
    return e;
}

enum error profiles_put(struct hss *h, struct span record) {
    struct rec_profile view = rec_profile_of(record);
    struct span fragment, name = rec_profile_name(view);
    char *rendered;
    size_t own_n = 0;
    enum error e = render(h, record, &rendered, &fragment, &own_n);

    if (e) {
        return e;
    }
    struct profile *p = malloc(sizeof *p + record.n + fragment.n), *old = profiles_find(h, name);
    if (!p) {
        free(rendered);
        return ERR_NO_MEMORY;
    }
    memset(p, 0, sizeof *p);
    memcpy(p->bytes, record.p, record.n);
    memcpy(p->bytes + record.n, fragment.p, fragment.n);
    free(rendered);
    p->record = span_of(p->bytes, record.n);
    p->fragment = span_of(p->bytes + record.n, fragment.n);
    p->own_n = own_n;
    view = rec_profile_of(p->record);
    p->name = rec_profile_name(view);
    p->serves_unregistered = subscription_profile_serves_unregistered(view);
    e = htab_insert(&h->profiles, &p->node, name_hash(p->name));
    if (e) {
        free(p);
        return e;
    }
    if (old) {
        profiles_remove(h, old);
    }
    return OK;
}

/* Reading them at the start. */

void profiles_put_default(struct hss *h) {
    char room[128];
    struct rec_profile_data empty = {.name = SPAN("default")};
    struct buf out = buf_init(room, sizeof room);

    if (!profiles_find(h, empty.name) &&
        (rec_profile_encode(&empty, &out) != OK || profiles_put(h, buf_span(&out)) != OK)) {
        LOG(&h->env->log, LOG_ERROR, "no memory for the service profile \"default\"");
    }
}

static void read_one(struct store_op *op) {
    struct hss *h = CONTAINER_OF(op, struct hss, start_op);

    if (op->error == OK) {
        enum error e = profiles_put(h, op->record);

        if (e) {
            LOG(&h->env->log, LOG_ERROR, "a service profile cannot be used",
                LOG_CSTR("why", error_text(e)));
        }
        h->last_profile = hss_name(h, rec_profile_name(rec_profile_of(op->record)));
        return;
    }
    if (op->error != ERR_NOT_FOUND) {
        LOG(&h->env->log, LOG_ERROR, "service profiles cannot be read",
            LOG_CSTR("why", error_text(op->error)));
    }
    profiles_put_default(h);
    h->profiles_over = true;
    hss_maybe_ready(h);
}

static void read_came(struct store_op *op) {
    struct hss *h = CONTAINER_OF(op, struct hss, start_op);

    read_one(op);
    h->got_profile = true;
    if (!h->asking_profile && !h->profiles_over) {
        profiles_read(h);
    }
}

void profiles_read(struct hss *h) {
    do {
        h->start_op.done = read_came;
        h->asking_profile = true;
        h->got_profile = false;
        store_next_profile(h->store, &h->start_op, h->last_profile);
        h->asking_profile = false;
    } while (h->got_profile && !h->profiles_over);
}

static void free_profile(struct htab_node *n, void *ctx) {
    (void)ctx;
    free(CONTAINER_OF(n, struct profile, node));
}

void profiles_free(struct hss *h) {
    store_cancel(&h->start_op);
    htab_each(&h->profiles, free_profile, NULL);
    htab_free(&h->profiles);
    free(h->scratch);
}

/* User-Data. */

/* Of a wildcard, Identity holds the wildcard as well; receivers look at the extension (annex
 * B.2.1).
 */
static void put_identity(struct buf *b, struct rec_impu u) {
    struct userdata_identity identity = {.identity = rec_impu_identity(u),
                                         .type = rec_impu_type(u),
                                         .barred = rec_impu_barred(u),
                                         .display_name = rec_impu_display_name(u),
                                         .alias_group = rec_impu_alias_group(u)};

    if (identity.type == USERDATA_WILDCARDED_PSI) {
        identity.wildcarded_psi = identity.identity;
    } else if (identity.type == USERDATA_WILDCARDED_IMPU) {
        identity.wildcarded_impu = identity.identity;
    }
    userdata_put_identity(b, &identity);
}

static bool is_same(struct rec_impu a, struct rec_impu b) {
    return a.at == b.at;
}

struct span shared_set_name(char room[SHARED_SET_NAME], uint32_t number) {
    struct buf b = buf_init(room, SHARED_SET_NAME);

    buf_char(&b, '#');
    buf_u64(&b, number);
    return buf_span(&b);
}

/* What a profile holds besides identities: for those who have the shared sets themselves their
 * numbers, for others the criteria. */
static void put_contents(struct hss *h, struct buf *b, const struct profile *p, uint32_t features) {
    struct rec_profile record = rec_profile_of(p->record);
    size_t n = rec_profile_n_shared_ifc_sets(record);

    if (n == 0 || features & CX_FEATURE_SIFC) {
        buf_put(b, p->fragment);
        return;
    }
    buf_put(b, span_slice(p->fragment, 0, p->own_n));
    for (size_t i = 0; i < n; i++) {
        char room[SHARED_SET_NAME];
        uint32_t number = rec_profile_shared_ifc_sets(record, i);
        struct profile *set = profiles_find(h, shared_set_name(room, number));

        if (set) {
            buf_put(b, set->fragment);
        } else {
            LOG(&h->env->log, LOG_WARNING,
                "an S-CSCF does not have shared sets, and the criteria of one are not known here",
                LOG_U64("set", number), LOG_SPAN("profile", p->name),
                LOG_CSTR("reason", reason_name(REASON_SHARED_IFC_SET_UNKNOWN)));
        }
    }
}

/* A document on its way: of whose set, for whom. */
struct document {
    struct hss *hss;
    struct rec_subscription s;
    unsigned set;
    uint32_t features; /* enum cx_feature */
};

/* One ServiceProfile: all of the set that refer to the profile of `leader`, it before all others.
 */
static void put_profile(const struct document *d, struct buf *b, struct rec_impu leader) {
    struct span name = rec_impu_profile(leader);
    struct profile *p = profiles_find(d->hss, name);

    userdata_put_profile_open(b);
    put_identity(b, leader);
    for (size_t i = 0, n = rec_subscription_n_impus(d->s); i < n; i++) {
        struct rec_impu u = rec_subscription_impus(d->s, i);

        if (rec_impu_set(u) == d->set && !is_same(u, leader) &&
            span_eq(rec_impu_profile(u), name)) {
            put_identity(b, u);
        }
    }
    if (p) {
        put_contents(d->hss, b, p, d->features);
    }
    userdata_put_profile_close(b, SPAN_NONE);
}

/* Is u the first of its set to refer to its profile, the default's profile not counted? */
static bool leads(struct rec_subscription s, unsigned set, struct rec_impu u,
                  struct rec_impu first) {
    if (span_eq(rec_impu_profile(u), rec_impu_profile(first))) {
        return false;
    }
    for (size_t i = 0, n = rec_subscription_n_impus(s); i < n; i++) {
        struct rec_impu other = rec_subscription_impus(s, i);

        if (is_same(other, u)) {
            return true;
        }
        if (rec_impu_set(other) == set && span_eq(rec_impu_profile(other), rec_impu_profile(u))) {
            return false;
        }
    }
    return true;
}

static void put_document(const struct document *d, struct buf *b, struct span private_id) {
    struct rec_impu first;

    userdata_put_open(b, private_id);
    if (subscription_default_impu(d->s, d->set, &first)) {
        put_profile(d, b, first);
        for (size_t i = 0, n = rec_subscription_n_impus(d->s); i < n; i++) {
            struct rec_impu u = rec_subscription_impus(d->s, i);

            if (rec_impu_set(u) == d->set && leads(d->s, d->set, u, first)) {
                put_profile(d, b, u);
            }
        }
    }
    userdata_put_close(b);
}

struct span profiles_user_data(struct hss *h, struct rec_subscription s, struct span private_id,
                               unsigned set, uint32_t features) {
    const struct document d = {.hss = h, .s = s, .set = set, .features = features};

    for (;;) {
        struct buf b = buf_init(h->scratch, h->scratch_size);

        if (h->scratch) {
            put_document(&d, &b, private_id);
            if (!b.overflow) {
                return buf_span(&b);
            }
        }
        size_t size = h->scratch ? h->scratch_size * 4 : SCRATCH_START;
        if (size > SCRATCH_MAX && h->scratch_size < SCRATCH_MAX) {
            size = SCRATCH_MAX;
        }
        char *grown = size <= SCRATCH_MAX ? realloc(h->scratch, size) : NULL;
        if (!grown) {
            return SPAN_NONE;
        }
        h->scratch = grown;
        h->scratch_size = size;
    }
}
