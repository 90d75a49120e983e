/* Subscribers and their cards: the files that the configuration names go to the HSS as they are;
 * who has a key in them has a card here. */
#include "app/flow/runner.h"

#include "app/subscribers.h"

#include <stdlib.h>

static struct span text_of(const json_t *object, const char *name) {
    return span_from_cstr(json_string_value(json_object_get(object, name)));
}

static enum error add_subscription(struct runner *r, const json_t *subscription) {
    enum error err = OK;
    size_t i;
    json_t *impi;
    json_array_foreach(json_object_get(subscription, "impis"), i, impi) {
        if (!err && r->n_cards < CARDS_MAX &&
            (text_of(impi, "k").n || text_of(impi, "password").n)) { /* else of no use to anybody */
            err = card_from_json(subscription, impi, r->config.domain, &r->cards[r->n_cards]);
            r->n_cards += err == OK;
        }
    }
    return err;
}

/* What POST /subscriptions/sim makes of it. */
static enum error add_sim(struct runner *r, const json_t *sim) {
    if (r->n_cards == CARDS_MAX) {
        return OK;
    }
    enum error err = card_from_sim(text_of(sim, "imsi"), text_of(sim, "msisdn"), text_of(sim, "k"),
                                   text_of(sim, "op"), text_of(sim, "opc"), r->config.domain,
                                   &r->cards[r->n_cards]);
    r->n_cards += err == OK;
    return err;
}

static enum error add_cards(struct runner *r, const json_t *file) {
    enum error err = OK;
    size_t i;
    json_t *item;
    json_array_foreach(json_object_get(file, "subscriptions"), i, item) {
        err = err ? err : add_subscription(r, item);
    }
    json_array_foreach(json_object_get(file, "sims"), i, item) {
        err = err ? err : add_sim(r, item);
    }
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
