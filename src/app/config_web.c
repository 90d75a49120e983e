/* The settings of the web interface, and its tokens: who may come from where. */
#include "app/config_parts.h"

#include <stdio.h>

#define AT(member) offsetof(struct config, member)

#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)

/* Settings. */

static void read_web_tls(struct settings *s, setting_value value, void *object) {
    config_read_tls(s, value, &((struct config *)object)->web.tls);
}

static void read_tokens_file(struct settings *s, setting_value value, void *object) {
    struct config *c = object;
    c->web.tokens_file =
        (struct config_file){settings_text(s, value, "tokens-file"), s, settings_line(value)};
}

void config_read_web(struct settings *s, setting_value value, void *object) {
    static const struct setting table[] = {
        SETTING("listen", SETTING_ADDR, AT(web.listen), .min = NAMING_WEB_PORT),
        SETTING("tls-listen", SETTING_ADDR, AT(web.tls_listen), .min = CONFIG_WEB_TLS_PORT),
        SETTING("host", SETTING_TEXT, AT(web.host)),
        SETTING("body-max", SETTING_SIZE, AT(web.body_max), .min = 4096, .max = 4 * GIB),
        SETTING("connections-max", SETTING_NUMBER, AT(web.connections_max), .min = 4, .max = 65536),
        SETTING("changes-max", SETTING_NUMBER, AT(web.changes_max), .max = CONFIG_NUMBER_MAX),
        SETTING("if-match-required", SETTING_FLAG, AT(web.if_match_required)),
        SETTING_GROUP("tls", read_web_tls),
        SETTING_GROUP("tokens-file", read_tokens_file),
        {0},
    };
    settings_read(s, value, table, object);
}

/* Tokens. */

struct reading {
    struct config *config;
    struct web_token *token;
    const char *rights, *sha256;
};

static void read_token(struct settings *s, const struct setting_entry *entry, void *object) {
    static const struct setting table[] = {
        SETTING("rights", SETTING_TEXT, offsetof(struct reading, rights), .required = true),
        SETTING("sha256", SETTING_TEXT, offsetof(struct reading, sha256), .required = true),
        {0},
    };
    struct reading r = {.config = object};
    struct span name = span_from_cstr(entry->name);

    settings_read(s, entry->value, table, &r);
    if (!r.rights || !r.sha256) {
        return;
    }
    if (r.config->web.n_tokens == WEB_TOKENS_MAX) {
        settings_fault(s, entry->line, "more than %d tokens", WEB_TOKENS_MAX);
        return;
    }
    r.token = &r.config->web.tokens[r.config->web.n_tokens];
    if (!web_token_name_ok(name)) {
        settings_fault(s, entry->line,
                       "\"%.40s\" is no name for a token: letters, digits and -._@ inside, at "
                       "most %d",
                       entry->name, WEB_TOKEN_NAME_MAX);
    } else if (!web_right_parse(span_from_cstr(r.rights), &r.token->right)) {
        settings_fault(s, entry->line, "rights of %s are read, write or admin, not \"%.40s\"",
                       entry->name, r.rights);
    } else if (strlen(r.sha256) != 2 * (size_t)WEB_TOKEN_HASH ||
               !span_to_bytes(span_from_cstr(r.sha256), r.token->hash, WEB_TOKEN_HASH)) {
        settings_fault(s, entry->line,
                       "sha256 of %s is not 64 hexadecimal digits; \"muster token new\" makes a "
                       "token and its line",
                       entry->name);
    } else {
        snprintf(r.token->name, sizeof r.token->name, "%s", entry->name);
        r.config->web.n_tokens++;
    }
}

bool config_web_tokens_path(const struct config *c, char *out, size_t cap) {
    char folder[1024];
    const char *path = c->web.tokens_file.path;
    int n;

    config_folder(c, folder, sizeof folder);
    n = path && path[0] == '/' ? snprintf(out, cap, "%s", path)
                               : snprintf(out, cap, "%s/%s", folder, path ? path : "");
    return path && n > 0 && (size_t)n < cap;
}

static void read_tokens(struct config *c) {
    const struct config_file *f = &c->web.tokens_file;
    char path[2048];

    if (!f->path) {
        return;
    }
    c->web.tokens =
        arena_zalloc(settings_arena(f->settings), WEB_TOKENS_MAX * sizeof *c->web.tokens);
    enum error e = !c->web.tokens                                  ? ERR_NO_MEMORY
                   : !config_web_tokens_path(c, path, sizeof path) ? ERR_TOO_BIG
                                                                   : OK;
    e = e ? e : settings_open(path, NULL, &c->web.tokens_settings);
    if (e) {
        settings_fault(
            f->settings, f->line,
            "web: tokens-file %s: %s; \"muster token new NAME --rights admin --file %s\" "
            "begins one",
            f->path, error_text(e), f->path);
        return;
    }
    setting_value root = settings_root(c->web.tokens_settings);
    if (root) {
        settings_each_entry(c->web.tokens_settings, root, "tokens", read_token, c);
    }
    if (!c->web.n_tokens && !settings_faults(c->web.tokens_settings)) {
        settings_fault(f->settings, f->line,
                       "web: tokens-file %s has no token, so nobody could come in; \"muster token "
                       "new NAME --rights admin --file %s\" adds one",
                       f->path, f->path);
    }
}

/* Checks. */

static const char *default_host(const struct config *c) {
    for (size_t i = 0; i < c->n_nodes; i++) {
        if (c->nodes[i].role == NAMING_HSS) {
            return c->nodes[i].host;
        }
    }
    return c->nodes[0].host;
}

/* The line of a setting of the newest layer that has it. */
static unsigned line_of(const struct config *c, const char *name, struct settings **where) {
    for (size_t i = c->n_layers; i-- > 0;) {
        setting_value web = settings_entry(c->layers[i], settings_root(c->layers[i]), "web");
        if (web && settings_entry(c->layers[i], web, name)) {
            *where = c->layers[i];
            return settings_entry_line(c->layers[i], web, name);
        }
    }
    *where = c->layers[0];
    return 0;
}

void config_check_web(struct config *c) {
    struct settings *where;
    unsigned line = line_of(c, "listen", &where);
    const struct config_tls t = config_tls_of_web(c);

    c->web.host = c->web.host ? c->web.host : default_host(c);
    read_tokens(c);
    if (!addr_is_loopback(&c->web.listen)) {
        settings_fault(where, line,
                       "web: listen takes a loopback address, as in \"127.0.0.1:%d\"; others are "
                       "served over TLS and with tokens only: give tls-listen, tls and tokens-file",
                       NAMING_WEB_PORT);
    }
    line = line_of(c, "tls-listen", &where);
    if (c->web.tls_listen.family && !addr_is_loopback(&c->web.tls_listen) &&
        !c->web.tokens_file.path) {
        settings_fault(where, line,
                       "web: tls-listen is not a loopback address, so it needs a tokens-file; "
                       "\"muster token new NAME --rights admin --file FILE\" begins one");
    }
    if (c->web.tls_listen.family && !t.certificate.path && !t.key.path) {
        settings_fault(where, line,
                       "web: tls-listen needs a certificate for %s: add tls: {certificate: FILE, "
                       "key: FILE}, here or for the whole file; docs/tls.md shows how to make them",
                       c->web.host);
    }
    if (c->web.tls_listen.family && addr_eq(&c->web.tls_listen, &c->web.listen) &&
        c->web.tls_listen.port == c->web.listen.port) {
        settings_fault(where, line, "web: listen and tls-listen are the same address");
    }
}
