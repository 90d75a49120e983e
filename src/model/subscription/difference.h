/* What a change of a live subscription means to the S-CSCF that serves it: TS 29.228 6.1.3 (RTR),
 * 6.2.2 (PPR), 6.5.2.
 *
 * The unit of a profile is an implicit registration set: its whole User-Data is sent again. What
 * cannot be told so is told by ending registrations:
 *
 *     an identity is added to a set, or leaves it; aliasing,       User-Data of the set
 *     barring, display name or service profile of one changes
 *     the default public identity leaves its set, or another       termination of the set
 *     one becomes the default; a set ends
 *     a private identity ends, or may not register a set any more  termination for it alone
 *     SIP Digest credentials of a private identity change          credentials
 *     charging functions change                                    charging
 *     a key of AKA changes                                         nothing: the next MAR has it; or
 *                                                                  termination, as the policy says
 *     an S-CSCF needs more capabilities than before, or the        change of server for the whole
 *     assigned one is not among those that are named now           subscription, as the policy says
 *
 * Pure: values in, values out. */
#ifndef MUSTER_MODEL_SUBSCRIPTION_DIFFERENCE_H
#define MUSTER_MODEL_SUBSCRIPTION_DIFFERENCE_H

#include "model/subscription/subscription.h"
#include "spec/cx.h"

/** What the S-CSCF is told. */
enum news_kind {
    NEWS_USER_DATA,   /* PPR with the User-Data of a set as it is when it is sent */
    NEWS_CHARGING,    /* PPRs with Charging-Information, until every set is reached */
    NEWS_CREDENTIALS, /* PPR with SIP-Auth-Data-Item of the first IMPI */
    NEWS_TERMINATION, /* RTR for all IMPIs and IMPUs of the item */
    NEWS_PROFILE,     /* a service profile, whose name is in impus: everybody who has it is told */
    NEWS_KINDS
};

/** Choices that the standards leave to the operator. */
struct subscription_policy {
    bool key_ends;     /* a changed key of AKA ends the registrations of its private identity */
    bool servers_stay; /* changed capabilities count at the next registration only */
};

/** What follows from a change. */
struct subscription_difference {
    struct rec_news_item_data *items; /* in the order in which they are sent: terminations first */
    size_t n;
    struct registration state; /* what is left of the registration state */
};

/** Compares. before is the subscription as it was, with its registration state; now its new static
 * data, in the same slots, NULL if it is gone; policy NULL: all is false. Spans of the result point
 * into before's data and state; arrays stand in the arena. Nothing is registered: no items.
 * ERR_NO_MEMORY. */
MUST_CHECK enum error subscription_differ(const struct subscription *before,
                                          const struct rec_subscription *now,
                                          const struct subscription_policy *policy,
                                          struct arena *arena, struct subscription_difference *out);

/** What an operator, or an S-CSCF that cannot take the data, has ended. */
struct subscription_ending {
    enum cx_reason_code reason; /* PERMANENT_TERMINATION: the sets, for the private identities;
                                 * what is served unregistered gets REMOVE_S-CSCF. REMOVE_S-CSCF:
                                 * only that. SERVER_CHANGE: the whole subscription */
    uint64_t impis, sets;       /* bits of slots */
    struct span text;           /* for people (Reason-Info); may be empty */
};

/** Ends registrations (6.1.3: the HSS makes them "not registered" and tells the S-CSCF). Nothing
 * that is meant is registered: no items. ERR_NO_MEMORY. */
MUST_CHECK enum error subscription_end(const struct subscription *before,
                                       const struct subscription_ending *what, struct arena *arena,
                                       struct subscription_difference *out);

/** The same when the content of a service profile has changed: User-Data of each set of s that has
 * it and is registered. ERR_NO_MEMORY. */
MUST_CHECK enum error subscription_differ_by_profile(const struct subscription *s,
                                                     struct span profile, struct arena *arena,
                                                     struct subscription_difference *out);

#endif
