/* A network in virtual time with faults: terminals that register and keep registered behind lossy
 * links, nodes that crash and come back, connections that break. What must hold is watched all the
 * time; a seed gives the same run again.
 *
 * A run has a storm, in which faults happen, and a calm without new ones (links at the terminals'
 * side stay lossy), at whose end everybody must be registered: at the terminal, at the S-CSCF and
 * in the HSS. Meanwhile subscribers and service profiles change (simulation_writes.h), and in the
 * end all must believe what the HSS holds (simulation_truth.h). */
#ifndef MUSTER_APP_SIMULATION_H
#define MUSTER_APP_SIMULATION_H

#include "app/simulation_watch.h"
#include "obs/ladder.h"

enum simulation_fault {
    SIMULATION_LOSS = 1 << 0,      /* datagrams of terminals are lost */
    SIMULATION_DUPLICATE = 1 << 1, /* arrive twice */
    SIMULATION_REORDER = 1 << 2,   /* are late, and overtake each other */
    SIMULATION_CRASH = 1 << 3,     /* S-CSCF, HSS, I-CSCF and P-CSCF crash and come back */
    SIMULATION_CUT = 1 << 4,       /* connections break: Diameter, SIP between nodes, terminals' */
    SIMULATION_PARTITION = 1 << 5, /* nothing gets through between two nodes for a while */
    SIMULATION_CLOCK = 1 << 6,     /* the wall clock jumps, by an hour or a day, both ways */
    SIMULATION_ALL_FAULTS = (1 << 7) - 1,
};

struct simulation_options {
    uint64_t seed;
    unsigned faults;    /* enum simulation_fault, or-ed */
    uint32_t users;     /* terminals; 1 to 10000 */
    uint32_t storm_s;   /* virtual time */
    uint32_t writes;    /* changes of subscribers and profiles in a virtual minute; 0: none */
    bool reg_event;     /* terminals and P-CSCF subscribe to registration state; writes need it */
    bool keep_messages; /* for a ladder of the end */
};

struct simulation_report {
    bool passed;
    char fault[512]; /* what did not hold, and when; empty if passed */
    uint64_t registrations, crashes, cuts, partitions, datagrams, lost, events;
    uint64_t vectors;     /* authentication vectors whose SQN was looked at */
    uint64_t assignments; /* that the HSS acknowledged */
    uint64_t writes;      /* changes that the HSS confirmed */
    uint64_t virtual_us;
    uint64_t digest; /* of all messages, in order: equal runs have equal ones */
};

/** The bit of a fault's name ("loss", "crash"); 0 for other names. */
unsigned simulation_fault_of(struct span name);

/** Names of the faults, NULL at the end. */
extern const char *const simulation_fault_names[];

/** Runs one. OK: it ran, see *out; the ladder (may be NULL; ladder_free) gets the newest messages
 * if they were kept. ERR_NO_MEMORY; other errors: the network does not start. */
MUST_CHECK enum error simulation_run(const struct simulation_options *options,
                                     struct simulation_report *out, struct ladder **ladder);

#endif
