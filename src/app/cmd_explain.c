/* muster explain: a subscriber's last attempts, step by step, and what to mend. */
#include "app/journal_web.h"
#include "app/remote.h"
#include "app/sub.h"
#include "app/terminal.h"
#include "app/who.h"
#include "obs/reason.h"
#include "stack/http/web.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    ATTEMPTS_SHOWN = 3,
    ATTEMPTS_MAX = 64,
    GAP_US = 40000000, /* steps of one request that are further apart are of different attempts */
    COLUMNS = 90,
    NAMES_MAX = 400,
    ALSO_MAX = 16, /* further processes */
    JOURNAL_TIMEOUT_S = 30,
};

struct options {
    struct remote remote;
    const char *also; /* other processes of the network: "ADDRESS,ADDRESS" */
    uint64_t last;
    bool json, reasons;
};

/* Steps that belong to one try of a terminal: challenge and answer are one. */
struct attempt {
    const char *call_id;
    size_t first, n; /* steps; n counts those up to the last one that is of it */
    int64_t last_us; /* at_us of the last one: the wall clock may jump */
    bool over;
    enum reason why;   /* the first refusal, which is the innermost */
    enum reason doubt; /* why the terminal was challenged once more */
    unsigned relayed;  /* status of the home network's last answer, as a P-CSCF saw it; 0: none */
    bool home;         /* there are steps of nodes behind the P-CSCF */
    bool aside;        /* no attempt: a subscription to a registration's state, or what its user
                        * has ended himself */
    const char *impi, *impu; /* who tried; empty: not known */
    const char *end;         /* in words */
};

struct story {
    const json_t *steps;
    struct attempt attempts[ATTEMPTS_MAX];
    size_t n;
};

static const char *word(const json_t *step, const char *name) {
    const char *s = json_string_value(json_object_get(step, name));
    return s ? s : "";
}

static int64_t number(const json_t *step, const char *name) {
    return json_integer_value(json_object_get(step, name));
}

static bool is_step(const json_t *step, enum journal_step s) {
    return strcmp(word(step, "step"), journal_step_name(s)) == 0;
}

static enum reason reason_in(const json_t *step) {
    return reason_of(span_from_cstr(word(step, "reason")));
}

/* Attempts. */

static struct attempt *attempt_of(struct story *story, const json_t *step) {
    const char *call_id = word(step, "call_id");
    for (size_t i = story->n; i > 0; i--) {
        struct attempt *a = &story->attempts[i - 1];
        if (!*call_id ? !a->over : strcmp(a->call_id, call_id) == 0) {
            bool begins = is_step(step, STEP_REGISTER_RECEIVED) && a->over;
            return begins || number(step, "at_us") - a->last_us > GAP_US ? NULL : a;
        }
    }
    return NULL;
}

static struct attempt *new_attempt(struct story *story, const json_t *step, size_t at) {
    if (story->n == ATTEMPTS_MAX) {
        memmove(story->attempts, story->attempts + 1, (ATTEMPTS_MAX - 1) * sizeof *story->attempts);
        story->n--;
    }
    struct attempt *a = &story->attempts[story->n++];
    *a = (struct attempt){.call_id = word(step, "call_id"), .first = at, .impi = "", .impu = ""};
    return a;
}

/* An answer goes to the terminal. It says how the attempt ended if no other node does. */
static void take_answer(struct attempt *a, unsigned status) {
    bool open = !a->end || strcmp(a->end, "challenged") == 0;
    a->relayed = status;
    if (open && !a->why) {
        a->end = status == 401 ? "challenged" : status < 300 ? "accepted" : "refused";
    }
}

/* The I-CSCF asks where to send a subscription to registration state. */
static bool is_subscription(const json_t *step) {
    return is_step(step, STEP_HSS_ASKED) && strcmp(word(step, "detail"), "LIR") == 0;
}

/* What a step means for its attempt. */
static void take(struct attempt *a, const json_t *step) {
    int64_t status = number(step, "status");
    a->last_us = number(step, "at_us");
    a->home |= is_step(step, STEP_HSS_ASKED) || is_step(step, STEP_CHALLENGED) ||
               is_step(step, STEP_REGISTERED) || is_step(step, STEP_DEREGISTERED);
    a->impi = *word(step, "impi") ? word(step, "impi") : a->impi;
    a->impu = *word(step, "impu") ? word(step, "impu") : a->impu;
    if (is_step(step, STEP_REFUSED)) {
        a->why = a->why ? a->why : reason_in(step);
        a->end = "refused";
    } else if (is_step(step, STEP_AUTHENTICATED)) {
        a->doubt = reason_in(step) == REASON_WRONG_RESPONSE ? REASON_WRONG_RESPONSE : REASON_NONE;
    } else if (is_step(step, STEP_REGISTERED) || is_step(step, STEP_REREGISTERED) ||
               is_step(step, STEP_DEREGISTERED)) {
        a->end = word(step, "step");
        a->why = REASON_NONE;
    } else if (is_step(step, STEP_CHALLENGED)) {
        a->end = "challenged";
    }
    if (is_step(step, STEP_ANSWERED)) {
        take_answer(a, (unsigned)status);
    }
    a->over = is_step(step, STEP_ANSWERED) && status != 401;
    if (is_subscription(step)) {
        a->aside = true;
        a->end = "a subscription to the registration's state, sent on to the S-CSCF";
    }
    a->aside = a->aside && !a->why;
}

/* The time for an answer to its challenge is over. */
static bool ends_waiting(const struct attempt *a, const json_t *step) {
    return a && reason_in(step) == REASON_CHALLENGE_UNANSWERED && a->end &&
           strcmp(a->end, "challenged") == 0 && strcmp(a->impi, word(step, "impi")) == 0;
}

static void take_step(struct story *story, const json_t *step, size_t at) {
    struct attempt *a = attempt_of(story, step);
    bool alone = is_step(step, STEP_ENDED);
    if (alone && ends_waiting(a, step)) {
        a->over = true;
        a->last_us = number(step, "at_us");
    } else if (alone) { /* what happens later, without a request */
        a = new_attempt(story, step, at);
        a->over = true;
        a->why = reason_in(step);
        a->end = "ended";
        a->aside = strcmp(word(step, "detail"), "unregistered") == 0;
        a->last_us = number(step, "at_us");
        a->impi = word(step, "impi");
        a->impu = word(step, "impu");
        a->home = true;
    } else {
        a = a ? a : new_attempt(story, step, at);
        take(a, step);
    }
    a->n = at - a->first + 1;
}

/* Who asks wants to hear of attempts to register, if there are any. */
static void leave_out_asides(struct story *story) {
    size_t n = 0;
    for (size_t i = 0; i < story->n; i++) {
        if (!story->attempts[i].aside) {
            story->attempts[n++] = story->attempts[i];
        }
    }
    story->n = n ? n : story->n;
}

static bool belongs(const struct attempt *a, const json_t *step) {
    const char *call_id = word(step, "call_id");
    return !*call_id || strcmp(call_id, a->call_id) == 0;
}

/* Telling. */

static void print_time(int64_t wall_us) {
    char text[32];
    time_t s = (time_t)(wall_us / 1000000);
    struct tm tm;
    strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", localtime_r(&s, &tm));
    printf("%s.%03d", text, (int)(wall_us / 1000 % 1000));
}

/* Is it something that a person may have to mend? */
static bool is_trouble(const json_t *step) {
    return is_step(step, STEP_REFUSED) || is_step(step, STEP_ENDED) ||
           strcmp(word(step, "reason"), reason_name(REASON_WRONG_RESPONSE)) == 0;
}

static void print_step(const json_t *step, int64_t from_us) {
    enum reason why = reason_in(step);
    int64_t status = number(step, "status");
    const char *detail = word(step, "detail");
    const char *text = word(step, "step");
    for (unsigned s = 0; s < STEPS; s++) {
        if (strcmp(text, journal_step_name((enum journal_step)s)) == 0) {
            text = journal_step_text((enum journal_step)s);
            break;
        }
    }
    printf("  %9.1f ms  %-8s ", (double)(number(step, "at_us") - from_us) / 1e3,
           word(step, "node"));
    terminal_print(span_from_cstr(text));
    if (status) {
        printf(" %lld", (long long)status);
    }
    if (*detail) {
        bool is_address = strchr(detail, ':') != NULL; /* of a terminal; else a visited network */
        fputs(!is_step(step, STEP_REGISTER_RECEIVED) ? ": "
              : is_address                           ? " from "
                                                     : " through ",
              stdout);
        terminal_print(span_from_cstr(detail));
    }
    if (why) {
        printf("%s %s", *detail ? "," : ":", reason_text(why));
    }
    if (why && is_trouble(step)) {
        printf(" [%s]", reason_name(why));
    }
    putchar('\n');
}

/* Why it failed, as far as a reason is known. A challenge that nobody answered has the reason for
 * which it was sent again. */
static enum reason cause(const struct attempt *a) {
    if (a->end && strcmp(a->end, "challenged") == 0) {
        return a->doubt ? a->doubt : REASON_CHALLENGE_UNANSWERED;
    }
    return a->why;
}

/* By an answer of which no more is known here than its status. */
static bool ended_elsewhere(const struct attempt *a) {
    return a->end && !a->why && !a->home && a->relayed && strcmp(a->end, "challenged") != 0;
}

static bool has_failed(const struct attempt *a) {
    return cause(a) || (a->end && strcmp(a->end, "refused") == 0);
}

static void print_verdict(const struct attempt *a) {
    enum reason why = cause(a);
    fputs(why ? reason_text(why) : a->end ? a->end : "under way, or no answer was seen", stdout);
    if (ended_elsewhere(a)) {
        printf(" with %u by the home network", a->relayed);
    }
    putchar('\n');
}

/* "alice.smith@home as sip:alice@home" */
static void print_who(const struct attempt *a) {
    if (*a->impi || *a->impu) {
        fputs("  ", stdout);
        terminal_print(span_from_cstr(a->impi));
        fputs(!*a->impu ? "" : *a->impi ? " as " : "as ", stdout);
        terminal_print(span_from_cstr(a->impu));
        putchar('\n');
    }
}

static void print_attempt(const struct story *story, const struct attempt *a) {
    const json_t *first = json_array_get(story->steps, a->first);
    int64_t from_us = number(first, "at_us");
    putchar('\n');
    print_time(number(first, "wall_us"));
    fputs("  ", stdout);
    print_verdict(a);
    print_who(a);
    for (size_t i = a->first; i < a->first + a->n; i++) {
        const json_t *step = json_array_get(story->steps, i);
        if (belongs(a, step)) {
            print_step(step, from_us);
        }
    }
}

/* In lines of about 80 columns. */
static void print_wrapped(const char *text) {
    for (struct span rest = span_from_cstr(text); rest.n;) {
        size_t n = rest.n <= COLUMNS ? rest.n : COLUMNS;
        while (n < rest.n && n > 0 && rest.p[n] != ' ') {
            n--;
        }
        n = n ? n : rest.n;
        printf("    %.*s\n", (int)n, rest.p);
        rest = span_trim(span_after(rest, n));
    }
}

static void print_mend(enum reason why, bool *said) {
    if (why && !said[why]) {
        said[why] = true;
        printf("  %s: %s\n", reason_name(why), reason_text(why));
        print_wrapped(reason_mend(why));
    }
}

static void print_what_to_mend(const struct story *story, const struct attempt *a) {
    bool said[REASONS] = {false};
    if (!cause(a)) {
        return;
    }
    puts("\nWhat to mend");
    print_mend(cause(a), said);
    for (size_t i = a->first; i < a->first + a->n; i++) {
        const json_t *step = json_array_get(story->steps, i);
        if (belongs(a, step) && is_trouble(step)) {
            print_mend(reason_in(step), said);
        }
    }
}

/* Who is it? */

struct near {
    struct span wanted;
    bool is_known;
    char names[NAMES_MAX]; /* the identities that it fits */
    struct who_guess guess;
};

static void add_near(void *ctx, json_t *subscription) {
    struct near *near = ctx;
    static const char *const lists[] = {"impis", "impus"};
    for (size_t l = 0; l < COUNT_OF(lists); l++) {
        size_t i;
        json_t *item;
        json_array_foreach(json_object_get(subscription, lists[l]), i, item) {
            struct span name = sub_text(item, "identity");
            size_t at = strlen(near->names);
            if (who_fits(near->wanted, name)) {
                near->is_known = true;
                snprintf(near->names + at, sizeof near->names - at, "%s%.*s", at ? ", " : "",
                         SPAN_ARG(name));
            }
            who_guess_add(&near->guess, name);
        }
    }
}

/* Says whether the HSS knows it, and what was meant if it does not. An exit code. */
static int say_who(const struct remote *r, const char *identity) {
    char path[512];
    struct buf b = buf_init(path, sizeof path - 1);
    buf_cstr(&b, "/subscriptions?identity=");
    web_encode(&b, span_from_cstr(identity));
    path[b.overflow ? 0 : b.n] = '\0';
    struct web_reply reply;
    int code = remote_call(r, "GET", path, SPAN_NONE, 30, &reply);
    if (code) {
        return code;
    }
    unsigned status = reply.status;
    web_reply_free(&reply);
    if (status == 200) {
        printf("%s: the HSS knows it.\n", identity);
        return EXIT_CODE_OK;
    }
    if (status != 404) {
        printf("%s: this process has no HSS; that of the process that has one knows who it is.\n",
               identity);
        return EXIT_CODE_OK;
    }
    struct near near = {.wanted = span_from_cstr(identity), .guess.wanted = identity};
    code = sub_each(r, NULL, add_near, &near);
    if (near.is_known) {
        printf("%s: the HSS knows it: %s.\n", identity, near.names);
    } else if (!code) {
        const char *meant = who_guess_best(&near.guess);
        printf("%s: the HSS does not know it%s%s%s\n", identity, meant ? "; did you mean " : "",
               meant ? meant : "", meant ? "?" : ".");
    }
    return code;
}

/* The command. */

static int list_reasons(void) {
    for (unsigned r = REASON_NONE + 1; r < REASONS; r++) {
        printf("%s (%s)\n  %s\n  %s\n", reason_name((enum reason)r), reason_nodes((enum reason)r),
               reason_text((enum reason)r), reason_mend((enum reason)r));
    }
    return EXIT_CODE_OK;
}

static int tell(const struct options *o, const char *identity, const json_t *steps) {
    struct story *story = calloc(1, sizeof *story);
    if (!story) {
        return command_fail(EXIT_CODE_SYSTEM, "out of memory");
    }
    story->steps = steps;
    for (size_t i = 0; i < json_array_size(steps); i++) {
        take_step(story, json_array_get(steps, i), i);
    }
    leave_out_asides(story);
    int code = EXIT_CODE_OK;
    if (story->n == 0) {
        printf("Nothing about %s is in the journal.\n", identity);
        code = say_who(&o->remote, identity);
        code = code ? code : EXIT_CODE_FAILED;
    } else {
        const struct attempt *last = &story->attempts[story->n - 1];
        printf("%s: ", identity);
        print_verdict(last);
        size_t shown = o->last < story->n ? (size_t)o->last : story->n;
        for (size_t i = story->n - shown; i < story->n; i++) {
            print_attempt(story, &story->attempts[i]);
        }
        print_what_to_mend(story, last);
        if (ended_elsewhere(last) || (!last->home && last->end && !o->also && !last->why)) {
            puts("\nThe nodes of the home network run in other processes: --also ADDRESS,... tells "
                 "their part.");
        }
        code = has_failed(last) ? EXIT_CODE_FAILED : EXIT_CODE_OK;
    }
    free(story);
    return code;
}

/* The journal of one process, in *steps. A process that does not answer is in *silent, and not a
 * word of it is said; else an exit code. */
static int read_journal(const struct remote *r, const char *path, json_t **steps,
                        enum error *silent) {
    struct web_reply reply;
    *silent = remote_try(r, "GET", path, SPAN_NONE, JOURNAL_TIMEOUT_S, &reply);
    if (*silent) {
        return EXIT_CODE_OK;
    }
    int code = reply.status >= 300 ? remote_refused(&reply) : EXIT_CODE_OK;
    *steps = code ? NULL : json_loadb(reply.body, reply.body_n, JSON_REJECT_DUPLICATES, NULL);
    if (!code && !json_is_array(*steps)) {
        json_decref(*steps);
        *steps = NULL;
        code = command_fail(EXIT_CODE_FAILED, "%s is no journal of Muster", r->base);
    }
    web_reply_free(&reply);
    return code;
}

static int by_wall(const void *left, const void *right) {
    int64_t a = number(*(json_t *const *)left, "wall_us");
    int64_t b = number(*(json_t *const *)right, "wall_us");
    return a < b ? -1 : a > b;
}

/* Several journals as one: what holds them together is the wall clock. */
static int in_order(json_t **steps) {
    size_t n = json_array_size(*steps), i;
    json_t **list = calloc(n + 1, sizeof(json_t *)), *out = json_array(), *step;
    bool good = list && out;
    json_array_foreach(*steps, i, step) {
        if (good) {
            list[i] = step;
        }
    }
    if (good) {
        qsort(list, n, sizeof(json_t *), by_wall);
    }
    for (i = 0; good && i < n; i++) {
        json_t *at = json_integer(number(list[i], "wall_us"));
        good =
            json_object_set_new(list[i], "at_us", at) == 0 && json_array_append(out, list[i]) == 0;
    }
    free(list);
    json_decref(*steps);
    *steps = out;
    return good ? EXIT_CODE_OK : command_fail(EXIT_CODE_SYSTEM, "out of memory");
}

/* Those that do not answer. */
struct silent {
    struct remote remotes[ALSO_MAX];
    enum error why[ALSO_MAX];
    size_t n;
};

static int say_silent(const struct silent *s) {
    int code = EXIT_CODE_OK;
    for (size_t i = 0; i < s->n; i++) {
        int one = remote_failed(&s->remotes[i], s->why[i]);
        code = code ? code : one;
    }
    return code;
}

/* Adds the journals of the other processes. */
static int add_journals(const struct remote *like, const char *addresses, const char *path,
                        json_t **steps, struct silent *silent) {
    struct span rest = span_from_cstr(addresses);
    int code = EXIT_CODE_OK;
    for (size_t n = 0; !code && rest.n; n++) {
        char address[96];
        struct remote r = {.web = address, .token_file = like->token_file, .trust = like->trust};
        struct span one = span_trim(span_slice(rest, 0, span_find_char(rest, ',')));
        rest = span_after(rest, span_find_char(rest, ',') + 1);
        json_t *more = NULL;
        enum error e = OK;
        if (n == ALSO_MAX || !span_to_cstr(one, address, sizeof address)) {
            return command_fail(EXIT_CODE_USAGE, n == ALSO_MAX ? "--also: too many addresses"
                                                               : "--also: an address is too long");
        }
        code = remote_open(&r);
        code = code ? code : read_journal(&r, path, &more, &e);
        if (!code && e) {
            silent->why[silent->n] = e;
            silent->remotes[silent->n++] = r;
        } else if (!code && json_array_extend(*steps, more) != 0) {
            code = command_fail(EXIT_CODE_SYSTEM, "out of memory");
        }
        json_decref(more);
    }
    return code ? code : in_order(steps);
}

static int explain(const struct options *o, const char *identity) {
    char path[512];
    struct buf b = buf_init(path, sizeof path);
    struct silent silent = {.n = 0};
    buf_cstr(&b, "/journal?identity=");
    web_encode(&b, span_from_cstr(identity));
    buf_char(&b, '\0');
    if (b.overflow) {
        return command_fail(EXIT_CODE_USAGE, "the identity is too long");
    }
    json_t *steps = NULL;
    enum error e = OK;
    int code = read_journal(&o->remote, path, &steps, &e);
    code = e ? remote_failed(&o->remote, e) : code;
    if (!code && o->also) {
        code = add_journals(&o->remote, o->also, path, &steps, &silent);
    }
    if (!code && o->json) {
        sub_print_json(steps);
    } else if (!code) {
        code = tell(o, identity, steps);
    }
    json_decref(steps);
    int unheard = say_silent(&silent); /* what is known was told before */
    return unheard ? unheard : code;
}

int cmd_explain(const struct command *self, int argc, char **argv) {
    struct options o = {.last = ATTEMPTS_SHOWN};
    const struct option_def options[] = {
        NUMBER_OPTION("last", "N", "so many attempts (3)", &o.last, ATTEMPTS_MAX),
        FLAG_OPTION("json", "the steps as JSON", &o.json),
        {.name = "also",
         .value = "ADDRESS,...",
         .help = "the web interfaces of further processes that run nodes of this network",
         .kind = OPTION_TEXT,
         .out = &o.also},
        FLAG_OPTION("reasons", "list all reasons there are, and what mends them", &o.reasons),
        REMOTE_OPTIONS(&o.remote),
        {0},
    };
    const struct usage usage = {
        .arguments = "IDENTITY | --reasons",
        .text = "Tells what became of a subscriber's last attempts, step by step: which node went\n"
                "how far, why it refused, and what to mend. IDENTITY is an IMPI, an IMPU, the\n"
                "user part of one, or its beginning up to a dot. Exit code 1 if the last attempt\n"
                "failed, 4 if a process does not answer.",
        .options = options,
        .examples = "  muster explain alice\n"
                    "  muster explain tel:+447700900101 --last 10\n"
                    "  muster explain alice.smith --also 127.0.0.1:8081,127.0.0.1:8082\n"
                    "  muster explain --reasons",
        .max_args = 1,
    };
    struct args rest;
    int code;
    if (!command_parse(self, &usage, argc, argv, &rest, &code)) {
        return code;
    }
    if (o.reasons) {
        return list_reasons();
    }
    if (rest.n == 0) {
        return command_usage_error(self, "whose attempts? muster explain IDENTITY");
    }
    code = remote_open(&o.remote);
    return code ? code : explain(&o, rest.v[0]);
}
