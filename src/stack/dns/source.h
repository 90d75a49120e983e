/* Questions to the DNS as typed exchanges: a name and a type, an answer, a deadline.
 *
 * Behind a source stands a zone in memory (zone_source.h), in the loop or in a simulation, or the
 * DNS servers of the operator (client.h). Whoever asks cannot tell which.
 *
 * An answer is cleaned here, whatever its source: only records of the name that was asked for are
 * believed, or of the name to which CNAME records of the same answer lead (at most DNS_CHAIN_MAX);
 * addresses at which nobody can be (0.0.0.0, multicast, ...), ports of 0, and what is beyond
 * DNS_BELIEVED_MAX records are left out. */
#ifndef MUSTER_STACK_DNS_SOURCE_H
#define MUSTER_STACK_DNS_SOURCE_H

#include "codec/dns/dns.h"
#include "rt/env.h"

enum { DNS_BELIEVED_MAX = 16, DNS_CHAIN_MAX = 8 };

struct dns_source;
struct dns_exchange;

/** What came back. It lives until the callback returns. */
struct dns_answer {
    /** OK: the name exists, though n may be 0; ERR_NOT_FOUND: there is no such name; ERR_TIMEOUT:
     * nobody answered in time; ERR_UNREACHABLE: no server could be asked; ERR_REFUSED: the servers
     * cannot or will not say (SERVFAIL, REFUSED); ERR_MALFORMED; ERR_BUSY; ERR_NO_MEMORY. */
    enum error error;
    const struct dns_record *records; /* all of the type that was asked for */
    size_t n;
    struct span alias;       /* n == 0: the name to ask for instead; empty: none */
    bool has_negative_ttl;   /* n == 0: negative_ttl_s is from the zone's SOA (RFC 2308) */
    uint32_t negative_ttl_s; /* how long to believe that there is nothing */
};

/** Called once, never from within dns_ask. The exchange may be used again or freed in it. */
typedef void dns_answer_fn(struct dns_exchange *x, const struct dns_answer *answer);

/** A question under way; a member of whatever waits for its answer. */
struct dns_exchange {
    struct dns_source *source; /* NULL: not under way */
    struct env *env;
    dns_answer_fn *done;
    uint64_t deadline_us; /* env_now_us */
    struct span name;     /* in text */
    enum dns_type type;
    struct timer timer; /* the deadline; a source may use it before */
    struct post post;   /* for the source */
    void *job;          /* the source's own */
    char text[DNS_NAME_MAX];
};

/** Asks. At the deadline the answer is ERR_TIMEOUT. A name that is empty or too long gives
 * ERR_NOT_FOUND. The source outlives the exchange. */
void dns_ask(struct dns_source *source, struct env *env, struct span name, enum dns_type type,
             uint64_t deadline_us, struct dns_exchange *x, dns_answer_fn *done);

/** Gives up; harmless for one that is done, or zeroed and never begun. */
void dns_cancel(struct dns_exchange *x);

/* For sources. */

struct dns_source_ops {
    /** Begins: x is filled in, its deadline timer runs. Answers later with dns_answer. */
    void (*ask)(struct dns_source *source, struct dns_exchange *x);
    /** x is given up, or its deadline has passed: no answer may follow. It may never have begun;
     * then x->job is NULL. */
    void (*cancel)(struct dns_source *source, struct dns_exchange *x);
};

/** The first member of a source. */
struct dns_source {
    const struct dns_source_ops *ops;
};

/** Hands an answer over: cleans it and calls x->done. answer->records are all that came, of
 * whatever name and type; alias is not looked at. */
void dns_answer(struct dns_exchange *x, const struct dns_answer *answer);

#endif
