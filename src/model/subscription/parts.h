/* What the files that check subscriptions share. */
#ifndef MUSTER_MODEL_SUBSCRIPTION_PARTS_H
#define MUSTER_MODEL_SUBSCRIPTION_PARTS_H

#include "model/subscription/subscription.h"

/** Printable ASCII without space, and at least one character? */
bool subscription_is_graphic(struct span s);

/** Is one of these characters in it? */
bool subscription_holds_any(struct span s, const char *set);

/** Does it look like a SIP URI that names a server? */
bool subscription_is_sip_uri(struct span s);

/** Checks the ith identity by itself. */
bool subscription_check_identity(const struct rec_impu_data *u, size_t i,
                                 struct subscription_fault *fault);

/** Checks what the type of an identity, the ith, asks of another one before it. */
bool subscription_check_identity_pair(const struct rec_impu_data *a, const struct rec_impu_data *b,
                                      size_t i, struct subscription_fault *fault);

/** Checks that wildcarded user identities stand beside distinct ones. */
bool subscription_check_wildcard_company(const struct rec_subscription_data *s,
                                         struct subscription_fault *fault);

#endif
