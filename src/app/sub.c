#include "app/sub.h"

#include "app/who.h"
#include "stack/http/web.h"

#include <openssl/crypto.h>
#include <stdlib.h>

enum { TIMEOUT_S = 120, PAGE = 500 };

struct span sub_text(const json_t *object, const char *name) {
    const json_t *value = json_object_get(object, name);
    return span_of(json_string_value(value), json_string_length(value));
}

struct span sub_state(const json_t *impu) {
    return sub_text(json_object_get(impu, "registration"), "state");
}

static int read_answer(const struct web_reply *reply, json_t **out) {
    json_error_t why;
    if (!reply->body_n) {
        return EXIT_CODE_OK;
    }
    *out = json_loadb(reply->body, reply->body_n, JSON_REJECT_DUPLICATES, &why);
    return *out ? EXIT_CODE_OK
                : command_fail(EXIT_CODE_SYSTEM, "the answer is no JSON: %s", why.text);
}

static char *encoded_path(const char *before, struct span value) {
    size_t cap = strlen(before) + 3 * value.n + 1;
    char *path = malloc(cap);
    if (path) {
        struct buf b = buf_init(path, cap);
        buf_cstr(&b, before);
        web_encode(&b, value);
        buf_char(&b, '\0');
    }
    return path;
}

/* Somebody else has an identity: who is it? */
static int refused_for_others(const struct remote *r, const struct web_reply *reply) {
    static const struct span has = SPAN_INIT("another subscription has ");
    json_t *problem = json_loadb(reply->body, reply->body_n, 0, NULL), *other = NULL;
    struct span detail = sub_text(problem, "detail");
    bool taken = span_eq(sub_text(problem, "rule"), SPAN("identity-taken"));
    if (!taken) {
        json_decref(problem);
        return remote_refused(reply);
    }
    char *path = span_starts_with_nocase(detail, has)
                     ? encoded_path("/subscriptions?identity=", span_after(detail, has.n))
                     : NULL;
    struct web_reply answer;
    if (path && remote_try(r, "GET", path, SPAN_NONE, TIMEOUT_S, &answer) == OK) {
        other = answer.status == 200 ? json_loadb(answer.body, answer.body_n, 0, NULL) : NULL;
        web_reply_free(&answer);
    }
    struct span name = sub_text(other, "name");
    command_fail(EXIT_CODE_FAILED, "%.*s%s%.*s", SPAN_ARG(detail), name.n ? ": it is " : "",
                 SPAN_ARG(name));
    free(path);
    json_decref(other);
    json_decref(problem);
    return EXIT_CODE_FAILED;
}

int sub_call(const struct remote *r, const char *method, const char *path, const json_t *body,
             json_t **out) {
    struct web_reply reply;
    char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
    *out = NULL;
    if (body && !text) {
        return command_fail(EXIT_CODE_SYSTEM, "out of memory");
    }
    int code = remote_call(r, method, path, span_from_cstr(text), TIMEOUT_S, &reply);
    if (text) {
        OPENSSL_cleanse(text, strlen(text)); /* it may hold keys */
        free(text);
    }
    if (!code) {
        code = reply.status == 409   ? refused_for_others(r, &reply)
               : reply.status >= 300 ? remote_refused(&reply)
                                     : read_answer(&reply, out);
        web_reply_free(&reply);
    }
    return code;
}

char *sub_path(struct span name) {
    return encoded_path("/subscriptions/", name);
}

/* Identities have an "@" or a scheme, names of subscriptions have neither. */
static bool is_identity(const char *id) {
    return strchr(id, '@') || strchr(id, ':');
}

/* By its full name. *out stays NULL if there is none of it. */
static int fetch_whole(const struct remote *r, const char *id, json_t **out) {
    struct span text = span_from_cstr(id);
    char *path = is_identity(id) ? encoded_path("/subscriptions?identity=", text) : sub_path(text);
    struct web_reply reply;
    *out = NULL;
    if (!path) {
        return command_fail(EXIT_CODE_SYSTEM, "out of memory");
    }
    int code = remote_call(r, "GET", path, SPAN_NONE, TIMEOUT_S, &reply);
    free(path);
    if (!code) {
        bool refused = reply.status >= 300 && reply.status != 404;
        code = refused ? remote_refused(&reply) : EXIT_CODE_OK;
        code = code || reply.status == 404 ? code : read_answer(&reply, out);
        web_reply_free(&reply);
    }
    return code;
}

/* Whom a short name means. */
struct meaning {
    struct span wanted;
    enum who_fit fit; /* of those that were found */
    json_t *found;    /* the first of them */
    size_t n;
    char names[400]; /* of all */
    struct who_guess guess;
};

static enum who_fit fit_of(struct meaning *m, const json_t *subscription) {
    static const char *const lists[] = {"impis", "impus"};
    enum who_fit best = WHO_NOT;
    who_guess_add(&m->guess, sub_text(subscription, "name"));
    for (size_t l = 0; l < COUNT_OF(lists); l++) {
        size_t i;
        json_t *item;
        json_array_foreach(json_object_get(subscription, lists[l]), i, item) {
            enum who_fit fit = who_fits(m->wanted, sub_text(item, "identity"));
            best = fit > best ? fit : best;
            who_guess_add(&m->guess, sub_text(item, "identity"));
        }
    }
    return best;
}

static void look_at(void *ctx, json_t *subscription) {
    struct meaning *m = ctx;
    enum who_fit fit = fit_of(m, subscription);
    if (fit == WHO_NOT || fit < m->fit) {
        return;
    }
    if (fit > m->fit) {
        json_decref(m->found);
        m->found = json_incref(subscription);
        m->fit = fit;
        m->n = 0;
        m->names[0] = '\0';
    }
    size_t at = strlen(m->names);
    m->n++;
    snprintf(m->names + at, sizeof m->names - at, "%s%.*s", at ? ", " : "",
             SPAN_ARG(sub_text(subscription, "name")));
}

static int fetch(const struct remote *r, const char *id, enum who_fit least, json_t **out) {
    struct meaning m = {.wanted = span_from_cstr(id), .guess.wanted = id};
    int code = fetch_whole(r, id, out);
    if (code || *out) {
        return code;
    }
    code = sub_each(r, NULL, look_at, &m);
    const char *meant = who_guess_best(&m.guess);
    if (!code && m.n == 0) {
        code =
            command_fail(EXIT_CODE_FAILED, "the HSS knows no subscription or identity \"%s\"%s%s%s",
                         id, meant ? "; did you mean " : "", meant ? meant : "", meant ? "?" : "");
    } else if (!code && m.n > 1) {
        code = command_fail(EXIT_CODE_FAILED,
                            "\"%s\" fits identities of several subscriptions; which one? %s", id,
                            m.names);
    } else if (!code && m.fit < least) {
        code = command_fail(EXIT_CODE_FAILED,
                            "\"%s\" seems to mean the subscription %s; say so to change it", id,
                            m.names);
    } else if (!code) {
        *out = json_incref(m.found);
    }
    json_decref(m.found);
    return code;
}

int sub_fetch(const struct remote *r, const char *id, json_t **out) {
    return fetch(r, id, WHO_BEGINNING, out);
}

int sub_fetch_exactly(const struct remote *r, const char *id, json_t **out) {
    return fetch(r, id, WHO_WHOLE, out);
}

bool sub_is_whole(const struct command *self, const char *id, int *code) {
    if (strpbrk(id, "@:")) {
        return true;
    }
    *code = command_usage_error(self,
                                "\"%s\" is no identity in full, as alice.smith@DOMAIN, "
                                "sip:alice.mobile@DOMAIN and tel:+447700900101 are",
                                id);
    return false;
}

void sub_drop_shown(json_t *s) {
    static const char *const lists[] = {"impis", "impus"};
    static const char *const members[] = {"key_check", "registration", "has_aka", "digest"};
    json_object_del(s, "scscf");
    for (size_t i = 0; i < COUNT_OF(lists); i++) {
        size_t k;
        json_t *item;
        json_array_foreach(json_object_get(s, lists[i]), k, item) {
            for (size_t m = 0; m < COUNT_OF(members); m++) {
                json_object_del(item, members[m]);
            }
        }
    }
}

/* A cursor is text or a number; either goes back as it came. */
static bool next_cursor(const json_t *page, char *out, size_t cap) {
    const json_t *next = json_object_get(page, "next");
    struct buf b = buf_init(out, cap - 1);
    if (json_is_integer(next)) {
        buf_u64(&b, (uint64_t)json_integer_value(next));
    } else if (json_is_string(next)) {
        web_encode(&b, sub_text(page, "next"));
    } else {
        return false;
    }
    out[b.n] = '\0';
    return !b.overflow;
}

int sub_each(const struct remote *r, const char *credentials,
             void (*each)(void *ctx, json_t *subscription), void *ctx) {
    char cursor[256] = "";
    bool more = true;
    int code = EXIT_CODE_OK;
    while (more && !code) {
        char path[400];
        json_t *page = NULL, *s;
        size_t i;
        snprintf(path, sizeof path, "/subscriptions?limit=%d%s%s%s%s", PAGE,
                 credentials ? "&credentials=" : "", credentials ? credentials : "",
                 *cursor ? "&after=" : "", cursor);
        code = sub_call(r, "GET", path, NULL, &page);
        json_array_foreach(json_object_get(page, "subscriptions"), i, s) {
            each(ctx, s);
        }
        more = next_cursor(page, cursor, sizeof cursor);
        json_decref(page);
    }
    return code;
}

void sub_print_json(const json_t *value) {
    json_dumpf(value, stdout, JSON_INDENT(2) | JSON_ENSURE_ASCII);
    putchar('\n');
}
