/* One SAR of a private identity at a time: what the HSS is told, and what becomes of the bindings,
 * then have one order. A REGISTER whose sender has proved himself waits here while another one of
 * the same private identity is with the HSS; the bindings are looked at when its turn comes. */
#include "node/scscf/internal.h"

enum { BEHIND_MAX = 16 };

bool scscf_take_turn(struct operation *op) {
    struct authentication *a = scscf_authentication_make(op->s, op->impi);
    size_t n = 0;
    if (!a) {
        scscf_operation_refuse(op, 500, REASON_OUT_OF_MEMORY);
        return false;
    }
    if (!a->assigning) {
        a->assigning = op;
    }
    if (a->assigning == op) {
        return true;
    }
    LIST_EACH(&a->behind, other, struct operation, behind) {
        n++;
    }
    if (n >= BEHIND_MAX) {
        scscf_operation_refuse(op, 503, REASON_IDENTITY_BUSY);
        return false;
    }
    list_insert(&a->behind, &op->behind);
    return false;
}

void scscf_end_turn(struct operation *op) {
    struct scscf *s = op->s;
    struct authentication *a = scscf_authentication(s, op->impi);
    list_remove(&op->behind);
    if (!a || a->assigning != op) {
        return;
    }
    a->assigning = NULL;
    if (list_is_empty(&a->behind)) {
        scscf_authentication_settle(a);
        return;
    }
    struct operation *next = CONTAINER_OF(a->behind.next, struct operation, behind);
    list_remove(&next->behind);
    list_insert(&s->ready, &next->behind);
    a->assigning = next;
    env_post(s->env, &s->turns); /* behind the answer to op */
}

void scscf_next_turns(struct post *post) {
    struct scscf *s = CONTAINER_OF(post, struct scscf, turns);
    while (!list_is_empty(&s->ready)) {
        struct operation *op = CONTAINER_OF(s->ready.next, struct operation, behind);
        list_remove(&op->behind);
        scscf_go_on(op);
    }
}
