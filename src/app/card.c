#include "app/card.h"

#include "app/subscribers.h"
#include "app/who.h"
#include "model/naming/naming.h"

#include <openssl/crypto.h>
#include <stdlib.h>

static struct span text_of(const json_t *object, const char *name) {
    const json_t *value = json_object_get(object, name);
    return span_of(json_string_value(value), json_string_length(value));
}

/* Keys. */

static enum error read_keys(struct card *card, struct span k, struct span op, struct span opc) {
    struct aka_key *key = &card->isim.key;
    uint8_t op_bytes[16];
    if (!span_to_bytes(k, key->k, sizeof key->k) || (op.n != 0) == (opc.n != 0)) {
        return ERR_INVALID;
    }
    if (opc.n) {
        return span_to_bytes(opc, key->opc, sizeof key->opc) ? OK : ERR_INVALID;
    }
    enum error e = span_to_bytes(op, op_bytes, sizeof op_bytes)
                       ? ue_isim_set_op(&card->isim, op_bytes)
                       : ERR_INVALID;
    OPENSSL_cleanse(op_bytes, sizeof op_bytes);
    return e;
}

/* Text. All identities of a card stand in one block. */

static struct span keep(struct buf *b, struct span text) {
    struct span kept = {b->p + b->n, text.n};
    buf_put(b, text);
    return kept;
}

static enum error begin(struct card *card, size_t bytes, struct buf *b, const char *domain) {
    *card = (struct card){0};
    bytes += strlen(domain) + 1;
    card->text = malloc(bytes);
    if (!card->text) {
        return ERR_NO_MEMORY;
    }
    *b = buf_init(card->text, bytes);
    card->isim.home_domain = keep(b, span_from_cstr(domain));
    return OK;
}

static enum error set_password(struct card *card, struct span password) {
    if (password.n) {
        card->password = strndup(password.p, password.n);
        card->isim.password = span_of(card->password, card->password ? password.n : 0);
    }
    return password.n && !card->password ? ERR_NO_MEMORY : OK;
}

static enum error finish(struct card *card, enum error e) {
    card->isim.impus = card->impus;
    if (e) {
        card_free(card);
    }
    return e;
}

static void add_impu(struct card *card, struct buf *b, struct span impu) {
    if (card->isim.n_impus < CARD_IMPUS_MAX) {
        card->impus[card->isim.n_impus++] = keep(b, impu);
    }
}

enum error card_from_sim(struct span imsi, struct span msisdn, struct span k, struct span op,
                         struct span opc, const char *domain, struct card *out) {
    char text[NAMING_URI_MAX];
    struct buf b, t = buf_init(text, sizeof text);
    struct span home = span_from_cstr(domain);
    enum error e = begin(out, (size_t)4 * NAMING_URI_MAX, &b, domain);
    if (e) {
        return e;
    }
    naming_put_impi(&t, imsi, home);
    out->isim.impi = keep(&b, buf_span(&t));
    t.n = 0;
    naming_put_temporary_impu(&t, imsi, home);
    add_impu(out, &b, buf_span(&t));
    if (msisdn.n) {
        struct span digits = msisdn.p[0] == '+' ? span_after(msisdn, 1) : msisdn;
        t.n = 0;
        naming_put_sip_impu(&t, digits, home);
        add_impu(out, &b, buf_span(&t));
        t.n = 0;
        naming_put_tel_impu(&t, digits);
        add_impu(out, &b, buf_span(&t));
    }
    e = b.overflow || t.overflow ? ERR_INVALID : read_keys(out, k, op, opc);
    return finish(out, e);
}

/* From a file of subscribers. */

struct search {
    struct span name;
    const json_t *subscription, *impi;
    enum who_fit fit; /* of those that were found */
    size_t found;
};

/* Those that fit best count. */
static void look_at_impi(struct search *s, const json_t *subscription, const json_t *impi,
                         struct span identity) {
    enum who_fit fit = who_fits(s->name, identity);
    if (fit == WHO_NOT || fit < s->fit || (fit == s->fit && s->impi == impi)) {
        return;
    }
    s->found = fit > s->fit ? 1 : s->found + 1;
    s->fit = fit;
    s->subscription = subscription;
    s->impi = impi;
}

static const json_t *impi_named(const json_t *subscription, struct span identity) {
    size_t i;
    const json_t *impi;
    json_array_foreach(json_object_get(subscription, "impis"), i, impi) {
        if (span_eq(text_of(impi, "identity"), identity)) {
            return impi;
        }
    }
    return NULL;
}

static void search_impis(struct search *s, const json_t *document) {
    size_t i, k;
    const json_t *subscription, *impi;
    json_array_foreach(json_object_get(document, "subscriptions"), i, subscription) {
        json_array_foreach(json_object_get(subscription, "impis"), k, impi) {
            look_at_impi(s, subscription, impi, text_of(impi, "identity"));
        }
    }
}

static void search_impus(struct search *s, const json_t *document) {
    size_t i, k;
    const json_t *subscription, *impu;
    json_array_foreach(json_object_get(document, "subscriptions"), i, subscription) {
        json_array_foreach(json_object_get(subscription, "impus"), k, impu) {
            const json_t *impi = impi_named(subscription, text_of(impu, "impi"));
            if (impi) {
                look_at_impi(s, subscription, impi, text_of(impu, "identity"));
            }
        }
    }
}

/* Own ones, then shared ones, then barred ones. */
static int rank(const json_t *impu, struct span impi) {
    struct span owner = text_of(impu, "impi");
    if (owner.n && !span_eq(owner, impi)) {
        return -1; /* of somebody else */
    }
    return json_is_true(json_object_get(impu, "barred")) ? 2 : owner.n == 0;
}

enum error card_from_json(const json_t *subscription, const json_t *impi, const char *domain,
                          struct card *out) {
    const json_t *impus = json_object_get(subscription, "impus"), *impu;
    struct span identity = text_of(impi, "identity");
    size_t bytes = identity.n, i;
    struct buf b;
    json_array_foreach(impus, i, impu) {
        bytes += text_of(impu, "identity").n;
    }
    enum error e = begin(out, bytes, &b, domain);
    if (e) {
        return e;
    }
    out->isim.impi = keep(&b, identity);
    for (int wanted = 0; wanted <= 2; wanted++) {
        json_array_foreach(impus, i, impu) {
            if (rank(impu, identity) == wanted) {
                add_impu(out, &b, text_of(impu, "identity"));
            }
        }
    }
    struct span k = text_of(impi, "k"), password = text_of(impi, "password");
    e = out->isim.n_impus ? set_password(out, password) : ERR_INVALID;
    if (!e && (k.n || !password.n)) {
        e = read_keys(out, k, text_of(impi, "op"), text_of(impi, "opc"));
    }
    out->isim.no_key = k.n == 0;
    return finish(out, e);
}

enum error card_from_user(struct span impu, struct span password, const char *domain,
                          struct card *out) {
    struct buf b;
    enum error e = begin(out, 2 * impu.n, &b, domain);
    if (e) {
        return e;
    }
    struct span rest = impu;
    bool sip = span_starts_with(impu, SPAN("sip:")) && span_find_char(impu, '@') < impu.n;
    rest = span_after(rest, sip ? strlen("sip:") : 0);
    out->isim.impi = keep(&b, rest);
    out->isim.no_key = true;
    add_impu(out, &b, impu);
    return finish(out, sip && password.n ? set_password(out, password) : ERR_INVALID);
}

/* SIMs stand in a list of their own, by IMSI and MSISDN. */
static enum error find_sim(const json_t *document, struct span name, const char *domain,
                           struct card *out) {
    size_t i;
    const json_t *sim;
    json_array_foreach(json_object_get(document, "sims"), i, sim) {
        struct span imsi = text_of(sim, "imsi"), msisdn = text_of(sim, "msisdn");
        if (span_eq(who_user_part(name), imsi) || span_eq(who_user_part(name), msisdn)) {
            return card_from_sim(imsi, msisdn, text_of(sim, "k"), text_of(sim, "op"),
                                 text_of(sim, "opc"), domain, out);
        }
    }
    return ERR_NOT_FOUND;
}

enum error card_find(const json_t *document, struct span name, const char *domain,
                     struct card *out) {
    struct search s = {.name = name};
    *out = (struct card){0};
    search_impis(&s, document);
    if (!s.found) {
        search_impus(&s, document);
    }
    if (s.found > 1) {
        return ERR_EXISTS;
    }
    return s.found ? card_from_json(s.subscription, s.impi, domain, out)
                   : find_sim(document, name, domain, out);
}

enum error card_find_in_files(const struct config *c, struct span name, bool says, struct card *out,
                              struct who_guess *guess) {
    char folder[1024];
    enum error e = ERR_NOT_FOUND;
    config_folder(c, folder, sizeof folder);
    for (size_t i = 0; i < c->n_subscribers && e == ERR_NOT_FOUND; i++) {
        struct settings *s = NULL;
        if (subscribers_open(folder, c->subscribers[i], &s)) {
            continue; /* another file may know the name */
        }
        json_t *document = subscribers_json(s, c->domain);
        e = document ? card_find(document, name, c->domain, out) : e;
        if (guess) {
            card_guess(document, guess);
        }
        if (says) {
            fwrite(settings_fault_text(s).p, 1, settings_fault_text(s).n, stderr);
        }
        json_decref(document);
        settings_close(s);
    }
    return e;
}

void card_guess(const json_t *document, struct who_guess *guess) {
    static const char *const lists[] = {"impis", "impus"};
    size_t i, k;
    const json_t *subscription, *item;
    json_array_foreach(json_object_get(document, "subscriptions"), i, subscription) {
        for (size_t l = 0; l < COUNT_OF(lists); l++) {
            json_array_foreach(json_object_get(subscription, lists[l]), k, item) {
                who_guess_add(guess, text_of(item, "identity"));
            }
        }
    }
    json_array_foreach(json_object_get(document, "sims"), i, item) {
        who_guess_add(guess, text_of(item, "imsi"));
    }
}

enum error card_set_impu(struct card *card, struct span impu) {
    size_t n = card->isim.n_impus, at = 0;
    while (at < n && !span_eq(card->impus[at], impu)) {
        at++;
    }
    if (at < n) { /* one of its own: to the front */
        struct span first = card->impus[at];
        memmove(card->impus + 1, card->impus, at * sizeof *card->impus);
        card->impus[0] = first;
        return OK;
    }
    free(card->other);
    card->other = strndup(impu.p, impu.n);
    if (!card->other) {
        return ERR_NO_MEMORY;
    }
    n = n < CARD_IMPUS_MAX ? n : CARD_IMPUS_MAX - 1;
    memmove(card->impus + 1, card->impus, n * sizeof *card->impus);
    card->impus[0] = span_of(card->other, impu.n);
    card->isim.n_impus = n + 1;
    return OK;
}

enum error card_key_check(const struct card *card, char out[CARD_CHECK_TEXT]) {
    const struct aka_key *key = &card->isim.key;
    uint8_t check[MILENAGE_CHECK_SIZE];
    struct buf b = buf_init(out, CARD_CHECK_TEXT - 1);
    struct milenage m;
    enum error e = card->isim.no_key ? ERR_NOT_FOUND : milenage_init(&m);
    if (e) {
        return e;
    }
    e = milenage_check(&m, key->k, key->opc, check);
    milenage_free(&m);
    buf_hex(&b, check, e ? 0 : sizeof check);
    out[b.n] = '\0';
    return e;
}

void card_free(struct card *card) {
    OPENSSL_cleanse(&card->isim.key, sizeof card->isim.key);
    if (card->password) {
        OPENSSL_cleanse(card->password, strlen(card->password));
        free(card->password);
    }
    free(card->text);
    free(card->other);
    *card = (struct card){0};
}
