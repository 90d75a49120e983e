/* Authentication that the network asks for: TS 24.229 5.4.1.6.
 *
 *     operator -> contacts get less time, NOTIFY "shortened" -> the terminal registers anew -> 401
 *
 * Choice: all contacts of a private identity, or of the set of a public one. Nonces that served are
 * forgotten, and a REGISTER that a security association protects is challenged all the same. A
 * contact that does not come in time ends by its time. */
#include "node/scscf/internal.h"

static bool shorten(struct binding *b, uint32_t left_s) {
    struct scscf *s = b->set->s;
    uint64_t due_us = env_now_us(s->env) + left_s * SEC_IN_US;
    b->must_prove = true;
    scscf_forget_nonces(s, binding_text(b, BINDING_IMPI));
    if (b->expiry.due_us <= due_us) {
        return false; /* it ends sooner by itself; who comes until then is challenged */
    }
    timer_start(s->env, &b->expiry, left_s * SEC_IN_US);
    scscf_note_event(b, REGINFO_SHORTENED);
    return true;
}

struct reauthentication {
    uint32_t left_s;
    size_t contacts, shortened;
};

static void reauthenticate(void *ctx, struct binding *b) {
    struct reauthentication *r = ctx;
    r->contacts++;
    r->shortened += shorten(b, r->left_s);
}

size_t scscf_reauthenticate(struct scscf *s, struct span identity, uint32_t left_s) {
    struct reauthentication r = {.left_s = left_s};
    scscf_each_of(s, identity, reauthenticate, &r);
    if (r.contacts) {
        s->counters.reauthentications += r.contacts;
        LOG(&s->env->log, LOG_NOTICE, "re-authentication asked for", LOG_SPAN("of", identity),
            LOG_U64("contacts", r.contacts), LOG_U64("shortened", r.shortened),
            LOG_U64("seconds", left_s));
    }
    scscf_settle(s);
    return r.contacts;
}

bool scscf_must_prove(struct reg_set *set, struct span impi) {
    struct binding *bindings[REGISTRATION_CONTACTS_MAX];
    size_t n = scscf_bindings_of(set, impi, bindings);
    for (size_t i = 0; i < n; i++) {
        if (bindings[i]->must_prove) {
            return true;
        }
    }
    return false;
}
