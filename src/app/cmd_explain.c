/* muster explain: a subscriber's last attempts, step by step, and what to mend. */
#include "app/journal_web.h"
#include "app/remote.h"
#include "app/sub.h"
#include "app/terminal.h"
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
    NEAR_MAX = 4000, /* identities among which a mistyped one is looked for */
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
    enum reason why; /* the first refusal, which is the innermost */
    const char *end; /* in words */
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
    *a = (struct attempt){.call_id = word(step, "call_id"), .first = at};
    return a;
}

/* What a step means for its attempt. */
static void take(struct attempt *a, const json_t *step) {
    int64_t status = number(step, "status");
    a->last_us = number(step, "at_us");
    if (is_step(step, STEP_REFUSED)) {
        a->why = a->why ? a->why : reason_in(step);
        a->end = "refused";
    } else if (is_step(step, STEP_REGISTERED) || is_step(step, STEP_REREGISTERED) ||
               is_step(step, STEP_DEREGISTERED)) {
        a->end = word(step, "step");
        a->why = REASON_NONE;
    } else if (is_step(step, STEP_CHALLENGED)) {
        a->end = "challenged";
    }
    a->over = is_step(step, STEP_ANSWERED) && status != 401;
    if (a->over && status >= 300 && !a->end) {
        a->end = "refused";
    }
}

static void take_step(struct story *story, const json_t *step, size_t at) {
    struct attempt *a = attempt_of(story, step);
    bool alone = is_step(step, STEP_ENDED);
    if (alone) { /* what happens later, without a request */
        a = new_attempt(story, step, at);
        a->over = true;
        a->why = reason_in(step);
        a->end = "ended";
        a->last_us = number(step, "at_us");
    } else {
        a = a ? a : new_attempt(story, step, at);
        take(a, step);
    }
    a->n = at - a->first + 1;
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

static const char *verdict(const struct attempt *a) {
    if (a->end && strcmp(a->end, "challenged") == 0) {
        return reason_text(REASON_CHALLENGE_UNANSWERED);
    }
    return a->why ? reason_text(a->why) : a->end ? a->end : "under way, or no answer was seen";
}

static void print_attempt(const struct story *story, const struct attempt *a) {
    const json_t *first = json_array_get(story->steps, a->first);
    int64_t from_us = number(first, "at_us");
    putchar('\n');
    print_time(number(first, "wall_us"));
    printf("  %s\n", verdict(a));
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
    if (a->end && strcmp(a->end, "challenged") == 0) {
        puts("\nWhat to mend");
        print_mend(REASON_CHALLENGE_UNANSWERED, said);
        return;
    }
    if (!a->why) {
        return;
    }
    puts("\nWhat to mend");
    print_mend(a->why, said);
    for (size_t i = a->first; i < a->first + a->n; i++) {
        const json_t *step = json_array_get(story->steps, i);
        if (belongs(a, step) && is_trouble(step)) {
            print_mend(reason_in(step), said);
        }
    }
}

/* Who is it? */

struct near {
    struct span wanted; /* an identity or, as the journal takes it, the user part of one */
    bool is_known;
    const char *names[NEAR_MAX];
    json_t *kept[NEAR_MAX];
    size_t n;
};

static void add_near(void *ctx, json_t *subscription) {
    struct near *near = ctx;
    static const char *const lists[] = {"impis", "impus"};
    for (size_t l = 0; l < COUNT_OF(lists); l++) {
        size_t i;
        json_t *item;
        json_array_foreach(json_object_get(subscription, lists[l]), i, item) {
            const json_t *name = json_object_get(item, "identity");
            struct journal_entry about = {0};
            struct span text = span_from_cstr(json_string_value(name));
            near->is_known |= span_to_cstr(text, about.impu, sizeof about.impu) &&
                              journal_is_about(&about, near->wanted);
            if (near->n < NEAR_MAX && json_is_string(name)) {
                near->kept[near->n] = json_copy((json_t *)(uintptr_t)name);
                near->names[near->n] = json_string_value(near->kept[near->n]);
                near->n++;
            }
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
    struct near *near = calloc(1, sizeof *near);
    if (!near) {
        return command_fail(EXIT_CODE_SYSTEM, "out of memory");
    }
    near->wanted = span_from_cstr(identity);
    code = sub_each(r, false, add_near, near);
    if (near->is_known) {
        printf("%s: the HSS knows it.\n", identity);
    } else {
        const char *meant = code ? NULL : command_suggest(identity, near->names, near->n);
        printf("%s: the HSS does not know it%s%s%s.\n", identity, meant ? "; did you mean " : "",
               meant ? meant : "", meant ? "?" : "");
    }
    for (size_t i = 0; i < near->n; i++) {
        json_decref(near->kept[i]);
    }
    free(near);
    return EXIT_CODE_OK;
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
    int code = EXIT_CODE_OK;
    if (story->n == 0) {
        printf("Nothing about %s is in the journal.\n", identity);
        code = say_who(&o->remote, identity);
        code = code ? code : EXIT_CODE_FAILED;
    } else {
        const struct attempt *last = &story->attempts[story->n - 1];
        printf("%s: %s\n", identity, verdict(last));
        size_t shown = o->last < story->n ? (size_t)o->last : story->n;
        for (size_t i = story->n - shown; i < story->n; i++) {
            print_attempt(story, &story->attempts[i]);
        }
        print_what_to_mend(story, last);
        bool fine = !last->why && !(last->end && strcmp(last->end, "challenged") == 0);
        code = fine ? EXIT_CODE_OK : EXIT_CODE_FAILED;
    }
    free(story);
    return code;
}

/* The journal of one process, in *steps. */
static int read_journal(const struct remote *r, const char *path, json_t **steps) {
    int code = sub_call(r, "GET", path, NULL, steps);
    if (!code && !json_is_array(*steps)) {
        json_decref(*steps);
        *steps = NULL;
        code = command_fail(EXIT_CODE_FAILED, "%s is no journal of Muster", r->base);
    }
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

/* Adds the journals of the other processes. */
static int add_journals(const char *addresses, const char *path, json_t **steps) {
    struct span rest = span_from_cstr(addresses);
    int code = EXIT_CODE_OK;
    while (!code && rest.n) {
        char address[96];
        struct remote r = {.web = address};
        struct span one = span_trim(span_slice(rest, 0, span_find_char(rest, ',')));
        rest = span_after(rest, span_find_char(rest, ',') + 1);
        json_t *more = NULL;
        if (!span_to_cstr(one, address, sizeof address)) {
            return command_fail(EXIT_CODE_USAGE, "--also: an address is too long");
        }
        code = remote_open(&r);
        code = code ? code : read_journal(&r, path, &more);
        if (!code && json_array_extend(*steps, more) != 0) {
            code = command_fail(EXIT_CODE_SYSTEM, "out of memory");
        }
        json_decref(more);
    }
    return code ? code : in_order(steps);
}

static int explain(const struct options *o, const char *identity) {
    char path[512];
    struct buf b = buf_init(path, sizeof path - 1);
    buf_cstr(&b, "/journal?identity=");
    web_encode(&b, span_from_cstr(identity));
    if (b.overflow) {
        return command_fail(EXIT_CODE_USAGE, "the identity is too long");
    }
    path[b.n] = '\0';
    json_t *steps = NULL;
    int code = read_journal(&o->remote, path, &steps);
    if (!code && o->also) {
        code = add_journals(o->also, path, &steps);
    }
    if (!code && o->json) {
        sub_print_json(steps);
    } else if (!code) {
        code = tell(o, identity, steps);
    }
    json_decref(steps);
    return code;
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
                "how far, why it refused, and what to mend. IDENTITY is an IMPI, an IMPU, or the\n"
                "user part of one. Exit code 1 if the last attempt failed.",
        .options = options,
        .examples =
            "  muster explain alice.smith\n"
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
