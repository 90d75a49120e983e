/* Terminals: the real ue behind a wire on which messages can be changed. */
#include "app/flow/runner.h"

#include "node/pcscf/pcscf.h"
#include "obs/trace.h"

#include <stdio.h>
#include <stdlib.h>

static void on_registered(void *ctx, struct ue *ue) {
    struct actor *a = ctx;
    (void)ue;
    a->busy = false;
    a->failed = false;
}

static void on_failed(void *ctx, struct ue *ue, const struct ue_failure *why) {
    struct actor *a = ctx;
    (void)ue;
    a->busy = false;
    a->failed = true;
    a->why = *why;
    a->why.phrase = SPAN_NONE;
}

static const struct ue_handler handler = {
    .registered = on_registered,
    .deregistered = on_registered,
    .failed = on_failed,
};

static struct card *find_card(struct runner *r, struct span impi) {
    for (size_t i = 0; i < r->n_cards; i++) {
        if (span_eq_nocase(r->cards[i].isim.impi, impi)) {
            return &r->cards[i];
        }
    }
    return NULL;
}

static const struct flow_terminal *find_terminal(const struct flow *f, struct span name) {
    for (size_t i = 0; i < f->n_terminals; i++) {
        if (span_eq(f->terminals[i].name, name)) {
            return &f->terminals[i];
        }
    }
    return NULL;
}

/* The card of a terminal: the one its declaration names, or "NAME.smith", or "smith.family.NAME".
 */
static struct card *card_of(struct runner *r, const struct flow_terminal *t, struct span name) {
    char text[256];
    static const char *const forms[] = {"%.*s.smith", "smith.family.%.*s", "%.*s"};
    if (t) {
        return find_card(r, runner_identity(r, t->impi));
    }
    struct card *card = NULL;
    for (size_t i = 0; i < COUNT_OF(forms) && !card; i++) {
        struct buf b = buf_init(text, sizeof text);
        buf_printf(&b, forms[i], SPAN_ARG(span_slice(name, 0, 64)));
        card = find_card(r, runner_identity(r, buf_span(&b)));
    }
    return card;
}

static bool impu_index(const struct ue_isim *isim, struct span impu, size_t *out) {
    for (size_t i = 0; i < isim->n_impus; i++) {
        if (span_eq_nocase(isim->impus[i], impu)) {
            *out = i;
            return true;
        }
    }
    return false;
}

static enum error open_pool(struct actor *a) {
    struct runner *r = a->runner;
    struct addr local;
    struct span host = span_from_cstr(r->address);
    if (!addr_parse_host(host, 0, &local)) {
        return ERR_INTERNAL;
    }
    local.ip[3] = (uint8_t)(10 + (a - r->actors)); /* each terminal has an address of its own */
    const struct ue_pool_config config = {.local = local,
                                          .transport =
                                              a->terminal ? a->terminal->transport : SIP_UDP,
                                          .pcscf = &a->pcscf,
                                          .n_pcscf = 1};
    enum error err = network_env_new(r->network, a->label, &a->env);
    if (err) {
        return err;
    }
    a->wire = malloc(sizeof *a->wire);
    if (!a->wire) {
        return ERR_NO_MEMORY;
    }
    wire_init(a->wire, a->env);
    err = ue_pool_new(&a->wire->env, &config, &handler, a, &a->pool);
    return err ? err
               : trace_name_address(r->trace, ue_pool_local(a->pool), span_from_cstr(a->label));
}

static void close_pool(struct actor *a) {
    ue_pool_free(a->pool);
    free(a->wire);
    env_close(a->env);
    a->ue = NULL;
    a->pool = NULL;
    a->wire = NULL;
    a->env = NULL;
}

/* What the terminal is by its declaration. */
static bool configure(struct actor *a, const struct flow_step *step) {
    struct runner *r = a->runner;
    const struct flow_terminal *t = a->terminal;
    struct span at = t ? t->pcscf : SPAN_NONE;
    struct pcscf *pcscf = network_pcscf(r->network, at);
    a->config =
        (struct ue_config){.isim = &a->card->isim, .contact_user = a->name, .reg_event = true};
    if (t) {
        a->config.instance = t->instance;
        a->config.reg_id = t->reg_id;
        a->config.expires_s = t->expires_s;
        a->config.no_refresh = t->no_refresh;
        a->config.no_retry = t->no_retry;
        a->config.reg_event = !t->no_reg_event;
        struct span impu = runner_identity(r, t->impu);
        if (t->impu.n && !impu_index(&a->card->isim, impu, &a->config.impu)) {
            runner_complain(r, t->line, "the card has no %.*s", SPAN_ARG(impu));
            return false;
        }
    }
    if (!pcscf && !a->pcscf.family) {
        runner_complain(r, step->line, "no P-CSCF runs");
        return false;
    }
    if (pcscf) {
        a->pcscf = *pcscf_address(pcscf);
    }
    return true;
}

struct actor *runner_actor(struct runner *r, const struct flow_step *step) {
    for (size_t i = 0; i < r->n_actors; i++) {
        if (span_eq(r->actors[i].name, step->subject)) {
            return &r->actors[i];
        }
    }
    const struct flow_terminal *t = find_terminal(r->flow, step->subject);
    struct card *card = card_of(r, t, step->subject);
    if (!card || r->n_actors == ACTORS_MAX) {
        runner_complain(r, step->line,
                        "there is no terminal \"%.*s\": declare it, as in "
                        "terminal tablet alice.smith",
                        SPAN_ARG(step->subject));
        return NULL;
    }
    struct actor *a = &r->actors[r->n_actors++];
    *a = (struct actor){.runner = r, .terminal = t, .name = step->subject, .card = card};
    snprintf(a->label, sizeof a->label, "ue:%.*s", SPAN_ARG(step->subject));
    return configure(a, step) ? a : NULL;
}

static bool begin(struct actor *a, const struct flow_step *step) {
    enum error err = a->pool ? OK : open_pool(a);
    if (err == OK && !a->ue) {
        err = ue_new(a->pool, &a->config, a, &a->ue);
    }
    if (err) {
        runner_complain(a->runner, step->line, "the terminal cannot start: %s", error_text(err));
    }
    return err == OK;
}

static bool has_fault(const struct flow_step *step, enum flow_fault_kind kind) {
    for (size_t i = 0; i < step->n_faults; i++) {
        if (step->faults[i].kind == kind) {
            return true;
        }
    }
    return false;
}

/* Identities or a key that are not the card's, or another expiry: the terminal is set up anew with
 * them. */
static bool adapt(struct actor *a, const struct flow_step *step) {
    struct runner *r = a->runner;
    struct ue_config wanted = a->config;
    if (a->wrong_key) { /* of the last time */
        a->wrong_key = false;
        wanted.isim = &a->card->isim;
    }
    if (step->impi.n || step->impu.n) {
        struct span impu = runner_identity(r, step->impu);
        wanted.isim = &a->card->isim;
        if (step->impi.n || !impu_index(&a->card->isim, impu, &wanted.impu)) {
            a->other = a->card->isim;
            a->other.impi = step->impi.n ? runner_identity(r, step->impi) : a->card->isim.impi;
            a->other_impu = step->impu.n ? impu : a->card->impus[a->config.impu];
            a->other.impus = &a->other_impu;
            a->other.n_impus = 1;
            wanted.isim = &a->other;
            wanted.impu = 0;
        }
    }
    if (has_fault(step, FLOW_WRONG_KEY)) {
        if (wanted.isim != &a->other) {
            a->other = *wanted.isim;
            wanted.isim = &a->other;
        }
        a->wrong_key = true;
        a->other.key.k[0] ^= 1;
        if (a->other.password.n) {
            a->other.password = SPAN("not the password");
        }
    }
    if (step->has_expires) {
        wanted.expires_s = step->expires_s;
    }
    bool same = wanted.isim == a->config.isim && wanted.impu == a->config.impu &&
                wanted.expires_s == a->config.expires_s && wanted.isim != &a->other;
    a->config = wanted;
    if (!same) {
        ue_free(a->ue);
        a->ue = NULL;
    }
    return begin(a, step);
}

/* The card has seen sequence numbers that the home network has not reached yet. */
static void move_card_ahead(struct actor *a) {
    enum { AHEAD = 1000 };
    struct sqn_array *sqn = &a->config.isim->sqn;
    uint64_t highest = sqn_seq(sqn_highest(sqn));
    for (size_t i = 0; i < COUNT_OF(sqn->seq); i++) {
        sqn->seq[i] = highest + AHEAD;
    }
}

bool actor_act(struct actor *a, const struct flow_step *step) {
    if (step->action == FLOW_VANISH) {
        close_pool(a);
        a->busy = false;
        return true;
    }
    if (!(step->action == FLOW_REGISTER ? adapt(a, step) : begin(a, step))) {
        return false;
    }
    wire_set_faults(a->wire, step->faults, step->n_faults);
    if (has_fault(step, FLOW_SQN_AHEAD)) {
        move_card_ahead(a);
    }
    a->busy = true;
    if (step->action == FLOW_REGISTER) {
        ue_register(a->ue);
    } else {
        ue_deregister(a->ue, step->all ? UE_ALL_CONTACTS : UE_THIS_CONTACT);
    }
    return true;
}

bool actor_is_done(void *actor) {
    struct actor *a = actor;
    return !a->busy || (a->wire && a->wire->dropped);
}

void actors_end(struct runner *r) {
    for (size_t i = 0; i < r->n_actors; i++) {
        close_pool(&r->actors[i]);
    }
    r->n_actors = 0;
}
