/* Implicit registration sets and the contacts bound to them: TS 24.229 5.4.1.2.2F, 5.4.1.4 and
 * 5.4.1.5 (expiry), TS 23.228 5.2.1a.
 *
 * Sized for a million registrations: a set is one block, a binding is one block. A wildcarded
 * identity stands in its set like others; who is looked for and not there is looked for among the
 * wildcards. */
#include "node/scscf/internal.h"

#include <stdlib.h>

enum { IDENTITIES_MAX = 256, BUSY_DELAY_US = 500000, UNTOLD_DELAY_US = 10000000 };

struct span binding_text(const struct binding *b, enum binding_text which) {
    size_t at = 0;
    for (enum binding_text i = BINDING_IMPI; i < which; i++) {
        at += b->n[i];
    }
    return span_of(b->text + at, b->n[which]);
}

static struct identity *identity_of(const struct scscf *s, struct span impu) {
    for (struct htab_node *n = htab_first(&s->identities, hash_bytes(impu)); n; n = htab_next(n)) {
        struct identity *i = CONTAINER_OF(n, struct identity, node);
        if (span_eq(i->impu, impu)) {
            return i;
        }
    }
    return NULL;
}

struct reg_set *scscf_set_of(const struct scscf *s, struct span impu) {
    struct identity *i = identity_of(s, impu);
    const struct wildcard *w = i ? NULL : wildcard_find(&s->wildcards, impu);
    if (w) {
        i = identity_of(s, w->text);
    }
    return i ? i->set : NULL;
}

/* Without memory it is not found by those whom it stands for. */
static void link_wildcard(struct scscf *s, struct span impu) {
    if (!wildcard_entry(&s->wildcards, impu) && wildcard_add(&s->wildcards, impu, NULL) != OK) {
        LOG(&s->env->log, LOG_WARNING, "a wildcarded identity cannot be used",
            LOG_SPAN("impu", impu));
    }
}

static void unlink_wildcard(struct scscf *s, struct span impu) {
    struct wildcard *w = wildcard_entry(&s->wildcards, impu);
    if (w) {
        wildcard_remove(&s->wildcards, w);
    }
}

static void unlink_identities(struct reg_set *set, size_t n) {
    for (size_t i = 0; i < n; i++) {
        htab_remove(&set->s->identities, &set->identities[i].node);
        if (set->identities[i].wildcard) {
            unlink_wildcard(set->s, set->identities[i].impu);
        }
    }
}

static enum error link_identities(struct reg_set *set) {
    for (size_t i = 0; i < set->n_identities; i++) {
        struct identity *id = &set->identities[i];
        id->set = set;
        enum error e = htab_insert(&set->s->identities, &id->node, hash_bytes(id->impu));
        if (e != OK) {
            unlink_identities(set, i);
            return e;
        }
        if (id->wildcard) {
            link_wildcard(set->s, id->impu);
        }
    }
    return OK;
}

static void note_change(struct reg_set *set) {
    list_remove(&set->changed);
    list_insert(&set->s->changed, &set->changed);
}

/* The watchers know all of it. */
static void forget_news(struct reg_set *set) {
    LIST_EACH(&set->departed, b, struct binding, in_set) {
        list_remove(&b->in_set);
        free(b);
    }
    LIST_EACH(&set->bindings, b, struct binding, in_set) {
        b->untold = false;
    }
    free(set->former);
    set->former = NULL;
}

static void free_set(struct reg_set *set) {
    scscf_drop_watchers(set);
    scscf_drop_associates(set);
    forget_news(set);
    unlink_identities(set, set->n_identities);
    list_remove(&set->changed);
    set->s->n_sets--;
    free(set);
}

void scscf_settle(struct scscf *s) {
    while (!list_is_empty(&s->changed)) {
        struct reg_set *set = CONTAINER_OF(s->changed.next, struct reg_set, changed);
        list_remove(&set->changed);
        scscf_tell_watchers(set);
        forget_news(set);
        if (list_is_empty(&set->bindings)) {
            free_set(set);
        }
    }
}

/* A set while it is being put together, in scratch memory. */
struct draft {
    struct buf text;
    struct {
        size_t at, n;
        bool barred, wildcard;
    } ids[IDENTITIES_MAX];
    size_t n_ids;
    size_t associated_n, servers_at, charging_at;
    bool malformed;
};

/* The wildcard that an identity of User-Data is; empty: it is none. */
static struct span wildcard_of(const struct userdata_identity *id) {
    return id->type == USERDATA_WILDCARDED_PSI    ? id->wildcarded_psi
           : id->type == USERDATA_WILDCARDED_IMPU ? id->wildcarded_impu
                                                  : SPAN_NONE;
}

static void draft_identity(struct draft *d, const struct userdata_identity *id) {
    struct sip_uri uri = {0};
    struct span wildcard = wildcard_of(id);
    if (d->n_ids == COUNT_OF(d->ids)) {
        return;
    }
    if (wildcard.n ? wildcard_check(wildcard, NULL) != OK
                   : sip_uri_parse(id->identity, &uri) != OK) {
        d->malformed = true;
        return;
    }
    if (!id->barred) {
        if (d->text.n) {
            buf_cstr(&d->text, ", ");
        }
        if (id->display_name.n) {
            sip_put_quoted(&d->text, id->display_name);
            buf_char(&d->text, ' ');
        }
        buf_char(&d->text, '<');
    }
    size_t at = d->text.n;
    if (wildcard.n) {
        buf_put(&d->text, wildcard);
    } else if (registration_put_impu(&d->text, &uri) != OK) {
        d->malformed = true;
        return;
    }
    d->ids[d->n_ids].wildcard = wildcard.n > 0;
    d->ids[d->n_ids].at = at;
    d->ids[d->n_ids].n = d->text.n - at;
    d->ids[d->n_ids].barred = id->barred;
    d->n_ids++;
    if (!id->barred) {
        buf_char(&d->text, '>');
    }
}

/* The default identity, then the others that are not barred, then the barred ones. */
static void draft_identities(struct draft *d, const struct userdata *data) {
    const struct userdata_identity *first = userdata_default_identity(data);
    if (!first) {
        return;
    }
    draft_identity(d, first);
    for (int barred = 0; barred < 2; barred++) {
        for (size_t p = 0; p < data->n_profiles; p++) {
            for (size_t i = 0; i < data->profiles[p].n_identities; i++) {
                const struct userdata_identity *id = &data->profiles[p].identities[i];
                if (id != first && id->barred == (barred == 1)) {
                    draft_identity(d, id);
                }
            }
        }
        if (!barred) {
            d->associated_n = d->text.n;
        }
    }
}

/* Application servers of the home domain, each once. */
static void draft_servers(struct draft *d, const struct scscf *s, const struct userdata *data) {
    d->servers_at = d->text.n;
    for (size_t p = 0; p < data->n_profiles; p++) {
        for (size_t i = 0; i < data->profiles[p].n_ifcs; i++) {
            struct span name = data->profiles[p].ifcs[i].server_name, value;
            struct sip_list list = sip_list_of_text(span_after(buf_span(&d->text), d->servers_at));
            bool known = !scscf_is_home_server(s, name);
            while (!known && sip_list_next(&list, &value)) {
                known = span_eq(span_slice(value, 1, value.n - 1), name);
            }
            if (!known) {
                buf_cstr(&d->text, d->text.n > d->servers_at ? ", <" : "<");
                buf_put(&d->text, name);
                buf_char(&d->text, '>');
            }
        }
    }
}

static void put_function(struct buf *b, size_t start, const char *name, struct span value) {
    if (value.n) {
        if (b->n > start) {
            buf_char(b, ';');
        }
        buf_cstr(b, name);
        buf_char(b, '=');
        sip_put_quoted(b, value);
    }
}

static void draft_charging(struct draft *d, const struct cx_charging_information *c,
                           struct span otherwise) {
    d->charging_at = d->text.n;
    buf_put(&d->text, c ? SPAN_NONE : otherwise);
    if (c) {
        size_t at = d->charging_at;
        put_function(&d->text, at, "ccf", c->primary_charging_collection_function_name);
        put_function(&d->text, at, "ccf", c->secondary_charging_collection_function_name);
        put_function(&d->text, at, "ecf", c->primary_event_charging_function_name);
        put_function(&d->text, at, "ecf", c->secondary_event_charging_function_name);
    }
}

static void init_set(struct reg_set *set, struct scscf *s, size_t n_identities) {
    set->s = s;
    list_init(&set->bindings);
    list_init(&set->watchers);
    list_init(&set->departed);
    list_init(&set->changed);
    set->n_identities = (uint32_t)n_identities;
}

static struct reg_set *set_from(struct scscf *s, const struct draft *d) {
    struct reg_set *set =
        (struct reg_set *)calloc(1, sizeof *set + d->n_ids * sizeof(struct identity) + d->text.n);
    if (!set) {
        return NULL;
    }
    init_set(set, s, d->n_ids);
    char *text = (char *)(set->identities + d->n_ids);
    memcpy(text, d->text.p, d->text.n);
    for (size_t i = 0; i < d->n_ids; i++) {
        set->identities[i].impu = span_of(text + d->ids[i].at, d->ids[i].n);
        set->identities[i].barred = d->ids[i].barred;
        set->identities[i].wildcard = d->ids[i].wildcard;
    }
    set->associated = span_of(text, d->associated_n);
    set->servers = span_of(text + d->servers_at, d->charging_at - d->servers_at);
    set->charging = span_of(text + d->charging_at, d->text.n - d->charging_at);
    return set;
}

static bool same_identities(const struct reg_set *a, const struct reg_set *b) {
    bool same = a->n_identities == b->n_identities;
    for (size_t i = 0; same && i < a->n_identities; i++) {
        same = span_eq(a->identities[i].impu, b->identities[i].impu) &&
               a->identities[i].barred == b->identities[i].barred;
    }
    return same;
}

/* What the watchers do not know yet goes over to the new set, and what they knew before: perhaps
 * the old one itself. */
static void move_news(struct reg_set *old, struct reg_set *set) {
    scscf_move_watchers(old, set);
    list_move_all(&old->departed, &set->departed);
    set->former = old->former;
    list_remove(&old->changed);
    if (set->former || list_is_empty(&set->watchers) || same_identities(old, set)) {
        free(old);
    } else {
        set->former = old;
    }
}

/* Puts the new set in the old one's place; frees the new one on failure. */
static enum error replace_set(struct reg_set *old, struct reg_set *set) {
    if (old) {
        unlink_identities(old, old->n_identities);
    }
    enum error e = link_identities(set);
    if (e != OK) {
        free(set);
        if (old && link_identities(old) != OK) {
            /* The table has as many places as before: this cannot fail. */
            old->n_identities = 0;
        }
        return e;
    }
    note_change(set);
    if (!old) {
        set->s->n_sets++;
        return OK;
    }
    set->busy = old->busy;
    set->hss = old->hss;
    scscf_move_associates(old, set);
    LIST_EACH(&old->bindings, b, struct binding, in_set) {
        list_remove(&b->in_set);
        list_insert(&set->bindings, &b->in_set);
        b->set = set;
    }
    move_news(old, set);
    return OK;
}

static bool has_shared_set(const struct scscf *s, uint32_t number) {
    for (size_t i = 0; i < s->config.n_shared_ifc_sets; i++) {
        if (s->config.shared_ifc_sets[i] == number) {
            return true;
        }
    }
    return false;
}

/* Sets that a profile names and that are not here: the rest of it is used. */
static void note_unknown_sets(const struct scscf *s, const struct userdata *data) {
    for (size_t p = 0; p < data->n_profiles; p++) {
        const struct userdata_profile *profile = &data->profiles[p];
        for (size_t i = 0; i < profile->n_shared_ifc_sets; i++) {
            if (!has_shared_set(s, profile->shared_ifc_sets[i])) {
                LOG(&s->env->log, LOG_WARNING, "a shared set of filter criteria is not known",
                    LOG_U64("set", profile->shared_ifc_sets[i]), LOG_SPAN("impi", data->private_id),
                    LOG_CSTR("reason", reason_name(REASON_SHARED_IFC_SET_UNKNOWN)));
                journal_add(s->env, &(struct journal_note){.step = STEP_HSS_ANSWERED,
                                                           .reason = REASON_SHARED_IFC_SET_UNKNOWN,
                                                           .impi = data->private_id});
            }
        }
    }
}

/* An upper bound of the text that a set takes. */
static size_t text_bound(const struct userdata *data, const struct cx_charging_information *c) {
    size_t n = 64;
    for (size_t p = 0; p < data->n_profiles; p++) {
        for (size_t i = 0; i < data->profiles[p].n_identities; i++) {
            const struct userdata_identity *id = &data->profiles[p].identities[i];
            n += 3 * id->identity.n + wildcard_of(id).n + 2 * id->display_name.n + 16;
        }
        for (size_t i = 0; i < data->profiles[p].n_ifcs; i++) {
            n += data->profiles[p].ifcs[i].server_name.n + 4;
        }
    }
    if (c) {
        n += 2 * (c->primary_charging_collection_function_name.n +
                  c->secondary_charging_collection_function_name.n +
                  c->primary_event_charging_function_name.n +
                  c->secondary_event_charging_function_name.n);
    }
    return n;
}

enum error scscf_set_put(struct scscf *s, const struct userdata *data,
                         const struct cx_charging_information *charging, struct span otherwise,
                         struct reg_set **out) {
    struct arena scratch = arena_init(s->env->chunks);
    struct draft *d = ARENA_NEW(&scratch, struct draft);
    note_unknown_sets(s, data);
    size_t bound = text_bound(data, charging) + otherwise.n;
    char *text = (char *)arena_alloc(&scratch, bound);
    enum error e = ERR_NO_MEMORY;
    if (d && text) {
        d->text = buf_init(text, bound);
        draft_identities(d, data);
        draft_servers(d, s, data);
        draft_charging(d, charging, otherwise);
        struct reg_set *set = NULL;
        if (d->n_ids == 0) {
            e = ERR_NOT_FOUND;
        } else if (d->malformed || d->text.overflow) {
            e = ERR_MALFORMED;
        } else {
            set = set_from(s, d);
        }
        if (set) {
            struct reg_set *old = NULL;
            for (size_t i = 0; !old && i < set->n_identities; i++) {
                old = scscf_set_of(s, set->identities[i].impu);
            }
            *out = set;
            e = replace_set(old, set);
        }
    }
    arena_release(&scratch);
    return e;
}

enum error scscf_set_charging(struct reg_set *set, const struct cx_charging_information *charging) {
    const char *old_text = set->associated.p;
    size_t kept = (size_t)(set->charging.p - old_text);
    size_t bound = kept + text_bound(&(struct userdata){0}, charging);
    size_t head = sizeof *set + set->n_identities * sizeof(struct identity);
    struct reg_set *fresh = (struct reg_set *)calloc(1, head + bound);
    if (!fresh) {
        return ERR_NO_MEMORY;
    }
    char *text = (char *)fresh + head;
    memcpy(text, old_text, kept);
    struct draft d = {.text = buf_init(text, bound)};
    d.text.n = kept;
    draft_charging(&d, charging, SPAN_NONE);
    init_set(fresh, set->s, set->n_identities);
    for (size_t i = 0; i < set->n_identities; i++) {
        const struct identity *id = &set->identities[i];
        fresh->identities[i].impu = span_of(text + (id->impu.p - old_text), id->impu.n);
        fresh->identities[i].barred = id->barred;
        fresh->identities[i].wildcard = id->wildcard;
    }
    fresh->associated = span_of(text, set->associated.n);
    fresh->servers = span_of(text + (set->servers.p - old_text), set->servers.n);
    fresh->charging = span_of(text + kept, d.text.n - kept);
    return replace_set(set, fresh);
}

size_t scscf_bindings_of(struct reg_set *set, struct span impi,
                         struct binding *out[REGISTRATION_CONTACTS_MAX]) {
    size_t n = 0;
    if (!set) {
        return 0;
    }
    LIST_EACH(&set->bindings, b, struct binding, in_set) {
        if (n < REGISTRATION_CONTACTS_MAX && span_eq(binding_text(b, BINDING_IMPI), impi)) {
            out[n++] = b;
        }
    }
    return n;
}

static void take_out(struct binding *b) {
    timer_stop(&b->expiry);
    htab_remove(&b->set->s->bindings, &b->node);
    list_remove(&b->in_set);
    note_change(b->set);
}

void scscf_unbind(struct binding *b) {
    take_out(b);
    free(b);
}

void scscf_end_binding(struct binding *b, enum reginfo_event why) {
    take_out(b);
    if (list_is_empty(&b->set->watchers)) {
        free(b);
        return;
    }
    b->event = why;
    list_insert(&b->set->departed, &b->in_set);
}

/* 5.4.1.5: the expiry of the last contact of a private identity is told to the HSS. */
static void expire(struct timer *t) {
    struct binding *b = CONTAINER_OF(t, struct binding, expiry);
    struct reg_set *set = b->set;
    struct scscf *s = set->s;
    if (set->busy) {
        timer_start(s->env, &b->expiry, BUSY_DELAY_US);
        return;
    }
    struct span impi = binding_text(b, BINDING_IMPI);
    struct binding *all[REGISTRATION_CONTACTS_MAX];
    if (scscf_bindings_of(set, impi, all) == 1 &&
        !scscf_notify_hss(s, set->hss, impi, set->identities[0].impu,
                          CX_SERVER_ASSIGNMENT_TYPE_TIMEOUT_DEREGISTRATION)) {
        timer_start(s->env, &b->expiry, UNTOLD_DELAY_US); /* it would believe us for ever */
        return;
    }
    s->counters.expired++;
    journal_add(s->env, &(struct journal_note){.step = STEP_ENDED,
                                               .reason = REASON_EXPIRED,
                                               .impi = impi,
                                               .impu = set->identities[0].impu,
                                               .detail = binding_text(b, BINDING_CONTACT)});
    LOG(&s->env->log, LOG_INFO, "binding expired", LOG_SPAN("impi", impi),
        LOG_SPAN("contact", binding_text(b, BINDING_CONTACT)));
    scscf_end_binding(b, REGINFO_EXPIRED);
    scscf_settle(s);
}

/* Parameters of a contact but expires, as ";a=b;c". */
static void put_params(struct buf *b, struct span params) {
    struct span rest = params;
    for (struct span name, value; sip_param_next(&rest, &name, &value);) {
        if (span_eq_nocase(name, SPAN("expires"))) {
            continue;
        }
        struct span whole = span_trim(span_of(name.p, (size_t)(rest.p - name.p)));
        if (whole.p[whole.n - 1] == ';') {
            whole = span_trim(span_slice(whole, 0, whole.n - 1));
        }
        buf_char(b, ';');
        buf_put(b, whole);
    }
}

static struct binding *make_binding(const struct binding_news *news) {
    const struct registration_contact *c = news->contact;
    size_t cap =
        news->impi.n + c->uri.n + c->params.n + 1 + news->path.n + news->call_id.n + c->instance.n;
    if (cap > UINT16_MAX) {
        return NULL;
    }
    struct binding *b = (struct binding *)malloc(sizeof *b + cap);
    if (!b) {
        return NULL;
    }
    *b = (struct binding){.cseq = news->cseq,
                          .reg_id = c->reg_id,
                          .impu = hash_bytes(news->impu),
                          .event = news->event,
                          .untold = true};
    struct buf text = buf_init(b->text, cap);
    size_t at = 0;
    for (enum binding_text i = BINDING_IMPI; i < BINDING_TEXTS; i++) {
        switch (i) {
        case BINDING_IMPI:
            buf_put(&text, news->impi);
            break;
        case BINDING_CONTACT:
            buf_put(&text, c->uri);
            break;
        case BINDING_PARAMS:
            put_params(&text, c->params);
            break;
        case BINDING_PATH:
            buf_put(&text, news->path);
            break;
        case BINDING_CALL_ID:
            buf_put(&text, news->call_id);
            break;
        default:
            buf_put(&text, c->instance);
        }
        b->n[i] = (uint16_t)(text.n - at);
        at = text.n;
    }
    return b;
}

enum error scscf_bind(struct reg_set *set, const struct binding_news *news) {
    struct binding *b = make_binding(news);
    if (!b) {
        return ERR_NO_MEMORY;
    }
    enum error e = htab_insert(&set->s->bindings, &b->node, hash_bytes(news->impi));
    if (e != OK) {
        free(b);
        return e;
    }
    b->set = set;
    list_insert(&set->bindings, &b->in_set);
    note_change(set);
    timer_init(&b->expiry, expire);
    timer_start(set->s->env, &b->expiry, news->expires_s * SEC_IN_US);
    return OK;
}

void scscf_note_event(struct binding *b, enum reginfo_event event) {
    b->event = event;
    b->untold = true;
    note_change(b->set);
}

void scscf_each_of(struct scscf *s, struct span identity,
                   void (*each)(void *ctx, struct binding *b), void *ctx) {
    struct reg_set *set = scscf_set_of(s, identity);
    if (set) {
        LIST_EACH(&set->bindings, b, struct binding, in_set) {
            each(ctx, b);
        }
        return;
    }
    for (struct htab_node *n = htab_first(&s->bindings, hash_bytes(identity)); n;
         n = htab_next(n)) {
        struct binding *b = CONTAINER_OF(n, struct binding, node);
        if (span_eq(binding_text(b, BINDING_IMPI), identity)) {
            each(ctx, b);
        }
    }
}

static bool is_among(const struct reg_set *set, const struct span *impus, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (scscf_set_of(set->s, impus[i]) == set) {
            return true;
        }
    }
    return n == 0;
}

size_t scscf_remove(struct scscf *s, struct span impi, const struct span *impus, size_t n_impus,
                    enum reginfo_event why) {
    size_t removed = 0;
    struct htab_node *n = htab_first(&s->bindings, hash_bytes(impi));
    while (n) {
        struct binding *b = CONTAINER_OF(n, struct binding, node);
        n = htab_next(n);
        if (!span_eq(binding_text(b, BINDING_IMPI), impi) || !is_among(b->set, impus, n_impus)) {
            continue;
        }
        removed++;
        if (why == REGINFO_EVENTS) {
            scscf_unbind(b);
        } else {
            scscf_end_binding(b, why);
        }
    }
    return removed;
}

static void forget(struct htab_node *node, void *ctx) {
    struct binding *b = CONTAINER_OF(node, struct binding, node);
    struct reg_set *set = b->set;
    (void)ctx;
    scscf_unbind(b);
    if (list_is_empty(&set->bindings)) {
        free_set(set);
    }
}

void scscf_forget_sets(struct scscf *s) {
    htab_each(&s->bindings, forget, NULL);
    htab_free(&s->associates);
    htab_free(&s->bindings);
    htab_free(&s->identities);
    wildcard_index_free(&s->wildcards);
}
