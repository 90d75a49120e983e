/* Subscribers and their cards: the files that the configuration names go to the HSS as they are;
 * who has a key in them has a card here. */
#include "app/flow/runner.h"

#include "app/subscribers.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>

static struct span text_of(const json_t *object, const char *name) {
    return span_from_cstr(json_string_value(json_object_get(object, name)));
}

static struct span kept(struct runner *r, struct span text, bool *failed) {
    return arena_copy(&r->arena, text, failed);
}

/* The public identities of a subscription that belong to this private one, or to all. */
static void add_impus(struct runner *r, struct card *card, const json_t *subscription,
                      bool *failed) {
    size_t i;
    json_t *impu;
    for (int own = 1; own >= 0; own--) { /* its own before those it shares */
        json_array_foreach(json_object_get(subscription, "impus"), i, impu) {
            struct span impi = text_of(impu, "impi");
            bool is_own = impi.n && span_eq(impi, card->impi);
            if (card->n_impus < CARD_IMPUS_MAX && (own ? is_own : impi.n == 0)) {
                card->impus[card->n_impus++] = kept(r, text_of(impu, "identity"), failed);
            }
        }
    }
}

static enum error add_card(struct runner *r, const json_t *subscription, const json_t *impi,
                           struct span domain) {
    bool failed = false;
    uint8_t op[16];
    struct span opc = text_of(impi, "opc");
    if (r->n_cards == CARDS_MAX || !text_of(impi, "k").n) {
        return OK; /* nobody could use it */
    }
    struct card *card = &r->cards[r->n_cards];
    *card = (struct card){.impi = kept(r, text_of(impi, "identity"), &failed)};
    add_impus(r, card, subscription, &failed);
    card->isim = (struct ue_isim){
        .impi = card->impi, .home_domain = domain, .impus = card->impus, .n_impus = card->n_impus};
    if (failed) {
        return ERR_NO_MEMORY;
    }
    if (!span_to_bytes(text_of(impi, "k"), card->isim.key.k, sizeof card->isim.key.k)) {
        return ERR_INVALID;
    }
    r->n_cards++;
    if (opc.n) {
        return span_to_bytes(opc, card->isim.key.opc, sizeof card->isim.key.opc) ? OK : ERR_INVALID;
    }
    if (!span_to_bytes(text_of(impi, "op"), op, sizeof op)) {
        return ERR_INVALID;
    }
    enum error err = ue_isim_set_op(&card->isim, op);
    OPENSSL_cleanse(op, sizeof op);
    return err;
}

static enum error add_subscription(struct runner *r, const json_t *subscription) {
    enum error err = OK;
    size_t i;
    json_t *impi;
    struct span domain = span_from_cstr(r->config.domain);
    json_array_foreach(json_object_get(subscription, "impis"), i, impi) {
        err = err ? err : add_card(r, subscription, impi, domain);
    }
    return err;
}

static enum error add_cards(struct runner *r, const json_t *file) {
    enum error err = OK;
    size_t i;
    json_t *subscription;
    json_array_foreach(json_object_get(file, "subscriptions"), i, subscription) {
        err = err ? err : add_subscription(r, subscription);
    }
    return err;
}

/* What POST /subscriptions/sim makes of it: the names follow from the IMSI (TS 23.003 clause 13).
 */
static enum error add_sim(struct runner *r, const json_t *sim) {
    char impi[256], impu[256];
    struct buf b = buf_init(impi, sizeof impi - 1), c = buf_init(impu, sizeof impu - 1);
    struct span imsi = text_of(sim, "imsi"), domain = span_from_cstr(r->config.domain);
    naming_put_impi(&b, imsi, domain);
    naming_put_temporary_impu(&c, imsi, domain);
    if (b.overflow || c.overflow) {
        return ERR_INVALID;
    }
    impi[b.n] = impu[c.n] = '\0';
    json_t *card = json_pack("{s:s, s:O}", "identity", impi, "k", json_object_get(sim, "k"));
    json_t *subscription = json_pack("{s:[{s:s}]}", "impus", "identity", impu);
    static const char *const keys[] = {"op", "opc"};
    for (size_t i = 0; i < COUNT_OF(keys); i++) {
        if (json_object_get(sim, keys[i])) {
            json_object_set(card, keys[i], json_object_get(sim, keys[i]));
        }
    }
    enum error err = card && subscription ? add_card(r, subscription, card, domain) : ERR_NO_MEMORY;
    json_decref(card);
    json_decref(subscription);
    return err;
}

bool runner_add_cards(struct runner *r, const struct flow_step *step, struct span body) {
    if (body.n == 0) {
        return true;
    }
    json_t *json = json_loadb(body.p, body.n, 0, NULL);
    enum error err = json_object_get(json, "imsi") ? add_sim(r, json) : add_subscription(r, json);
    json_decref(json);
    if (err) {
        runner_complain(r, step->line, "no card can be made of it: %s", error_text(err));
    }
    return err == OK;
}

/* Hands a document to the HSS; a refusal becomes a fault of the file. */
static enum error provision(struct runner *r, struct settings *s, json_t *document) {
    const char *path = NULL;
    json_t *request = subscribers_request(document, &path);
    char *text = request ? json_dumps(request, JSON_COMPACT) : NULL;
    enum error err = text ? OK : ERR_NO_MEMORY;
    if (err == OK &&
        !runner_provision(r, SPAN("POST"), span_from_cstr(path), span_from_cstr(text))) {
        err = ERR_TIMEOUT;
    }
    if (err == OK && r->web_status / 100 != 2) {
        subscribers_refused(s, r->web_body);
        err = ERR_INVALID;
    }
    free(text);
    json_decref(request);
    return err;
}

static enum error load_file(struct runner *r, const char *name, char **message) {
    struct settings *s = NULL;
    json_t *json = NULL;
    enum error err = subscribers_open(NULL, name, &s);
    if (err == OK && !(json = subscribers_json(s, r->config.domain))) {
        err = ERR_INVALID;
    }
    err = err ? err : add_cards(r, json);
    err = err ? err : provision(r, s, json);
    if (err && s && settings_faults(s)) {
        struct span faults = settings_fault_text(s);
        *message = strndup(faults.p, faults.n);
    }
    json_decref(json);
    settings_close(s);
    return err;
}

enum error runner_load_cards(struct runner *r, char **message) {
    enum error err = OK;
    for (size_t i = 0; i < r->config.n_subscribers && err == OK; i++) {
        err = load_file(r, r->config.subscribers[i], message);
    }
    return err;
}
