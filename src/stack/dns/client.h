/* The operator's DNS servers as a source, through c-ares: queries over UDP, over TCP when an answer
 * was cut short, again after a time without an answer, from one server to the next.
 *
 * It belongs to a loop and to nobody's environment; answers come in the loop's turns. Nothing
 * blocks. */
#ifndef MUSTER_STACK_DNS_CLIENT_H
#define MUSTER_STACK_DNS_CLIENT_H

#include "rt/loop.h"
#include "stack/dns/source.h"

enum { DNS_SERVERS_MAX = 8, DNS_CLIENT_QUESTIONS_MAX = 512 };

struct dns_client_config {
    const struct addr *servers; /* copied; port 0: 53 */
    size_t n_servers;           /* 1 to DNS_SERVERS_MAX */
    uint32_t timeout_ms;        /* of the first attempt at each server, doubled later; 0: 2000 */
    uint32_t attempts;          /* at each server; 0: 2 */
};

struct dns_client;

/** Makes a client. env is one for its timers, which it alone uses. ERR_NO_MEMORY; ERR_INVALID. */
MUST_CHECK enum error dns_client_new(struct loop *loop, struct env *env,
                                     const struct dns_client_config *config,
                                     struct dns_client **out);

/** Frees it, before its env; exchanges under way must have been cancelled. NULL is allowed. */
void dns_client_free(struct dns_client *c);

/** The client as a source. */
struct dns_source *dns_client_source(struct dns_client *c);

struct dns_client_counters {
    uint64_t asked, answered, failed, malformed;
};

/** What has happened so far. */
const struct dns_client_counters *dns_client_counters(const struct dns_client *c);

#endif
