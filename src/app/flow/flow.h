/* A flow: a procedure of a standard as a file that can be read, run, tested and drawn. The language
 * is described in docs/flows.md.
 *
 * This header is the file as values; run.h makes it happen. */
#ifndef MUSTER_APP_FLOW_FLOW_H
#define MUSTER_APP_FLOW_FLOW_H

#include "base/arena.h"
#include "base/error.h"
#include "codec/sip/transport.h"

enum {
    FLOW_FILE_MAX = 256 * 1024, /* bytes of a file */
    FLOW_LINE_MAX = 1000,       /* bytes of a line */
    FLOW_ITEMS_MAX = 1000,      /* steps, lines of a step, settings, ...: of each kind */
    FLOW_CONDITIONS_MAX = 24,   /* on one line */
    FLOW_FAULTS_SHOWN = 20
};

/* What a line of the ladder asks of a message. */

enum flow_condition_kind {
    FLOW_PRESENT,  /* Path; integrity-protected; Contact with expires */
    FLOW_ABSENT,   /* no Route; Authorization without response */
    FLOW_EQUAL,    /* = VALUE */
    FLOW_UNEQUAL,  /* != VALUE */
    FLOW_CONTAINS, /* ~ VALUE */
    FLOW_LACKS,    /* !~ VALUE */
    FLOW_LESS,     /* < NUMBER */
    FLOW_GREATER,  /* > NUMBER */
    FLOW_AT_MOST,  /* <= NUMBER */
    FLOW_AT_LEAST, /* >= NUMBER */
    FLOW_COUNT,    /* 2 x Public-Identity */
    FLOW_BIND,     /* nonce as first: later lines say $first */
};

/** A condition. name is a header field, an AVP, "uri", "body", or, beginning with a small letter, a
 * parameter of any header field; param a parameter of that header field, or an AVP inside that
 * group; empty: none. */
struct flow_condition {
    enum flow_condition_kind kind;
    struct span name, param, value;
    struct span text; /* as written */
};

/** How often and where a line's message comes. */
enum flow_presence {
    FLOW_ONCE,      /* here */
    FLOW_UNORDERED, /* "|": with its neighbours of the same kind in any order */
    FLOW_OPTIONAL,  /* "?": here or not at all */
    FLOW_REPEATED,  /* "*": here any number of times, or not at all */
};

/** One line of the ladder. */
struct flow_line {
    unsigned line; /* of the file */
    enum flow_presence presence;
    struct span from, to;
    struct span message; /* "REGISTER", "401", "UAR", "UAA" */
    struct span
        result; /* of a Diameter answer: "2001" or "DIAMETER_FIRST_REGISTRATION"; empty: any */
    const struct flow_condition *conditions;
    size_t n_conditions;
    struct span text; /* as written, without conditions */
};

/* Steps. */

/** What a terminal does against the rules, or what befalls its messages. */
enum flow_fault_kind {
    FLOW_WRONG_RESPONSE,    /* a digit of the response is another one; `times` requests */
    FLOW_REPLAYED_RESPONSE, /* the credentials of the last registration once more */
    FLOW_NO_RESPONSE,       /* what answers a challenge is not sent */
    FLOW_FORGED_CHALLENGE,  /* AUTN of the challenge does not verify; `times` challenges */
    FLOW_SQN_AHEAD,         /* the card has seen higher sequence numbers: it resynchronises */
    FLOW_WRONG_KEY,         /* the card's key is not the HSS's */
    FLOW_WRONG_AUTS,        /* the resynchronisation token does not verify */
    FLOW_HEADER,            /* name and value: replaces the header field, or adds it */
    FLOW_WITHOUT,           /* name: without this header field */
    FLOW_TWICE,             /* every request is sent twice */
};

struct flow_fault {
    enum flow_fault_kind kind;
    unsigned times;
    struct span name, value;
};

enum flow_action {
    FLOW_REGISTER,       /* alice register */
    FLOW_DEREGISTER,     /* alice deregister [all] */
    FLOW_VANISH,         /* alice vanishes: without a word */
    FLOW_CRASH,          /* crash NODE */
    FLOW_START,          /* start NODE */
    FLOW_RESTART,        /* restart NODE: crash and start */
    FLOW_WAIT,           /* wait 3 s; wait at most 3 s; wait */
    FLOW_PROVISION,      /* provision METHOD PATH [BODY] */
    FLOW_SUBSCRIBE,      /* NAME subscribes to IMPU [expires N]: an application server */
    FLOW_REAUTHENTICATE, /* reauthenticate ID [within 40 s]: the operator wishes it */
    FLOW_ASK,            /* ask hss as HOST: COMMAND AVP = VALUE; ... */
    FLOW_ANSWER,         /* answer HOST RESULT: what that peer answers from now on */
    FLOW_LEAVE,          /* leave HOST: that peer is gone */
    FLOW_EXPECT,         /* expect ... */
};

/** One action, or one expectation, with the lines of the ladder under it. */
struct flow_step {
    unsigned line;
    enum flow_action action;
    struct span text;       /* as written */
    struct span subject;    /* terminal or node; of `ask`: who asks */
    bool all;               /* deregister all; wait: until the lines were seen */
    uint64_t delay_us;      /* of wait; of reauthenticate */
    struct span impi, impu; /* register with another one; empty: the terminal's own. impu: of
                             * subscribes, reauthenticate */
    bool has_expires;
    uint32_t expires_s;
    const struct flow_fault *faults;
    size_t n_faults;
    struct span method, path,
        body;        /* of provision; of ask: method is the command, of answer the result */
    unsigned status; /* of provision: wanted; 0: any 2xx */
    const struct span *words; /* of expect: what is behind the subject */
    size_t n_words;
    const struct flow_condition *avps; /* of ask: what the request carries */
    size_t n_avps;
    bool compared; /* lines (or "nothing") stand under it: what is seen must be just that */
    const struct flow_line *lines;
    size_t n_lines;
};

/** `set NODE.KEY VALUE`, or `node NAME` (then key is empty). */
struct flow_setting {
    unsigned line;
    struct span node, key, value;
};

/** `terminal NAME IMPI [impu X] [expires N] [instance X] [reg-id N] [at NODE] [no refresh] [no
 * reg-event]` */
struct flow_terminal {
    unsigned line;
    struct span name, impi, impu, instance, pcscf;
    uint32_t expires_s, reg_id;
    bool no_refresh, no_retry, no_reg_event;
    enum sip_transport transport;
};

struct flow {
    struct chunk_pool chunks;
    struct arena arena;
    struct span file; /* name of the file; copied */
    struct span source;
    struct span name, title;
    const struct span *covers; /* requirement ids */
    size_t n_covers;
    struct span only_simulated; /* the reason why it does not run over sockets; empty: it does */
    bool show_dns, show_peers;  /* compare and draw DNS, and CER, DWR, DPR */
    bool show_reg_event;        /* and subscriptions to registration state */
    const struct flow_setting *settings;
    size_t n_settings;
    const struct flow_terminal *terminals;
    size_t n_terminals;
    const struct flow_step *steps;
    size_t n_steps;
};

/** Reads a flow. name is the file's, for messages. ERR_INVALID: it has faults, and *faults (to be
 * freed with free) lists them, a line each: "FILE:LINE: what is wrong; what would be right".
 * ERR_NO_MEMORY: then *faults is NULL. */
MUST_CHECK enum error flow_parse(const char *name, struct span source, struct flow **out,
                                 char **faults);

/** Reads a file. As flow_parse; ERR_NOT_FOUND, ERR_PERMISSION, ERR_IO, ERR_TOO_BIG say so in
 * *faults too. */
MUST_CHECK enum error flow_load(const char *path, struct flow **out, char **faults);

/** Frees it. NULL is allowed. */
void flow_free(struct flow *f);

#endif
