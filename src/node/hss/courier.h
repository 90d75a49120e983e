/* What S-CSCFs have to hear, between the two files that tell it: courier.c has the entries of the
 * outbox, their order and their pace; telling.c has the requests and what their answers mean. */
#ifndef MUSTER_NODE_HSS_COURIER_H
#define MUSTER_NODE_HSS_COURIER_H

#include "model/subscription/difference.h"
#include "node/hss/internal.h"

/** An entry of the outbox that is loaded. */
struct news {
    struct htab_node by_subscription;
    struct list link;  /* of all that are loaded, the oldest first */
    struct list ready; /* of its S-CSCF's, while that one is told other things */
    struct hss *h;
    uint64_t number;
    struct rec_news record;
    size_t item;     /* that is being told */
    size_t impi;     /* of the item's: by whom */
    uint64_t done;   /* bits of the IMPIs of an item that a RTA has confirmed, or that are back */
    uint64_t back;   /* bits of the sets of which somebody was back before the RTR: they are sent */
    bool alone;      /* the RTR is for one private identity alone */
    bool refreshes;  /* it tells of sets that are back */
    bool fixed;      /* what was sent last names the subscription by its fixed private identity */
    bool fixed_over; /* the item is told by private identities that register: the S-CSCF does not
                      * know the fixed one, or has done with that what it could */
    uint8_t kind;    /* of the item; NEWS_USER_DATA while it refreshes */
    uint8_t set;     /* of NEWS_USER_DATA */
    struct span host; /* kept by hss_name */
    uint32_t wait_s;
    const char *why; /* it waits */
    uint64_t give_up_us;
    struct timer again;
    struct walk *walk;      /* over all subscriptions; NULL: none */
    struct news_host *slot; /* while it is told: where that counts */
    struct job *job;        /* that looks at the subscription */
    struct diameter_pending *pending;
    struct store_op op;
    char bytes[]; /* of the record */
};

/** What an item is about. */
static inline struct rec_news_item news_item(const struct news *n) {
    return rec_news_items(n->record, n->item);
}

/** By whom it is told. */
static inline struct span news_impi(const struct news *n) {
    return rec_news_item_impis(news_item(n), n->impi);
}

/* courier.c */

/** The item has been told, or need not be: the next one. */
void news_next_item(struct news *n);

/** Tells again later; gives up after a day. */
void news_later(struct news *n, const char *why);

/** Gives the item up, loudly. */
void news_give_up(struct news *n, const char *why);

/** Tells now, or when its S-CSCF has confirmed some of the other things that it is told. */
void news_tell(struct news *n);

/** It is not told any more: others have their turn. */
void news_told(struct news *n);

/* telling.c */

/** Sends the request of the item, by the subscription as it is now. */
void telling_begin(struct news *n);

#endif
