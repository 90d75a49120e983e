/* Expectations: what terminals and nodes must hold after an action.
 *
 *     expect alice registered | refused [STATUS] | waiting | idle
 *     expect alice expires N
 *     expect alice associated IMPU
 *     expect hss IMPU registered [at NODE] | unregistered [at NODE] | not registered | unknown
 *     expect scscf N bindings | sets | identities | challenges
 *     expect pcscf N registrations
 *     expect NODE refused REASON          its last refusal, of spec/reasons.yaml */
#include "app/flow/runner.h"

#include "node/hss/hss.h"
#include "node/pcscf/pcscf.h"
#include "node/scscf/scscf.h"
#include "obs/journal.h"

/* One check, asked again and again until it holds. */
struct check {
    struct runner *runner;
    const struct flow_step *step;
    struct actor *actor;
    struct hss *hss;
    struct pcscf *pcscf;
    struct scscf *scscf;
    bool refusal; /* of a node of whatever kind */
    enum reason last;
    bool known; /* the words make sense */
    bool asked, met;
    struct buf seen; /* what is there instead */
    char seen_bytes[1024];
};

static struct span word(const struct check *c, size_t i) {
    return i < c->step->n_words ? c->step->words[i] : SPAN_NONE;
}

static bool is(const struct check *c, size_t i, const char *text) {
    return span_eq(word(c, i), span_from_cstr(text));
}

/* Terminals. */

static void see_actor(struct check *c) {
    struct actor *a = c->actor;
    buf_cstr(&c->seen, a->ue ? ue_state_name(ue_state(a->ue)) : "switched off");
    if (a->failed) {
        buf_printf(&c->seen, ", %s", ue_reason_text(a->why.reason));
        if (a->why.status) {
            buf_printf(&c->seen, " %u", a->why.status);
        }
    }
}

static void check_associated(struct check *c) {
    struct span list = ue_associated_uris(c->actor->ue);
    struct span wanted = runner_identity(c->runner, word(c, 1));
    bool none = is(c, 1, "nothing");
    size_t at = span_find(list, wanted);
    bool whole = at < list.n && (at + wanted.n == list.n || list.p[at + wanted.n] == '>');
    c->met = none ? list.n == 0 : whole;
    buf_cstr(&c->seen, "associated: ");
    buf_escaped(&c->seen, span_slice(list, 0, 400));
}

static void check_actor(struct check *c) {
    static const struct {
        const char *word;
        enum ue_state state;
    } states[] = {
        {"registered", UE_REGISTERED},   {"refused", UE_REFUSED},
        {"waiting", UE_WAITING},         {"idle", UE_IDLE},
        {"registering", UE_REGISTERING}, {"refreshing", UE_REFRESHING},
    };
    struct actor *a = c->actor;
    uint32_t number;
    c->known = true;
    if (!a->ue) {
        c->met = is(c, 0, "idle");
        see_actor(c);
        return;
    }
    if (is(c, 0, "expires")) {
        c->met = span_to_u32(word(c, 1), UINT32_MAX, &number) && ue_expires_s(a->ue) == number;
        buf_printf(&c->seen, "expires %u", ue_expires_s(a->ue));
        return;
    }
    if (is(c, 0, "subscribed")) {
        c->met = ue_is_subscribed(a->ue);
        buf_cstr(&c->seen, c->met ? "subscribed" : "not subscribed");
        return;
    }
    if (is(c, 0, "associated")) {
        check_associated(c);
        return;
    }
    for (size_t i = 0; i < COUNT_OF(states); i++) {
        if (is(c, 0, states[i].word)) {
            bool status = c->step->n_words < 2 || (span_to_u32(word(c, 1), 699, &number) &&
                                                   a->failed && a->why.status == number);
            c->met = ue_state(a->ue) == states[i].state && status;
            see_actor(c);
            return;
        }
    }
    c->known = false;
}

/* The HSS. */

static bool is_at(struct check *c, size_t i, struct span scscf) {
    if (c->step->n_words == i) {
        return true;
    }
    const struct config_node *node = config_node(&c->runner->config, word(c, i + 1));
    return is(c, i, "at") && node && span_eq_nocase(scscf, span_from_cstr(node->sip_name));
}

static void on_inspected(void *ctx, enum hss_registration state, struct span scscf) {
    static const char *const names[] = {"unknown", "not registered", "unregistered", "registered"};
    struct check *c = ctx;
    c->asked = false;
    bool not = is(c, 1, "not") && is(c, 2, "registered");
    c->met = is(c, 1, "registered")     ? state == HSS_REGISTERED && is_at(c, 2, scscf)
             : is(c, 1, "unregistered") ? state == HSS_UNREGISTERED && is_at(c, 2, scscf)
             : is(c, 1, "unknown")      ? state == HSS_UNKNOWN
                                        : not &&state == HSS_NOT_REGISTERED;
    c->seen.n = 0;
    buf_cstr(&c->seen, names[state]);
    if (scscf.n) {
        buf_cstr(&c->seen, " at ");
        buf_escaped(&c->seen, span_slice(scscf, 0, 200));
    }
}

static void check_hss(struct check *c) {
    c->known = is(c, 1, "registered") || is(c, 1, "unregistered") || is(c, 1, "unknown") ||
               (is(c, 1, "not") && is(c, 2, "registered"));
    if (c->known && !c->asked) {
        c->asked = true;
        hss_inspect(c->hss, runner_identity(c->runner, word(c, 0)), on_inspected, c);
    }
}

/* Numbers of things. */

static void check_number(struct check *c) {
    struct scscf_counts counts = {0};
    uint32_t wanted;
    if (c->scscf) {
        counts = scscf_counts(c->scscf);
    }
    const struct {
        const char *word;
        bool has;
        size_t value;
    } numbers[] = {
        {"bindings", c->scscf, counts.bindings},
        {"sets", c->scscf, counts.sets},
        {"identities", c->scscf, counts.identities},
        {"challenges", c->scscf, counts.challenges},
        {"subscriptions", c->scscf, counts.watchers},
        {"registrations", c->pcscf, c->pcscf ? pcscf_registrations(c->pcscf) : 0},
    };
    for (size_t i = 0; i < COUNT_OF(numbers); i++) {
        struct span name = span_from_cstr(numbers[i].word), written = word(c, 1);
        bool named = span_eq(written, name) ||
                     span_eq(written, span_slice(name, 0, name.n - 1)); /* "1 binding" */
        if (numbers[i].has && named && span_to_u32(word(c, 0), UINT32_MAX, &wanted)) {
            c->known = true;
            c->met = numbers[i].value == wanted;
            buf_printf(&c->seen, "%zu %s", numbers[i].value, numbers[i].word);
        }
    }
}

/* Refusals. */

static void note_refusal(void *ctx, const struct journal_entry *e) {
    struct check *c = ctx;
    if (e->step == STEP_REFUSED && span_eq(span_from_cstr(e->node), c->step->subject)) {
        c->last = e->reason;
    }
}

static void check_refusal(struct check *c) {
    enum reason wanted = reason_of(word(c, 1));
    c->known = wanted != REASON_NONE && c->step->n_words == 2;
    c->last = REASON_NONE;
    journal_each(c->runner->journal, note_refusal, c);
    c->met = c->last == wanted;
    buf_cstr(&c->seen, c->last ? reason_name(c->last) : "no refusal");
}

static bool look(void *ctx) {
    struct check *c = ctx;
    if (!c->asked) {
        c->seen.n = 0;
    }
    if (c->refusal) {
        check_refusal(c);
    } else if (c->hss) {
        check_hss(c);
    } else if (c->actor) {
        check_actor(c);
    } else {
        check_number(c);
    }
    return c->met || !c->known;
}

static bool find_subject(struct check *c) {
    struct runner *r = c->runner;
    struct span subject = c->step->subject;
    const struct config_node *node = config_node(&r->config, subject);
    if (!node) {
        c->actor = runner_actor(r, c->step);
        return c->actor != NULL;
    }
    c->refusal = is(c, 0, "refused");
    if (c->refusal) {
        return true;
    }
    c->hss = network_hss(r->network, subject);
    c->pcscf = network_pcscf(r->network, subject);
    c->scscf = network_scscf(r->network, subject);
    if (!c->hss && !c->pcscf && !c->scscf) {
        runner_complain(r, c->step->line, "%.*s does not run, or says nothing of itself",
                        SPAN_ARG(subject));
        return false;
    }
    return true;
}

bool runner_expect(struct runner *r, const struct flow_step *step) {
    struct check c = {.runner = r, .step = step};
    c.seen = buf_init(c.seen_bytes, sizeof c.seen_bytes);
    if (!find_subject(&c)) {
        return false;
    }
    (void)runner_drive(r, look, &c, EXPECT_US);
    while (c.asked) { /* the HSS's store answers sooner or later, and c must live until then */
        (void)runner_drive(r, NULL, NULL, SETTLE_SIMULATED_US);
    }
    if (!c.known) {
        runner_complain(r, step->line, "%.*s: nobody can say that; docs/flows.md has the list",
                        SPAN_ARG(step->text));
    } else if (!c.met) {
        runner_complain(r, step->line, "%.*s: it is %.*s", SPAN_ARG(step->text),
                        SPAN_ARG(buf_span(&c.seen)));
    }
    return c.known && c.met;
}
