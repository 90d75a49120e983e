/* The registration state of a set as a document: TS 24.229 5.4.2.1.2, RFC 3680 section 5.
 *
 * Each public identity that is not barred is a registration element, and has every contact of the
 * set. A contact was "registered" with the identity that its REGISTER named, and "created" with the
 * others. Identities and contacts are known by hashes, which stay the same as long as the process
 * lives. Choice: an identity that a changed profile has taken from the set ends "deactivated". */
#include "node/scscf/internal.h"

enum { ID_SIZE = 16, ELEMENT_BYTES = 400, ESCAPED = 6 /* bytes of the longest entity */ };

struct id {
    char text[ID_SIZE];
};

static struct span put_id(struct id *id, uint64_t hash) {
    struct buf b = buf_init(id->text, sizeof id->text);
    buf_hex(&b, &hash, sizeof hash);
    return buf_span(&b);
}

static bool is_in(const struct reg_set *set, const struct identity *which) {
    for (size_t i = 0; i < set->n_identities; i++) {
        if (!set->identities[i].barred && span_eq(set->identities[i].impu, which->impu)) {
            return true;
        }
    }
    return false;
}

static void put_contact(struct buf *b, const struct identity *identity, const struct binding *c,
                        bool active, enum reginfo_event event) {
    struct env *env = identity->set->s->env;
    uint64_t impu = hash_bytes(identity->impu), now = env_now_us(env);
    struct span uri = binding_text(c, BINDING_CONTACT);
    struct id id;
    struct reginfo_contact contact = {.id = put_id(&id, hash_mix(impu, hash_bytes(uri))),
                                      .uri = uri,
                                      .call_id = binding_text(c, BINDING_CALL_ID),
                                      .instance = binding_text(c, BINDING_INSTANCE),
                                      .active = active,
                                      .event = event,
                                      .has_cseq = true,
                                      .cseq = c->cseq};
    if (event == REGINFO_REGISTERED && c->impu != impu) {
        contact.event = REGINFO_CREATED;
    }
    if (active && c->expiry.due_us > now) {
        contact.has_expires = true;
        contact.expires_s = (uint32_t)((c->expiry.due_us - now + SEC_IN_US / 2) / SEC_IN_US);
    }
    reginfo_put_contact(b, &contact);
}

static void put_open(struct buf *b, const struct identity *identity, enum reginfo_state state) {
    struct id id;
    reginfo_put_registration_open(b, identity->impu, put_id(&id, hash_bytes(identity->impu)),
                                  state);
}

/* Of a wildcarded identity the address of record is the wildcard itself: the standard wants some
 * identity there that it stands for, and whoever knows wildcards does not look at it. */
static void put_close(struct buf *b, const struct identity *identity) {
    if (identity->wildcard) {
        reginfo_put_wildcard(b, identity->impu);
    }
    reginfo_put_registration_close(b);
}

static void put_identity(struct buf *b, const struct reg_set *set, const struct identity *identity,
                         bool full) {
    bool is_new = set->former && !is_in(set->former, identity);
    put_open(b, identity, list_is_empty(&set->bindings) ? REGINFO_TERMINATED : REGINFO_ACTIVE);
    LIST_EACH(&set->bindings, c, struct binding, in_set) {
        if (full || is_new || c->untold) {
            put_contact(b, identity, c, true, is_new ? REGINFO_CREATED : c->event);
        }
    }
    LIST_EACH(&set->departed, c, struct binding, in_set) {
        if (!is_new) {
            put_contact(b, identity, c, false, c->event);
        }
    }
    put_close(b, identity);
}

/* An identity that is not in the set any more. */
static void put_departed(struct buf *b, const struct reg_set *set,
                         const struct identity *identity) {
    put_open(b, identity, REGINFO_TERMINATED);
    LIST_EACH(&set->bindings, c, struct binding, in_set) {
        if (!c->untold || c->event == REGINFO_REFRESHED || c->event == REGINFO_SHORTENED) {
            put_contact(b, identity, c, false, REGINFO_DEACTIVATED);
        }
    }
    LIST_EACH(&set->departed, c, struct binding, in_set) {
        put_contact(b, identity, c, false, c->event);
    }
    put_close(b, identity);
}

static size_t contacts_bound(const struct list *bindings) {
    size_t n = 0;
    LIST_EACH(bindings, c, struct binding, in_set) {
        n += ELEMENT_BYTES + ESCAPED * (size_t)(c->n[BINDING_CONTACT] + c->n[BINDING_CALL_ID] +
                                                c->n[BINDING_INSTANCE]);
    }
    return n;
}

static size_t identities_bound(const struct reg_set *set, size_t contacts) {
    size_t n = 0;
    for (size_t i = 0; i < set->n_identities; i++) {
        n += ELEMENT_BYTES + (size_t)2 * ESCAPED * set->identities[i].impu.n + contacts;
    }
    return n;
}

/* Does a partial document have anything to say of the identities that stay? */
static bool has_contact_news(const struct reg_set *set) {
    bool any = !list_is_empty(&set->departed);
    LIST_EACH(&set->bindings, c, struct binding, in_set) {
        any |= c->untold;
    }
    return any;
}

bool scscf_has_news(const struct reg_set *set) {
    return set->former || has_contact_news(set);
}

struct span scscf_state(const struct reg_set *set, struct arena *arena, uint32_t version,
                        bool full) {
    const struct reg_set *former = set->former;
    size_t contacts = contacts_bound(&set->bindings) + contacts_bound(&set->departed);
    size_t bound = ELEMENT_BYTES + identities_bound(set, contacts) +
                   (former ? identities_bound(former, contacts) : 0);
    bool contact_news = has_contact_news(set);
    char *text = (char *)arena_alloc(arena, bound);
    if (!text) {
        return SPAN_NONE;
    }
    struct buf b = buf_init(text, bound);
    reginfo_put_open(&b, version, full);
    for (size_t i = 0; i < set->n_identities; i++) {
        const struct identity *identity = &set->identities[i];
        if (!identity->barred && (full || contact_news || (former && !is_in(former, identity)))) {
            put_identity(&b, set, identity, full);
        }
    }
    for (size_t i = 0; former && i < former->n_identities; i++) {
        if (!former->identities[i].barred && !is_in(set, &former->identities[i])) {
            put_departed(&b, set, &former->identities[i]);
        }
    }
    reginfo_put_close(&b);
    return b.overflow ? SPAN_NONE : buf_span(&b);
}
