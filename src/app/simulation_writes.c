#include "app/simulation_writes.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    MEMBERS = 2,
    EXTRAS = 3,
    IDENTITIES = MEMBERS + EXTRAS, /* those of the cards first */
    PROFILES = 4,
    FAMILY_EVERY = 4, /* subscriptions of two among those of one */
    SHARED_EVERY = 8, /* of these, those with one set */
    ANSWER_S = 30,    /* a HSS that has crashed does not answer */
    ENDS_S = 600,
    BUSY_S = 3, /* a HSS that is down */
    ABSENCE_MIN_S = 70,
    ABSENCE_MAX_S = 240,
    BODY_MAX = 8192,
};

struct identity {
    bool there, barred;
    bool alias; /* of the card's identity of its set */
    uint8_t set, profile, display;
};

/* A subscription as it is wanted. */
struct plan {
    bool there;
    bool member[MEMBERS];
    struct identity ids[IDENTITIES];
    uint8_t chosen[MEMBERS]; /* the default identity of a set */
    uint8_t charging;        /* 0: none of its own */
    uint8_t password[MEMBERS];
};

/* Where he asks for one subscription, or one profile. */
struct desk {
    struct writes *w;
    struct plan plan;
    size_t head;             /* its first subject */
    size_t n_members;        /* 0: a profile, whose number head is */
    bool shared;             /* one set for both */
    bool open;               /* the HSS has not confirmed what is wanted */
    bool disturbed[MEMBERS]; /* was ever unwanted */
    bool anew[MEMBERS];      /* goes or comes with this change: sequence numbers begin anew */
    uint64_t patient_until_us;
    uint64_t ends_until_us; /* charging functions were taken away: until then S-CSCFs hear of it */
    unsigned version;       /* of a profile's content */
};

struct writes {
    struct writes_config c;
    struct desk *desks;
    size_t n_desks;    /* of subscriptions; the profiles' follow */
    uint32_t *desk_of; /* by subject */
    uint64_t confirmed;
    bool on;
};

static uint64_t below(struct writes *w, uint64_t bound) {
    return sim_random_below(w->c.sim, bound);
}

static void at_in(struct writes *w, uint64_t seconds, void (*fn)(void *ctx), void *ctx) {
    if (sim_at(w->c.sim, sim_now_us(w->c.sim) + seconds * SEC_IN_US, fn, ctx) != OK) {
        watch_fault(w->c.watch, "out of memory");
    }
}

/* What he wants first. */

static void first_plan(struct desk *d) {
    d->plan.there = true;
    for (size_t m = 0; m < d->n_members; m++) {
        d->plan.member[m] = true;
        d->plan.chosen[m] = (uint8_t)m;
        d->plan.ids[m] = (struct identity){.there = true, .set = d->shared ? 0 : (uint8_t)m};
    }
}

enum error writes_new(const struct writes_config *config, struct writes **out) {
    struct writes *w = calloc(1, sizeof *w);
    size_t n = config->watch->n;
    *out = w;
    if (!w) {
        return ERR_NO_MEMORY;
    }
    w->c = *config;
    w->desks = calloc(n + PROFILES, sizeof *w->desks);
    w->desk_of = calloc(n, sizeof *w->desk_of);
    if (!w->desks || !w->desk_of) {
        writes_free(w);
        *out = NULL;
        return ERR_NO_MEMORY;
    }
    for (size_t i = 0; i < n;) {
        struct desk *d = &w->desks[w->n_desks];
        bool family = config->per_minute && w->n_desks % FAMILY_EVERY == 0 && i + 1 < n;
        *d = (struct desk){.w = w, .head = i, .n_members = family ? 2 : 1};
        d->shared = family && w->n_desks % SHARED_EVERY == 0;
        first_plan(d);
        for (size_t m = 0; m < d->n_members; m++) {
            w->desk_of[i++] = (uint32_t)w->n_desks;
        }
        w->n_desks++;
    }
    for (size_t i = 0; i < PROFILES; i++) {
        w->desks[w->n_desks + i] = (struct desk){.w = w, .head = i};
    }
    return OK;
}

void writes_free(struct writes *w) {
    if (w) {
        free(w->desks);
        free(w->desk_of);
        free(w);
    }
}

/* Names. */

static const struct watch_subject *subject_of(const struct desk *d, size_t member) {
    return &d->w->c.watch->subjects[d->head + member];
}

static void put_identity(struct buf *b, const struct desk *d, size_t i) {
    char text[64];
    const char *domain = network_config(d->w->c.network)->domain;
    int n;
    if (i < MEMBERS) {
        buf_put(b, subject_of(d, i)->card.impus[0]);
        return;
    }
    if (i % 2) {
        n = snprintf(text, sizeof text, "tel:+4477%05zu%zu", d->head, i);
        buf_put(b, span_of(text, (size_t)n));
        return;
    }
    n = snprintf(text, sizeof text, "sip:extra-%zu.%zu@", d->head, i);
    buf_put(b, span_of(text, (size_t)n));
    buf_cstr(b, domain);
}

/* An alias has the profile of who it stands for. */
static unsigned profile_of(const struct desk *d, const struct identity *id) {
    return id->alias ? d->plan.ids[id->set].profile : id->profile;
}

static bool has_alias(const struct desk *d, size_t i) {
    for (size_t k = MEMBERS; k < IDENTITIES; k++) {
        const struct identity *id = &d->plan.ids[k];
        if (id->there && id->alias && id->set == d->plan.ids[i].set) {
            return true;
        }
    }
    return false;
}

/* The name of its alias group; 0: it has none. */
static char alias_of(const struct desk *d, size_t i) {
    const struct identity *id = &d->plan.ids[i];
    bool stands = i == id->set && has_alias(d, i);
    return id->alias || stands ? (char)('a' + id->set) : '\0';
}

static bool is_default(const struct desk *d, size_t i) {
    return d->plan.chosen[d->plan.ids[i].set] == i;
}

static void put_number(struct buf *b, const char *before, unsigned n) {
    buf_cstr(b, before);
    buf_u64(b, n);
}

static void put_server(struct buf *b, const struct desk *profile) {
    put_number(b, "sip:as-", (unsigned)profile->head);
    put_number(b, "-", profile->version);
    buf_cstr(b, ".example.org");
}

/* Documents. */

static void put_flag(struct buf *b, const char *name, bool value) {
    buf_cstr(b, ",\"");
    buf_cstr(b, name);
    buf_cstr(b, value ? "\":true" : "\":false");
}

static void put_member(struct buf *b, const struct desk *d, size_t m) {
    const struct watch_subject *s = subject_of(d, m);
    buf_cstr(b, "{\"identity\":\"");
    buf_put(b, s->card.isim.impi);
    buf_cstr(b, "\",\"k\":\"");
    buf_hex(b, s->card.isim.key.k, sizeof s->card.isim.key.k);
    buf_cstr(b, "\",\"opc\":\"");
    buf_hex(b, s->card.isim.key.opc, sizeof s->card.isim.key.opc);
    put_number(b, "\",\"password\":\"", d->plan.password[m]);
    b->n -= d->plan.password[m] ? 0 : 1; /* an empty one takes the credential away */
    buf_cstr(b, "\"}");
}

static void put_public(struct buf *b, const struct desk *d, size_t i) {
    const struct identity *id = &d->plan.ids[i];
    buf_cstr(b, "{\"identity\":\"");
    put_identity(b, d, i);
    buf_char(b, '"');
    if (!d->shared) {
        buf_cstr(b, ",\"impi\":\"");
        buf_put(b, subject_of(d, id->set)->card.isim.impi);
        buf_char(b, '"');
    }
    put_number(b, ",\"set\":", id->set + 1U);
    put_flag(b, "default", is_default(d, i));
    put_flag(b, "barred", id->barred);
    put_number(b, ",\"profile\":\"p", profile_of(d, id));
    buf_char(b, '"');
    if (id->display) {
        put_number(b, ",\"display_name\":\"name ", id->display);
        buf_char(b, '"');
    }
    if (alias_of(d, i)) {
        buf_cstr(b, ",\"alias_group\":\"");
        buf_char(b, alias_of(d, i));
        buf_char(b, '"');
    }
    buf_char(b, '}');
}

static void put_subscription(struct buf *b, const struct desk *d) {
    bool more = false;
    put_number(b, "{\"name\":\"s", (unsigned)d->head);
    buf_char(b, '"');
    if (d->plan.charging) {
        put_number(b, ",\"charging\":{\"primary_ccf\":\"aaa://ccf-", d->plan.charging);
        buf_cstr(b, ".example.org\"}");
    }
    buf_cstr(b, ",\"impis\":[");
    for (size_t m = 0; m < d->n_members; m++) {
        if (d->plan.member[m]) {
            buf_cstr(b, more ? "," : "");
            put_member(b, d, m);
            more = true;
        }
    }
    buf_cstr(b, "],\"impus\":[");
    more = false;
    for (size_t i = 0; i < IDENTITIES; i++) {
        if (d->plan.ids[i].there) {
            buf_cstr(b, more ? "," : "");
            put_public(b, d, i);
            more = true;
        }
    }
    buf_cstr(b, "]}");
}

static void put_profile(struct buf *b, const struct desk *d) {
    put_number(b, "{\"name\":\"p", (unsigned)d->head);
    buf_cstr(b, "\",\"filter_criteria\":[{\"priority\":0,\"server_name\":\"");
    put_server(b, d);
    buf_cstr(b, "\"}]}");
}

char *writes_first_document(const struct writes *w, size_t *n) {
    size_t size = 64 + (w->n_desks + PROFILES) * 1024;
    char *text = malloc(size);
    struct buf b = buf_init(text, text ? size : 0);
    buf_cstr(&b, "{\"profiles\":[");
    for (size_t i = 0; i < PROFILES; i++) {
        buf_cstr(&b, i ? "," : "");
        put_profile(&b, &w->desks[w->n_desks + i]);
    }
    buf_cstr(&b, "],\"subscriptions\":[");
    for (size_t i = 0; i < w->n_desks; i++) {
        buf_cstr(&b, i ? "," : "");
        put_subscription(&b, &w->desks[i]);
    }
    buf_cstr(&b, "]}");
    if (b.overflow) {
        free(text);
        return NULL;
    }
    *n = b.n;
    return text;
}

/* Asking. */

static void ask(struct desk *d);

/* What a registration is worth is open from the moment in which the HSS is asked to change it until
 * somebody registers anew. A subscription that goes takes its sequence numbers along. */
static void open_again(struct desk *d) {
    for (size_t m = 0; m < d->n_members; m++) {
        struct watch_subject *s = &d->w->c.watch->subjects[d->head + m];
        watch_reset(s, d->anew[m]);
    }
}

static void ask_again(void *ctx) {
    struct desk *d = ctx;
    if (d->open) {
        ask(d);
    }
}

static void lose_patience(void *ctx) {
    struct desk *d = ctx;
    if (d->open && sim_now_us(d->w->c.sim) >= d->patient_until_us) {
        ask(d);
    }
}

static void on_answer(void *ctx, const struct web_answer *answer) {
    struct desk *d = ctx;
    bool gone = d->n_members && !d->plan.there && answer->status == 404;
    if (!d->open) {
        return;
    }
    if (answer->status == 503) {
        at_in(d->w, BUSY_S, ask_again, d);
    } else if (answer->status >= 300 && !gone) {
        watch_fault(d->w->c.watch, "the HSS refuses a change of s%zu: %.*s", d->head,
                    SPAN_ARG(answer->body));
    } else {
        d->open = false;
        d->w->confirmed++;
        open_again(d);
    }
}

static void ask(struct desk *d) {
    char path[32], body[BODY_MAX];
    struct buf b = buf_init(body, sizeof body);
    snprintf(path, sizeof path, d->n_members ? "/subscriptions/s%zu" : "/profiles/p%zu", d->head);
    bool deletes = d->n_members && !d->plan.there;
    if (!deletes) {
        (d->n_members ? put_subscription : put_profile)(&b, d);
    }
    const struct web_request request = {.method = deletes ? SPAN("DELETE") : SPAN("PUT"),
                                        .path = span_from_cstr(path),
                                        .content_type = SPAN("application/json"),
                                        .body = buf_span(&b)};
    d->open = true;
    open_again(d);
    d->patient_until_us = sim_now_us(d->w->c.sim) + ANSWER_S * SEC_IN_US;
    at_in(d->w, ANSWER_S, lose_patience, d);
    network_web(d->w->c.network, &request, on_answer, d);
}

/* Changes. */

static struct identity *some_extra(struct desk *d, size_t *number) {
    *number = MEMBERS + below(d->w, EXTRAS);
    return &d->plan.ids[*number];
}

/* Its set goes back to the card's identity. */
static void choose_another(struct desk *d, size_t i) {
    uint8_t set = d->plan.ids[i].set;
    if (d->plan.chosen[set] == i) {
        d->plan.chosen[set] = d->plan.ids[set].there ? set : (uint8_t)(1 - set);
    }
}

static void come_or_go(struct desk *d) {
    size_t i;
    struct identity *id = some_extra(d, &i);
    if (id->there) {
        choose_another(d, i);
        id->there = false;
        return;
    }
    uint8_t set = d->n_members == 2 && !d->shared ? (uint8_t)below(d->w, 2) : 0;
    if (!d->shared && !d->plan.member[set]) {
        set = 1 - set;
    }
    *id = (struct identity){.there = true, .set = set, .profile = (uint8_t)below(d->w, PROFILES)};
}

static void bar(struct desk *d) {
    size_t i;
    struct identity *id = some_extra(d, &i);
    id->barred = !id->barred && !is_default(d, i);
}

static void move(struct desk *d) {
    size_t i;
    struct identity *id = some_extra(d, &i);
    if (d->n_members == 2 && !d->shared && id->there && d->plan.member[0] && d->plan.member[1]) {
        choose_another(d, i);
        id->set = 1 - id->set;
    }
}

static void choose(struct desk *d) {
    size_t i;
    struct identity *id = some_extra(d, &i);
    if (id->there && is_default(d, i)) {
        choose_another(d, i);
    } else if (id->there && !id->barred) {
        d->plan.chosen[id->set] = (uint8_t)i;
    }
}

/* One of two leaves the subscription, or is back. What is only his goes along. */
static void member_comes_or_goes(struct desk *d) {
    size_t m = below(d->w, MEMBERS);
    if (d->n_members < 2 || (!d->plan.member[1 - m] && d->plan.member[m])) {
        return;
    }
    if (!d->plan.member[m]) {
        d->plan.member[m] = d->plan.ids[m].there = d->anew[m] = true;
        if (!d->shared) {
            d->plan.chosen[m] = (uint8_t)m;
        }
        return;
    }
    d->plan.member[m] = d->plan.ids[m].there = false;
    d->disturbed[m] = d->anew[m] = true;
    for (size_t i = MEMBERS; i < IDENTITIES; i++) {
        struct identity *id = &d->plan.ids[i];
        if (!d->shared && id->set == m) {
            id->there = false;
        } else if (d->shared && m == 0) {
            id->alias = false; /* who it stood for is gone */
        }
    }
    if (d->shared && d->plan.chosen[0] == m) {
        d->plan.chosen[0] = (uint8_t)(1 - m);
    }
}

static void come_back(void *ctx) {
    struct desk *d = ctx;
    if (d->open) {
        at_in(d->w, BUSY_S, come_back, d);
    } else if (!d->plan.there && d->w->on) {
        d->plan.there = true;
        ask(d);
    }
}

static void go_away(struct desk *d) {
    d->plan.there = false;
    d->disturbed[0] = d->disturbed[1] = d->anew[0] = d->anew[1] = true;
    at_in(d->w, ABSENCE_MIN_S + below(d->w, ABSENCE_MAX_S - ABSENCE_MIN_S), come_back, d);
}

static void change_subscription(struct desk *d) {
    size_t i = below(d->w, IDENTITIES);
    struct identity *id = &d->plan.ids[i];
    d->anew[0] = d->anew[1] = false;
    switch (below(d->w, 16)) {
    case 0:
    case 1:
    case 2:
    case 3:
        come_or_go(d);
        break;
    case 4:
    case 5:
        bar(d);
        break;
    case 6:
        move(d);
        break;
    case 7:
        id->profile = (uint8_t)below(d->w, PROFILES);
        break;
    case 8:
        id->display = (uint8_t)below(d->w, 100);
        break;
    case 9:
        id->alias = i >= MEMBERS && !id->alias && d->plan.ids[id->set].there;
        break;
    case 10:
        d->plan.charging = (uint8_t)below(d->w, 5);
        d->ends_until_us = sim_now_us(d->w->c.sim) + ENDS_S * SEC_IN_US;
        break;
    case 11:
        d->plan.password[below(d->w, d->n_members)] = (uint8_t)below(d->w, 100);
        break;
    case 12:
        choose(d);
        break;
    case 13:
    case 14:
        member_comes_or_goes(d);
        break;
    default:
        go_away(d);
    }
    ask(d);
}

static void change(void *ctx) {
    struct writes *w = ctx;
    if (!w->on) {
        return;
    }
    size_t i = below(w, w->n_desks + 1);
    struct desk *d = &w->desks[i < w->n_desks ? i : i + below(w, PROFILES)];
    if (!d->open && d->n_members && d->plan.there) {
        change_subscription(d);
    } else if (!d->open && !d->n_members) {
        d->version++;
        ask(d);
    }
    uint64_t mean_us = 60 * SEC_IN_US / w->c.per_minute;
    if (sim_at(w->c.sim, sim_now_us(w->c.sim) + 1 + below(w, 2 * mean_us), change, w) != OK) {
        watch_fault(w->c.watch, "out of memory");
    }
}

void writes_begin(struct writes *w) {
    w->on = w->c.per_minute > 0;
    change(w);
}

void writes_end(struct writes *w) {
    w->on = false;
}

/* What he wants now. */

uint64_t writes_confirmed(const struct writes *w) {
    return w->confirmed;
}

bool writes_are_open(const struct writes *w) {
    for (size_t i = 0; i < w->n_desks + PROFILES; i++) {
        if (w->desks[i].open) {
            return true;
        }
    }
    return false;
}

static const struct desk *desk_of(const struct writes *w, size_t subject, size_t *member) {
    const struct desk *d = &w->desks[w->desk_of[subject]];
    *member = subject - d->head;
    return d;
}

bool writes_want(const struct writes *w, size_t subject) {
    size_t m;
    const struct desk *d = desk_of(w, subject, &m);
    return d->plan.there && d->plan.member[m];
}

bool writes_may_end(const struct writes *w, size_t subject) {
    size_t m;
    const struct desk *d = desk_of(w, subject, &m);
    return d->open || sim_now_us(w->c.sim) < d->ends_until_us;
}

bool writes_disturbed(const struct writes *w, size_t subject) {
    size_t m;
    return desk_of(w, subject, &m)->disturbed[m];
}

bool writes_changed(const struct writes *w, size_t subject) {
    size_t m;
    return desk_of(w, subject, &m)->patient_until_us > 0;
}

static uint64_t content_of(const struct desk *d, size_t i, struct span name, struct span profile) {
    const struct identity *id = &d->plan.ids[i];
    char display[32] = "", alias[2] = {alias_of(d, i), '\0'};
    if (id->display) {
        snprintf(display, sizeof display, "name %u", id->display);
    }
    return watch_content(name, id->barred, span_from_cstr(display), span_from_cstr(alias), profile);
}

static void add_to(struct writes_set *out, const struct desk *d, size_t i) {
    struct buf b = buf_init(out->ids[out->n].text, sizeof out->ids[0].text - 1);
    unsigned profile = profile_of(d, &d->plan.ids[i]);
    char name[32], server[64];
    struct buf of = buf_init(server, sizeof server);
    put_identity(&b, d, i);
    out->ids[out->n].text[b.n] = '\0';
    out->ids[out->n++].barred = d->plan.ids[i].barred;
    put_server(&of, &d->w->desks[d->w->n_desks + profile]);
    snprintf(name, sizeof name, "p%u", profile);
    out->content += content_of(d, i, buf_span(&b), buf_span(&of));
    out->stored += content_of(d, i, buf_span(&b), span_from_cstr(name));
}

void writes_set_of(const struct writes *w, size_t subject, struct writes_set *out) {
    size_t m;
    const struct desk *d = desk_of(w, subject, &m);
    size_t set = d->shared ? 0 : m, first = d->plan.chosen[set];
    *out = (struct writes_set){0};
    if (d->plan.charging) {
        snprintf(out->charging, sizeof out->charging, "ccf-%u.", d->plan.charging);
    }
    add_to(out, d, first);
    for (size_t i = 0; i < IDENTITIES; i++) {
        if (i != first && d->plan.ids[i].there && d->plan.ids[i].set == set) {
            add_to(out, d, i);
        }
    }
}
