/* What `muster bench` is made of. The core runs in child processes, this process makes the load:
 * what the core costs is read from the operating system's own account of the children.
 *
 *     bench_core_start      writes a configuration, starts `muster run` with it, adds the
 * subscribers bench_registration, bench_cx     make load, and measure while the window is open
 *     bench_window_...      what happens in the window
 */
#ifndef MUSTER_APP_BENCH_H
#define MUSTER_APP_BENCH_H

#include "app/histogram.h"
#include "base/error.h"
#include "base/span.h"
#include "codec/sip/transport.h"
#include "model/naming/naming.h"

#include <sys/types.h>

struct loop;

enum { BENCH_PROCESSES_MAX = 64, BENCH_PATH_MAX = 512 };

struct bench_options {
    uint64_t users, seconds, warmup_s;
    uint64_t outstanding; /* procedures under way at a time; the bound of an offered rate */
    double overload;      /* offered, in multiples of the rate that is served well */
    uint64_t rate;        /* procedures begun in a second; 0: as many as the core takes */
    const char *folder;   /* where the store and the log are; NULL: a new one, removed at the end */
    bool once;            /* each user has one turn: what does the first registration cost? */
    bool reg_event;       /* terminals and P-CSCF subscribe to registration state */
    bool split;           /* a process for each node */
    bool memory;          /* the store that forgets */
    enum sip_transport transport; /* of the terminals: UDP or TCP */
    /* A core that somebody else has started, whatever it is made of: */
    const char *pcscf; /* where it takes REGISTERs; NULL: a core is started here */
    const char *web;   /* of the HSS behind it, which gets the subscribers */
    const char *pids;  /* the processes whose cost counts: "12,13" */
};

struct bench_core {
    pid_t pids[BENCH_PROCESSES_MAX];
    size_t n;
    struct naming names; /* with the addresses that are used */
    struct addr web;     /* of the HSS's process */
    char folder[BENCH_PATH_MAX];
    bool reg_event;              /* its P-CSCF subscribes to registration state */
    bool remove_folder, adopted; /* adopted: started by somebody else */
    const char *store, *commit;
};

/** A subscriber of the benchmark: the nth from 0. */
struct bench_subscriber {
    char imsi[16], impi[64], impu[64], msisdn[24];
    uint8_t k[16], opc[16];
};

/** Makes a subscriber's data: the same in each run. */
void bench_subscriber(const struct bench_core *core, uint64_t n, struct bench_subscriber *out);

/** Starts the core with the nodes of these roles (bits 1 << enum naming_role; the others are known
 * to it by name, and this process may play them), adds options->users subscribers, and waits until
 * it serves. Says on stderr what went wrong. bench_core_stop in any case. */
MUST_CHECK enum error bench_core_start(const struct bench_options *options, unsigned roles,
                                       struct bench_core *core);

/** The same for a core that runs already, by options->pcscf, web and pids; it may have the
 * subscribers from an earlier run. */
MUST_CHECK enum error bench_core_adopt(const struct bench_options *options,
                                       struct bench_core *core);

/** Ends the children (not an adopted core) and removes the folder, if it was made here. False: a
 * child did not end in order; stderr has what it said. */
bool bench_core_stop(struct bench_core *core);

/** User and system time of the children so far. */
uint64_t bench_core_cpu_us(const struct bench_core *core);

/** Resident memory of the children, mapped files included. */
uint64_t bench_core_rss_bytes(const struct bench_core *core);

/** Has one of the children ended? Says so on stderr. */
bool bench_core_has_died(const struct bench_core *core);

/** Holds SIGINT and SIGTERM back, so that whoever interrupts a benchmark finds it cleaned up;
 * bench_interrupted asks for them. */
void bench_hold_signals(void);

/** Has one of them come? */
bool bench_interrupted(void);

/** Runs the loop until done(ctx) (NULL: never) or until_us. OK in both cases. ERR_CLOSED:
 * interrupted, or the core has died. */
MUST_CHECK enum error bench_run_until(struct loop *loop, const struct bench_core *core,
                                      bool (*done)(void *ctx), void *ctx, uint64_t until_us);

/** CPU time that this machine takes to send and receive a datagram over loopback, in nanoseconds;
 * what the core's costs are compared to. 0 if that cannot be measured. */
uint64_t bench_datagram_cpu_ns(void);

/* What is counted while the window is open. */
struct bench_window {
    const struct bench_core *core;
    bool open;
    uint64_t offered, done, failed;
    uint64_t opened_us, length_us; /* env_now_us */
    uint64_t cpu_us;               /* of the core */
    uint64_t rss_bytes;            /* of the core, at the end */
    uint64_t own_cpu_us;           /* of this process, to tell whether it is the bottleneck */
    struct histogram latency_us;
};

/** Opens the window. */
void bench_window_open(struct bench_window *w, const struct bench_core *core, uint64_t now_us);

/** Closes it. */
void bench_window_close(struct bench_window *w, uint64_t now_us);

/** Something was begun. */
static inline void bench_window_offered(struct bench_window *w) {
    w->offered += w->open;
}

/** Something that was begun at begun_us has succeeded. */
void bench_window_done(struct bench_window *w, uint64_t begun_us, uint64_t now_us);

/** Something failed, or could not be begun. */
static inline void bench_window_failed(struct bench_window *w) {
    w->failed += w->open;
}

/** Registrations: full ones (initial REGISTER, challenge, response) or, with `again`, of terminals
 * that are registered. */
MUST_CHECK enum error bench_registration(const struct bench_options *options,
                                         const struct bench_core *core, bool again,
                                         struct bench_window *out);

enum { BENCH_OVERLOAD_ROUNDS = 3 };

struct bench_overload_round {
    struct bench_window at_rate, over; /* at R; at a multiple of it */
    double share;                      /* served under overload, of what is served at R */
};

struct bench_overload {
    uint64_t rate; /* R: the highest that is served well, a second */
    struct bench_overload_round rounds[BENCH_OVERLOAD_ROUNDS];
    const struct bench_overload_round *median; /* of them, by share */
    struct bench_window after;                 /* at 0.9 R, 5 s later */
    bool well_after;
};

/** Finds the rate that the core serves well, offers it and options->overload times as much in turns
 * of options->seconds, and looks whether all is well again. ERR_TIMEOUT: there is no such rate. */
MUST_CHECK enum error bench_overload(const struct bench_options *options,
                                     const struct bench_core *core, struct bench_overload *out);

enum { BENCH_CHANGE_SHARE = 70 }; /* of a hundred: the load meanwhile, of the limit */

struct bench_change {
    uint64_t limit, rate;      /* registrations a second that the HSS takes; that it is offered */
    struct bench_window load;  /* at that rate */
    uint64_t changes, refused; /* of subscribers, one by one */
    struct histogram wire_us;  /* from the HTTP request to the PPR */
};

/** Changes registered subscribers while the HSS serves registrations, and measures when the PPRs
 * come. */
MUST_CHECK enum error bench_change(const struct bench_options *options,
                                   const struct bench_core *core, struct bench_change *out);

/** UAR and UAA over one TCP connection to the HSS. */
MUST_CHECK enum error bench_cx(const struct bench_options *options, const struct bench_core *core,
                               struct bench_window *out);

#endif
