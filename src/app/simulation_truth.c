#include "app/simulation_truth.h"

#include "node/pcscf/pcscf.h"
#include "node/scscf/scscf.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

/* Who is registered. */

/* What the CSCFs believe of the subjects, gathered anew for each look. */
struct belief {
    bool at_scscf, at_pcscf;
    bool seen_by_pcscf;
    char contact[128]; /* bound at the S-CSCF */
};

struct beliefs {
    const struct truth *truth;
    struct belief *of; /* by number of the subject */
};

static struct belief *belief_of(struct beliefs *b, struct span impi) {
    struct watch_subject *s = watch_subject_of(b->truth->watch, impi);
    return s ? &b->of[s - b->truth->watch->subjects] : NULL;
}

static void on_binding(void *ctx, const struct scscf_binding_view *view) {
    struct belief *b = belief_of(ctx, view->impi);
    if (b && span_to_cstr(view->contact, b->contact, sizeof b->contact)) {
        b->at_scscf = true;
    }
}

static void on_pcscf_registration(void *ctx, const struct pcscf_registration_view *view) {
    struct belief *b = belief_of(ctx, view->impi);
    if (b) {
        b->seen_by_pcscf = true;
        b->at_pcscf = b->at_pcscf || span_eq(view->contact, span_from_cstr(b->contact));
    }
}

/* P-CSCF and S-CSCF have the same contact. */
static const char *missing(const struct truth *t, size_t i, const struct belief *b) {
    enum ue_state state = ue_state(t->ues[i]);
    bool registered = state == UE_REGISTERED || state == UE_REFRESHING;
    if (!writes_want(t->writes, i)) {
        return registered         ? "its subscription is gone, but the terminal is registered"
               : b->at_scscf      ? "its subscription is gone, but the S-CSCF serves it"
               : b->seen_by_pcscf ? "its subscription is gone, but the P-CSCF serves it"
                                  : NULL;
    }
    if (!registered) {
        return "the terminal is not registered";
    }
    if (!b->at_scscf) {
        return "the S-CSCF has no binding";
    }
    if (!b->at_pcscf) {
        return "the P-CSCF does not know the contact that the S-CSCF has";
    }
    return t->watch->subjects[i].promise == WATCH_REGISTERED ? NULL
                                                             : "the HSS has not acknowledged it";
}

bool truth_all_registered(const struct truth *t, char why[TRUTH_TEXT]) {
    const struct scscf *s = network_scscf(t->network, SPAN_NONE);
    const struct pcscf *p = network_pcscf(t->network, SPAN_NONE);
    struct beliefs all = {t, calloc(t->watch->n, sizeof *all.of)};
    const char *what = NULL;
    if (!all.of) {
        watch_fault(t->watch, "out of memory");
        return true;
    }
    if (s) {
        scscf_each_binding(s, on_binding, &all);
    }
    if (p) {
        pcscf_each_registration(p, on_pcscf_registration, &all);
    }
    for (size_t i = 0; i < t->watch->n && !what; i++) {
        what = missing(t, i, &all.of[i]);
        if (what) {
            snprintf(why, TRUTH_TEXT, "%s: %s (%s)", t->watch->subjects[i].imsi, what,
                     ue_state_name(ue_state(t->ues[i])));
        }
    }
    free(all.of);
    return !what;
}

/* What S-CSCFs have. */

static void on_outbox(struct store_op *op) {
    (void)op;
}

static bool has_identity(const struct scscf_binding_view *v, const char *text, bool barred) {
    for (size_t i = 0; i < v->n_impus; i++) {
        if (span_eq(v->impus[i], span_from_cstr(text))) {
            return (i >= v->n_impus - v->n_barred) == barred;
        }
    }
    return false;
}

static void compare_binding(void *ctx, const struct scscf_binding_view *v) {
    const struct truth *t = ctx;
    const struct watch_subject *s = watch_subject_of(t->watch, v->impi);
    struct writes_set set;
    if (!s) {
        return;
    }
    size_t i = (size_t)(s - t->watch->subjects);
    if (!writes_want(t->writes, i)) {
        watch_fault(t->watch, "the S-CSCF serves %s, whose subscription is gone", s->imsi);
        return;
    }
    writes_set_of(t->writes, i, &set);
    if (v->n_impus != set.n) {
        watch_fault(t->watch, "the S-CSCF has %zu identities of %s instead of %zu", v->n_impus,
                    s->imsi, set.n);
    }
    for (size_t k = 0; k < set.n; k++) {
        if (!has_identity(v, set.ids[k].text, set.ids[k].barred)) {
            watch_fault(t->watch, "the S-CSCF does not know that %s of %s is %s", set.ids[k].text,
                        s->imsi, set.ids[k].barred ? "barred" : "registered");
        }
    }
    if (!span_eq(v->impu, span_from_cstr(set.ids[0].text))) {
        watch_fault(t->watch, "the S-CSCF takes %.*s for the default identity of %s",
                    SPAN_ARG(v->impu), s->imsi);
    }
    if (*set.charging && span_find(v->charging, span_from_cstr(set.charging)) == v->charging.n) {
        watch_fault(t->watch, "the S-CSCF has the charging functions %.*s of %s instead of %s",
                    SPAN_ARG(v->charging), s->imsi, set.charging);
    }
    if (!*set.charging && span_find(v->charging, SPAN("//ccf-")) < v->charging.n) {
        watch_fault(t->watch, "the S-CSCF has charging functions of %s that were taken away",
                    s->imsi);
    }
    if (s->content != set.content) {
        watch_fault(t->watch, "the S-CSCF was not told of the profile that %s has", s->imsi);
    }
}

void truth_check_servers(const struct truth *t) {
    const struct scscf *s = network_scscf(t->network, SPAN_NONE);
    struct store_op op = {.done = on_outbox};
    store_next_news(network_store(t->network), &op, 0);
    if (store_op_is_active(&op)) {
        sim_run_until(t->sim, sim_now_us(t->sim) + SEC_IN_US);
    }
    if (op.error != ERR_NOT_FOUND) {
        watch_fault(t->watch, "S-CSCFs have not heard of everything: the outbox is not empty");
    }
    if (s) {
        scscf_each_binding(s, compare_binding, (void *)(uintptr_t)t);
    }
}

/* What terminals and P-CSCFs have: the identities that are not barred. */

static bool lists(struct span list, const char *identity) {
    char text[80];
    snprintf(text, sizeof text, "<%s>", identity);
    return span_find(list, span_from_cstr(text)) < list.n;
}

static void compare_terminal(const struct truth *t, size_t i) {
    const struct watch_subject *s = &t->watch->subjects[i];
    struct span list = ue_associated_uris(t->ues[i]);
    struct writes_set set;
    size_t n = 0;
    writes_set_of(t->writes, i, &set);
    for (size_t k = 0; k < set.n; k++) {
        n += !set.ids[k].barred;
        if (lists(list, set.ids[k].text) == set.ids[k].barred) {
            watch_fault(t->watch, "the terminal of %s does not know of %s", s->imsi,
                        set.ids[k].text);
        }
    }
    for (size_t at = 0; at < list.n; at++) {
        n -= list.p[at] == '<';
    }
    if (n || !lists(span_slice(list, 0, span_find_char(list, ',')), set.ids[0].text)) {
        watch_fault(t->watch, "the terminal of %s has other identities: %.*s", s->imsi,
                    SPAN_ARG(list));
    }
}

static void compare_registration(void *ctx, const struct pcscf_registration_view *v) {
    const struct truth *t = ctx;
    const struct watch_subject *s = watch_subject_of(t->watch, v->impi);
    struct writes_set set;
    size_t n = 0;
    if (!s || !writes_want(t->writes, (size_t)(s - t->watch->subjects))) {
        return;
    }
    writes_set_of(t->writes, (size_t)(s - t->watch->subjects), &set);
    for (size_t k = 0; k < set.n; k++) {
        n += !set.ids[k].barred;
    }
    if (v->n_associated != n || !v->n_associated ||
        span_find(v->associated[0], span_from_cstr(set.ids[0].text)) == v->associated[0].n) {
        watch_fault(t->watch,
                    "the P-CSCF has %zu identities of %s instead of %zu, or another one "
                    "first",
                    v->n_associated, s->imsi, n);
    }
}

/* What the HSS has. */

struct question {
    const struct truth *truth;
    size_t subject;
    unsigned *open;
};

static struct span text_of(const json_t *object, const char *name) {
    const char *text = json_string_value(json_object_get(object, name));
    return text ? span_from_cstr(text) : SPAN_NONE;
}

static void compare_stored(const struct question *q, const json_t *json) {
    const struct truth *t = q->truth;
    const struct watch_subject *s = &t->watch->subjects[q->subject];
    struct writes_set set;
    const json_t *impu;
    json_int_t number = 0;
    uint64_t stored = 0;
    size_t i;
    writes_set_of(t->writes, q->subject, &set);
    json_array_foreach(json_object_get(json, "impus"), i, impu) {
        if (span_eq(text_of(impu, "identity"), s->card.impus[0])) {
            const json_t *registration = json_object_get(impu, "registration");
            number = json_integer_value(json_object_get(impu, "set"));
            if (!span_eq(text_of(registration, "state"), SPAN("registered"))) {
                watch_fault(t->watch, "the HSS does not have %s as registered", s->imsi);
            }
        }
    }
    json_array_foreach(json_object_get(json, "impus"), i, impu) {
        if (json_integer_value(json_object_get(impu, "set")) == number) {
            stored += watch_content(text_of(impu, "identity"),
                                    json_is_true(json_object_get(impu, "barred")),
                                    text_of(impu, "display_name"), text_of(impu, "alias_group"),
                                    text_of(impu, "profile"));
        }
    }
    if (stored != set.stored) {
        watch_fault(t->watch, "the HSS does not hold what it has confirmed of %s", s->imsi);
    }
}

static void on_shown(void *ctx, const struct web_answer *answer) {
    const struct question *q = ctx;
    const struct watch_subject *s = &q->truth->watch->subjects[q->subject];
    bool wanted = writes_want(q->truth->writes, q->subject);
    json_t *json = json_loadb(answer->body.p ? answer->body.p : "", answer->body.n, 0, NULL);
    --*q->open;
    if (answer->status != (wanted ? 200 : 404)) {
        watch_fault(q->truth->watch, "the HSS says %u of %s", answer->status, s->imsi);
    } else if (wanted) {
        compare_stored(q, json);
    }
    json_decref(json);
}

static bool all_shown(void *ctx) {
    return *(const unsigned *)ctx == 0;
}

static void compare_hss(const struct truth *t) {
    struct question *all = calloc(t->watch->n + 1, sizeof *all);
    unsigned open = 0;
    if (!all) {
        watch_fault(t->watch, "out of memory");
        return;
    }
    for (size_t i = 0; i < t->watch->n; i++) {
        char query[128];
        if (!writes_changed(t->writes, i)) {
            continue;
        }
        snprintf(query, sizeof query, "identity=%.*s",
                 SPAN_ARG(t->watch->subjects[i].card.impus[0]));
        const struct web_request request = {
            .method = SPAN("GET"), .path = SPAN("/subscriptions"), .query = span_from_cstr(query)};
        all[i] = (struct question){t, i, &open};
        open++;
        network_web(t->network, &request, on_shown, &all[i]);
    }
    if (!sim_run(t->sim, all_shown, &open, sim_now_us(t->sim) + 60 * SEC_IN_US)) {
        watch_fault(t->watch, "the HSS does not answer");
    }
    free(all);
}

void truth_check_all(const struct truth *t) {
    const struct pcscf *p = network_pcscf(t->network, SPAN_NONE);
    for (size_t i = 0; i < t->watch->n; i++) {
        if (writes_want(t->writes, i)) {
            compare_terminal(t, i);
        }
    }
    if (p) {
        pcscf_each_registration(p, compare_registration, (void *)(uintptr_t)t);
    }
    compare_hss(t);
}
