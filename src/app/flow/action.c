/* Actions and expectations: what happens, line by line at the margin. */
#include "app/flow/parse.h"

#include "rt/env.h"

/* What a terminal does with or against the rules: the words behind "with". */

static bool read_times(struct span *rest, unsigned *times) {
    struct span look = *rest, number = flow_word(&look);
    uint32_t n;
    *times = 1;
    if (span_eq(number, SPAN("always")) && look.n == 0) {
        *times = 1000;
        *rest = look;
    } else if (span_to_u32(number, 1000, &n)) {
        struct span word = flow_word(&look);
        if (!span_eq(word, SPAN("times")) && !span_eq(word, SPAN("time"))) {
            return false;
        }
        *times = n;
        *rest = look;
    }
    return true;
}

static bool read_header(struct flow_fault *f, struct span rest, bool without) {
    f->kind = without ? FLOW_WITHOUT : FLOW_HEADER;
    if (without) {
        f->name = flow_word(&rest);
        return f->name.n && rest.n == 0;
    }
    struct span text = rest;
    if (rest.n && rest.p[0] == '"') { /* quoted, so that commas may stand in it */
        text = span_slice(rest, 1, rest.n);
        text.n -= text.n && text.p[text.n - 1] == '"';
    }
    size_t colon = span_find_char(text, ':');
    f->name = span_trim(span_slice(text, 0, colon));
    f->value = span_trim(span_after(text, colon + 1));
    return f->name.n && colon < text.n;
}

static bool read_fault(struct flow_fault *f, struct span text) {
    static const struct {
        const char *words;
        enum flow_fault_kind kind;
    } faults[] = {
        {"wrong response", FLOW_WRONG_RESPONSE}, {"replayed response", FLOW_REPLAYED_RESPONSE},
        {"no response", FLOW_NO_RESPONSE},       {"forged challenge", FLOW_FORGED_CHALLENGE},
        {"card ahead", FLOW_SQN_AHEAD},          {"wrong auts", FLOW_WRONG_AUTS},
        {"every request twice", FLOW_TWICE},     {"wrong key", FLOW_WRONG_KEY},
    };
    struct span rest = text, word = flow_word(&rest);
    bool without = span_eq(word, SPAN("without"));
    if (without || span_eq(word, SPAN("header"))) {
        return read_header(f, rest, without);
    }
    for (size_t i = 0; i < COUNT_OF(faults); i++) {
        struct span words = span_from_cstr(faults[i].words);
        if (span_starts_with(text, words)) {
            rest = span_trim(span_after(text, words.n));
            f->kind = faults[i].kind;
            return read_times(&rest, &f->times) && rest.n == 0;
        }
    }
    return false;
}

/* Cuts at the next comma outside of quotes. */
static struct span take_clause(struct span *rest) {
    bool quoted = false;
    size_t n = 0;
    for (; n < rest->n && (quoted || rest->p[n] != ','); n++) {
        quoted ^= rest->p[n] == '"';
    }
    struct span text = span_trim(span_slice(*rest, 0, n));
    *rest = span_after(*rest, n + 1);
    return text;
}

static void read_faults(struct flow_parser *p, struct span rest) {
    struct flow_items items = {0};
    while (rest.n) {
        struct span clause = take_clause(&rest);
        struct flow_fault f = {0};
        if (!read_fault(&f, clause)) {
            flow_fault(p,
                       "\"%.*s\" is nothing that a terminal does: wrong response [N times], "
                       "replayed response, no response, forged challenge, card ahead, wrong key, "
                       "wrong auts, "
                       "every request twice, header \"NAME: VALUE\", without NAME",
                       SPAN_ARG(clause));
            continue;
        }
        struct flow_fault *slot = flow_add(p, &items, sizeof *slot);
        if (slot) {
            *slot = f;
        }
    }
    p->step.n_faults = items.n;
    p->step.faults = flow_keep(p, &items);
    flow_items_free(&items);
}

static void read_register(struct flow_parser *p, struct span rest) {
    struct flow_step *s = &p->step;
    s->action = FLOW_REGISTER;
    while (rest.n) {
        struct span word = flow_word(&rest);
        if (span_eq(word, SPAN("with"))) {
            read_faults(p, rest);
            return;
        }
        if (span_eq(word, SPAN("expires"))) {
            s->has_expires = span_to_u32(flow_word(&rest), UINT32_MAX, &s->expires_s);
        } else if (span_eq(word, SPAN("impi"))) {
            s->impi = flow_word(&rest);
        } else if (span_eq(word, SPAN("impu"))) {
            s->impu = flow_word(&rest);
        } else {
            flow_fault(p,
                       "\"%.*s\" does not belong to register: impu X, impi X, expires N, with ...",
                       SPAN_ARG(word));
            return;
        }
    }
}

static void read_deregister(struct flow_parser *p, struct span rest) {
    p->step.action = FLOW_DEREGISTER;
    struct span look = rest, word = flow_word(&look);
    if (span_eq(word, SPAN("all"))) {
        p->step.all = true;
        rest = look;
        word = flow_word(&look);
    }
    if (span_eq(word, SPAN("with"))) {
        read_faults(p, look);
    } else if (rest.n) {
        flow_fault(p, "behind deregister stands nothing, all, or with ...");
    }
}

static void read_wait(struct flow_parser *p, struct span rest) {
    struct flow_step *s = &p->step;
    s->action = FLOW_WAIT;
    struct span look = rest;
    if (span_eq(flow_word(&look), SPAN("at")) && span_eq(flow_word(&look), SPAN("most"))) {
        s->all = true;
        rest = look;
    }
    if (!flow_duration(&rest, &s->delay_us) || rest.n) {
        flow_fault(p, "wait needs a time: wait 3 s, wait at most 500 ms (ms, s, min, h, d)");
    }
}

static void read_provision(struct flow_parser *p, struct span rest) {
    struct flow_step *s = &p->step;
    s->action = FLOW_PROVISION;
    s->method = flow_word(&rest);
    s->path = flow_word(&rest);
    struct span look = rest, word = flow_word(&look);
    uint32_t status;
    if (word.n == 3 && span_to_u32(word, 599, &status)) {
        s->status = status;
        rest = look;
    }
    s->body = rest;
    if (s->path.n == 0 || s->path.p[0] != '/') {
        flow_fault(p, "provision needs a method and a path: provision PATCH /path {\"a\": 1}");
    }
}

static void read_ask(struct flow_parser *p, struct span rest) {
    struct flow_step *s = &p->step;
    s->action = FLOW_ASK;
    s->subject = flow_word(&rest);
    s->method = flow_word(&rest);
    if (s->method.n != 3 || s->method.p[2] != 'R') {
        flow_fault(p, "ask needs who asks and what: ask as.example.com LIR Public-Identity = X");
        return;
    }
    flow_read_conditions(p, rest, &s->avps, &s->n_avps);
    for (size_t i = 0; i < s->n_avps; i++) {
        if (s->avps[i].kind != FLOW_EQUAL) {
            flow_fault(p, "what a request carries is said by NAME = VALUE");
        }
    }
}

/* to IMPU [expires N] */
static void read_subscribe(struct flow_parser *p, struct span rest) {
    struct flow_step *s = &p->step;
    bool good = span_eq(flow_word(&rest), SPAN("to"));
    s->action = FLOW_SUBSCRIBE;
    s->impu = flow_word(&rest);
    if (good && rest.n) {
        s->has_expires = true;
        good = span_eq(flow_word(&rest), SPAN("expires")) &&
               span_to_u32(flow_word(&rest), UINT32_MAX, &s->expires_s) && rest.n == 0;
    }
    if (!good || s->impu.n == 0) {
        flow_fault(p, "an application server subscribes to an identity: as subscribes to "
                      "sip:alice.mobile expires 600");
    }
}

/* ID [within 40 s] */
static void read_reauthenticate(struct flow_parser *p, struct span rest) {
    struct flow_step *s = &p->step;
    s->action = FLOW_REAUTHENTICATE;
    s->impu = flow_word(&rest);
    s->delay_us = 60 * SEC_IN_US;
    bool good = s->impu.n > 0;
    if (good && rest.n) {
        good = span_eq(flow_word(&rest), SPAN("within")) && flow_duration(&rest, &s->delay_us) &&
               rest.n == 0 && s->delay_us >= SEC_IN_US;
    }
    if (!good) {
        flow_fault(p, "reauthenticate needs an identity: reauthenticate alice.smith within 40 s");
    }
}

static void read_answer(struct flow_parser *p, struct span rest) {
    struct flow_step *s = &p->step;
    s->action = FLOW_ANSWER;
    s->subject = flow_word(&rest);
    s->method = flow_word(&rest);
    if (s->method.n == 0 || rest.n) {
        flow_fault(p, "answer needs who and what: answer as.example.com 5107, or nothing");
    }
}

static void read_leave(struct flow_parser *p, struct span rest) {
    p->step.action = FLOW_LEAVE;
    p->step.subject = flow_word(&rest);
    if (p->step.subject.n == 0 || rest.n) {
        flow_fault(p, "leave needs who: leave as.example.com");
    }
}

static void read_expect(struct flow_parser *p, struct span rest) {
    struct flow_step *s = &p->step;
    struct flow_items words = {0};
    s->action = FLOW_EXPECT;
    s->subject = flow_word(&rest);
    while (rest.n) {
        struct span word = flow_word(&rest), *slot = flow_add(p, &words, sizeof *slot);
        if (slot) {
            *slot = word;
        }
    }
    if (words.n == 0) {
        flow_fault(p, "expect needs who and what: expect alice registered, "
                      "expect hss sip:alice.mobile registered, expect scscf 1 bindings");
    }
    s->n_words = words.n;
    s->words = flow_keep(p, &words);
    flow_items_free(&words);
}

static void read_node_action(struct flow_parser *p, enum flow_action action, struct span rest) {
    p->step.action = action;
    p->step.subject = flow_word(&rest);
    if (p->step.subject.n == 0 || rest.n) {
        flow_fault(p, "one node's name is needed: restart hss");
    }
}

/* NAME register, NAME deregister, NAME vanishes */
static bool read_terminal_action(struct flow_parser *p, struct span name, struct span rest) {
    struct span verb = flow_word(&rest);
    p->step.subject = name;
    if (span_eq(verb, SPAN("register")) || span_eq(verb, SPAN("reregister"))) {
        read_register(p, rest);
    } else if (span_eq(verb, SPAN("deregister"))) {
        read_deregister(p, rest);
    } else if (span_eq(verb, SPAN("subscribes"))) {
        read_subscribe(p, rest);
    } else if (span_eq(verb, SPAN("vanishes"))) {
        p->step.action = FLOW_VANISH;
    } else {
        return false;
    }
    return true;
}

bool flow_read_step(struct flow_parser *p, struct span text) {
    static const struct {
        const char *word;
        enum flow_action action;
    } nodes[] = {{"crash", FLOW_CRASH}, {"start", FLOW_START}, {"restart", FLOW_RESTART}};
    struct span rest = text, word = flow_word(&rest);
    for (size_t i = 0; i < COUNT_OF(nodes); i++) {
        if (span_eq(word, span_from_cstr(nodes[i].word))) {
            read_node_action(p, nodes[i].action, rest);
            return true;
        }
    }
    if (span_eq(word, SPAN("expect"))) {
        read_expect(p, rest);
    } else if (span_eq(word, SPAN("wait"))) {
        read_wait(p, rest);
    } else if (span_eq(word, SPAN("provision"))) {
        read_provision(p, rest);
    } else if (span_eq(word, SPAN("ask"))) {
        read_ask(p, rest);
    } else if (span_eq(word, SPAN("reauthenticate"))) {
        read_reauthenticate(p, rest);
    } else if (span_eq(word, SPAN("answer"))) {
        read_answer(p, rest);
    } else if (span_eq(word, SPAN("leave"))) {
        read_leave(p, rest);
    } else {
        return read_terminal_action(p, word, rest);
    }
    return true;
}
