/* A doubly linked list through a member of the listed structure. The list owns nothing. */
#ifndef MUSTER_BASE_LIST_H
#define MUSTER_BASE_LIST_H

#include "base/attribute.h"

#include <stdbool.h>
#include <stddef.h>

struct list {
    struct list *next, *prev; /* the head's neighbours are the first and the last entry */
};

/** Makes a head an empty list, or an entry one that is in no list. */
static inline void list_init(struct list *l) {
    l->next = l->prev = l;
}

/** Is the list empty, or the entry in no list? */
static inline bool list_is_empty(const struct list *l) {
    return l->next == l;
}

/** Puts entry before `at`; at the end if `at` is the head. */
static inline void list_insert(struct list *at, struct list *entry) {
    entry->prev = at->prev;
    entry->next = at;
    at->prev->next = entry;
    at->prev = entry;
}

/** Takes entry out of its list; harmless for one that is in none. */
static inline void list_remove(struct list *entry) {
    entry->prev->next = entry->next;
    entry->next->prev = entry->prev;
    list_init(entry);
}

/** Moves all entries of one list to the end of another, in their order. */
static inline void list_move_all(struct list *from, struct list *to) {
    if (!list_is_empty(from)) {
        from->next->prev = to->prev;
        to->prev->next = from->next;
        from->prev->next = to;
        to->prev = from->prev;
        list_init(from);
    }
}

/** Walks a list; `item` may be removed (and freed) in the loop, others may not. */
#define LIST_EACH(head, item, type, member)                                                        \
    for (struct list *item##_at = (head)->next, *item##_next = item##_at->next;                    \
         item##_at != (head); item##_at = item##_next, item##_next = item##_at->next)              \
        for (type *item = CONTAINER_OF(item##_at, type, member); item; item = NULL)

#endif
