/* Strangers that are to look like subscribers (unknown-users: challenge, hardening HA6): which
 * S-CSCF asked for their credentials, so that their second REGISTER goes where the first one went.
 * A subscriber's note of that is in its subscription; here is a table of fixed size, in which a
 * stranger may push out another one, who then sees what a subscriber sees after a crash. */
#include "node/hss/internal.h"

#include <stdlib.h>

enum { DECOYS = 1024 };

struct decoy {
    uint64_t impi;      /* its hash */
    uint64_t until_us;  /* as long as a subscriber's note */
    struct span server; /* the HSS's (hss_name) */
};

static struct decoy *slot_of(struct hss *h, uint64_t impi) {
    return &h->decoys[impi % DECOYS];
}

void decoy_note(struct hss *h, struct span impi, struct span server) {
    struct span name = hss_name(h, server);

    if (!h->decoys) {
        h->decoys = calloc(DECOYS, sizeof *h->decoys);
    }
    if (h->decoys && name.n) {
        uint64_t hash = hash_bytes(impi);
        *slot_of(h, hash) =
            (struct decoy){hash, env_now_us(h->env) + h->config.auth_pending_s * SEC_IN_US, name};
    }
}

struct span decoy_server(struct hss *h, struct span impi) {
    uint64_t hash = hash_bytes(impi);
    const struct decoy *d = h->decoys ? slot_of(h, hash) : NULL;

    return d && d->impi == hash && env_now_us(h->env) < d->until_us ? d->server : SPAN_NONE;
}
