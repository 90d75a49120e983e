/* The settings of TLS: of the whole file, and of single nodes, which may have their own. */
#include "app/config_parts.h"

#include <stdio.h>

#define AT(member) offsetof(struct config_tls, member)

static void read_certificate(struct settings *s, setting_value value, void *object) {
    struct config_tls *t = object;
    t->certificate =
        (struct config_file){settings_text(s, value, "certificate"), s, settings_line(value)};
}

static void read_key(struct settings *s, setting_value value, void *object) {
    struct config_tls *t = object;
    t->key = (struct config_file){settings_text(s, value, "key"), s, settings_line(value)};
}

static void read_trust(struct settings *s, setting_value value, void *object) {
    struct config_tls *t = object;
    t->trust = (struct config_file){settings_text(s, value, "trust"), s, settings_line(value)};
}

void config_read_tls(struct settings *s, setting_value value, void *object) {
    static const struct setting table[] = {
        SETTING_GROUP("certificate", read_certificate),
        SETTING_GROUP("key", read_key),
        SETTING_GROUP("trust", read_trust),
        {0},
    };
    settings_read(s, value, table, object);
}

/* What is not given is that of the whole file. */
static struct config_tls complete(struct config_tls t, const struct config *c) {
    if (!t.certificate.path && !t.key.path) { /* these two go together */
        t.certificate = c->tls.certificate;
        t.key = c->tls.key;
    }
    t.trust = t.trust.path ? t.trust : c->tls.trust;
    return t;
}

struct config_tls config_tls_of(const struct config *c, const struct config_node *n) {
    return complete(n ? n->tls : c->tls, c);
}

struct config_tls config_tls_of_web(const struct config *c) {
    return complete(c->web.tls, c);
}

/* The setting by which a node needs a certificate; NULL: it needs none. */
static const char *tls_setting(const struct config_node *n) {
    for (size_t i = 0; i < n->n_agents; i++) {
        if (n->agents[i].tls) {
            return "an agent with tls";
        }
    }
    return n->tls_listen.family ? "tls-listen" : n->diameter_tls ? "diameter-tls" : NULL;
}

bool config_needs_tls(const struct config_node *n) {
    return tls_setting(n) != NULL;
}

static void check_pair(const struct config_tls *t) {
    const struct config_file *there = t->certificate.path ? &t->certificate : &t->key;
    if (!t->certificate.path != !t->key.path) {
        settings_fault(there->settings, there->line,
                       "tls: certificate and key belong together: the %s is missing",
                       t->key.path ? "certificate" : "key");
    }
}

static void check_node(const struct config *c, const struct config_node *n) {
    const struct config_tls t = config_tls_of(c, n);
    const char *what = tls_setting(n);
    check_pair(&n->tls);
    for (size_t i = 0; i < n->n_peers && !n->tls_listen.family; i++) {
        if (n->peers[i].tls) {
            settings_fault(n->settings, n->peers[i].line,
                           "%s comes over TLS only, but %s has no tls-listen", n->peers[i].host,
                           n->name);
        }
    }
    if (what && !n->remote && !t.certificate.path && !t.key.path) {
        settings_fault(n->settings, n->line,
                       "%s: %s needs a certificate: add tls: {certificate: FILE, key: FILE, trust: "
                       "FILE}, here or for the whole file",
                       n->name, what);
    }
}

void config_check_tls(struct config *c) {
    check_pair(&c->tls);
    check_pair(&c->web.tls);
    for (size_t i = 0; i < c->n_nodes; i++) {
        check_node(c, &c->nodes[i]);
    }
    for (size_t i = 0; i < c->n_nodes; i++) {
        const struct config_node *n = &c->nodes[i];
        for (size_t k = 0; n->diameter_tls && k < c->n_nodes; k++) {
            if (c->nodes[k].role == NAMING_HSS && !c->nodes[k].tls_listen.family) {
                settings_fault(
                    n->settings, n->line,
                    "%s: diameter-tls needs an HSS with tls-listen, and %s (line %u) has "
                    "none",
                    n->name, c->nodes[k].name, c->nodes[k].line);
            }
        }
    }
}

/* A path of the file, relative to its folder. */
static bool resolve(const struct config *c, const struct config_file *f, char *out, size_t cap,
                    struct tls_pem *pem) {
    char folder[1024];
    *pem = (struct tls_pem){0};
    if (!f->path) {
        return true;
    }
    config_folder(c, folder, sizeof folder);
    int n = f->path[0] == '/' ? snprintf(out, cap, "%s", f->path)
                              : snprintf(out, cap, "%s/%s", folder, f->path);
    pem->path = out;
    return n > 0 && (size_t)n < cap;
}

/* "FILE:LINE: what is wrong" */
static void explain(const struct config_tls *t, const struct tls_problem *p, char *message,
                    size_t cap) {
    const struct config_file *f = p->part == TLS_PART_KEY     ? &t->key
                                  : p->part == TLS_PART_TRUST ? &t->trust
                                                              : &t->certificate;
    snprintf(message, cap, "%s:%u: %s", f->settings ? settings_path(f->settings) : "", f->line,
             p->text);
}

static enum error make(const struct config_tls *t, const struct tls_config *config,
                       struct tls_context **out, char *message, size_t cap) {
    struct tls_problem problem;
    enum error e = tls_context_new(config, out, &problem);
    if (e && problem.text[0]) {
        explain(t, &problem, message, cap);
    } else if (e) {
        snprintf(message, cap, "tls: %s", error_text(e));
    }
    return e;
}

enum error config_tls_of_terminal(const struct config *c, struct tls_context **out, char *message,
                                  size_t cap) {
    char path[2048];
    struct tls_config config = {.client = TLS_CLIENT_ANYBODY};
    if (!resolve(c, &c->tls.trust, path, sizeof path, &config.trust)) {
        snprintf(message, cap, "tls: a path is too long");
        return ERR_TOO_BIG;
    }
    return make(&c->tls, &config, out, message, cap);
}

static enum error make_whole(const struct config *c, const struct config_tls *t,
                             enum tls_client_certificate client, struct tls_context **out,
                             char *message, size_t cap) {
    char paths[3][2048];
    struct tls_config config = {.client = client};
    if (!resolve(c, &t->certificate, paths[0], sizeof paths[0], &config.certificate) ||
        !resolve(c, &t->key, paths[1], sizeof paths[1], &config.key) ||
        !resolve(c, &t->trust, paths[2], sizeof paths[2], &config.trust)) {
        snprintf(message, cap, "tls: a path is too long");
        return ERR_TOO_BIG;
    }
    return make(t, &config, out, message, cap);
}

enum error config_tls_context(const struct config *c, const struct config_node *n,
                              enum tls_client_certificate client, struct tls_context **out,
                              char *message, size_t cap) {
    const struct config_tls t = config_tls_of(c, n);
    return make_whole(c, &t, client, out, message, cap);
}

enum error config_web_tls_context(const struct config *c, struct tls_context **out, char *message,
                                  size_t cap) {
    const struct config_tls t = config_tls_of_web(c);
    return make_whole(c, &t, TLS_CLIENT_ANYBODY, out, message, cap);
}

bool config_web_trust_path(const struct config *c, char *out, size_t cap) {
    const struct config_tls t = config_tls_of_web(c);
    struct tls_pem pem;
    return t.trust.path && resolve(c, &t.trust, out, cap, &pem);
}
