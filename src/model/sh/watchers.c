/* Subscriptions of application servers: TS 29.328 6.1.3.1, 6.1.4.1.
 *
 * A notification is a mark in the watcher: how often the data has changed and how many of these
 * changes the application server has confirmed. So changes that come faster than it answers are one
 * notification, with the data as it is when it is sent, and one that never answers costs nothing
 * more. AUTHENTICATION_PENDING is soft state and comes without a commit: it is seen by a pull and
 * notified of with the next change only. */
#include "model/sh/sh.h"

bool sh_same_watcher(const struct rec_watcher_data *a, const struct rec_watcher_data *b) {
    return span_eq_nocase(a->host, b->host) && span_eq(a->identity, b->identity) &&
           a->reference == b->reference && a->identity_set == b->identity_set &&
           span_eq(a->service_indication, b->service_indication) &&
           span_eq(a->server_name, b->server_name);
}

static size_t find(const struct rec_watcher_data *list, size_t n,
                   const struct rec_watcher_data *w) {
    size_t i = 0;
    while (i < n && !sh_same_watcher(&list[i], w)) {
        i++;
    }
    return i;
}

enum error sh_watch(struct rec_watcher_data *list, size_t *n, const struct rec_watcher_data *w) {
    size_t i = find(list, *n, w);
    if (i == *n && *n >= SH_WATCHERS_MAX) {
        return ERR_TOO_BIG;
    }
    struct rec_watcher_data now = *w;
    if (i < *n) { /* what it has not heard yet is still due */
        now.changes = list[i].changes;
        now.told = list[i].told;
        now.sequence_number = list[i].sequence_number;
    }
    *n += i == *n;
    list[i] = now;
    return OK;
}

static void take_away(struct rec_watcher_data *list, size_t *n, size_t i) {
    memmove(&list[i], &list[i + 1], (*n - i - 1) * sizeof *list);
    (*n)--;
}

bool sh_unwatch(struct rec_watcher_data *list, size_t *n, const struct rec_watcher_data *w) {
    size_t i = find(list, *n, w);
    if (i == *n) {
        return false;
    }
    take_away(list, n, i);
    return true;
}

bool sh_prune(struct rec_watcher_data *list, size_t *n, struct rec_subscription now,
              int64_t now_s) {
    size_t before = *n;
    struct rec_impu impu;
    for (size_t i = *n; i-- > 0;) {
        bool over = list[i].expires && (int64_t)list[i].expires <= now_s;
        if (over || !subscription_impu(now, list[i].identity, &impu)) {
            take_away(list, n, i);
        }
    }
    return *n != before;
}

static bool mark(struct rec_watcher_data *w) {
    w->changes++;
    return true;
}

static bool same_identities(const struct rec_watcher_data *w, const struct subscription *before,
                            struct rec_impu a, const struct subscription *now, struct rec_impu b,
                            struct span *room) {
    struct span *more = room + SUBSCRIPTION_IMPUS_MAX;
    size_t n = sh_identities(before, a, w->identity_set, room);
    if (sh_identities(now, b, w->identity_set, more) != n) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        if (!span_eq(room[i], more[i])) {
            return false;
        }
    }
    return true;
}

/* Of what is notified of: the state as it is durable. */
static enum shdata_user_state durable_state(const struct subscription *s, struct rec_impu impu) {
    struct subscription without_notes = {.data = s->data, .state = s->state};
    return sh_user_state(&without_notes, impu);
}

static bool sees_a_change(const struct rec_watcher_data *w, const struct subscription *before,
                          const struct subscription *now, struct span *room) {
    struct rec_impu a, b;
    if (!subscription_impu(before->data, w->identity, &a) ||
        !subscription_impu(now->data, w->identity, &b)) {
        return false;
    }
    switch (w->reference) {
    case SH_DATA_REFERENCE_IMSPublicIdentity:
        return room && !same_identities(w, before, a, now, b, room);
    case SH_DATA_REFERENCE_IMSUserState:
        return durable_state(before, a) != durable_state(now, b);
    case SH_DATA_REFERENCE_S_CSCFName:
        return !span_eq(before->state.scscf_name, now->state.scscf_name);
    case SH_DATA_REFERENCE_InitialFilterCriteria:
        return !span_eq(rec_impu_profile(a), rec_impu_profile(b));
    case SH_DATA_REFERENCE_PSIActivation:
        return rec_impu_inactive(a) != rec_impu_inactive(b);
    default:
        return false;
    }
}

bool sh_mark(struct rec_watcher_data *list, size_t n, const struct subscription *before,
             const struct subscription *now, struct span changed_by, struct arena *arena) {
    struct span *room = NULL;
    bool any = false;
    for (size_t i = 0; i < n; i++) {
        if (list[i].reference == SH_DATA_REFERENCE_IMSPublicIdentity && !room) {
            room = arena_alloc(arena, (size_t)2 * SUBSCRIPTION_IMPUS_MAX * sizeof *room);
        }
        any |= !span_eq_nocase(list[i].host, changed_by) &&
               sees_a_change(&list[i], before, now, room) && mark(&list[i]);
    }
    return any;
}

bool sh_mark_criteria(struct rec_watcher_data *list, size_t n, struct rec_subscription s,
                      struct span profile) {
    bool any = false;
    struct rec_impu impu;
    for (size_t i = 0; i < n; i++) {
        any |= list[i].reference == SH_DATA_REFERENCE_InitialFilterCriteria &&
               subscription_impu(s, list[i].identity, &impu) &&
               span_eq(rec_impu_profile(impu), profile) && mark(&list[i]);
    }
    return any;
}

bool sh_mark_repository(struct rec_watcher_data *list, size_t n, struct rec_subscription s,
                        struct sh_owner owner, struct span service_indication, uint32_t number,
                        struct span changed_by) {
    bool any = false;
    for (size_t i = 0; i < n; i++) {
        struct rec_watcher_data *w = &list[i];
        struct rec_impu impu;
        if (sh_rules[w->reference].source != SH_REPOSITORY ||
            !span_eq(w->service_indication, service_indication) ||
            !subscription_impu(s, w->identity, &impu)) {
            continue;
        }
        struct sh_owner its = sh_owner_of(impu);
        if (its.of_aliases == owner.of_aliases && span_eq(its.name, owner.name)) {
            w->sequence_number = number;
            any |= !span_eq_nocase(w->host, changed_by) && mark(w);
        }
    }
    return any;
}
