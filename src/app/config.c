#include "app/config.h"

#include "app/config_builtin.h"
#include "app/config_parts.h"

#include <stdio.h>
#include <stdlib.h>

static const char *const log_levels[] = {"debug", "info", "notice", "warning", "error", NULL};
static const char *const store_kinds[] = {"lmdb", "memory", NULL};

#define AT(member) offsetof(struct config, member)

enum { DNS_PORT = 53 };
#define DAYS_S(days) ((uint64_t)(days)*86400)

#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)

static void read_network(struct settings *s, setting_value value, void *object) {
    static const struct setting table[] = {
        SETTING("mcc", SETTING_TEXT, AT(mcc), .required = true),
        SETTING("mnc", SETTING_TEXT, AT(mnc), .required = true),
        SETTING("domain", SETTING_TEXT, AT(domain)),
        {0},
    };
    settings_read(s, value, table, object);
}

static void read_store(struct settings *s, setting_value value, void *object) {
    static const struct setting table[] = {
        SETTING("kind", SETTING_CHOICE, AT(store.kind), .choices = store_kinds),
        SETTING("path", SETTING_TEXT, AT(store.path)),
        SETTING("map-size", SETTING_SIZE, AT(store.map_size), .min = MIB, .max = 16384 * GIB),
        {0},
    };
    settings_read(s, value, table, object);
}

static void read_dns_server(struct settings *s, setting_value value, void *object) {
    struct config *c = object;
    const char *text = settings_text(s, value, "a DNS server");
    struct addr *server = &c->dns.servers[c->dns.n_servers];
    if (!text) {
        return;
    }
    if (c->dns.n_servers == DNS_SERVERS_MAX) {
        settings_fault(s, settings_line(value), "more than %d DNS servers", DNS_SERVERS_MAX);
    } else if (addr_parse(span_from_cstr(text), server) ||
               addr_parse_host(span_from_cstr(text), DNS_PORT, server)) {
        c->dns.n_servers++;
    } else {
        settings_fault(s, settings_line(value),
                       "\"%.60s\" is no DNS server; it takes an IP address, with a port if it is "
                       "not 53, as in \"127.0.0.50:5353\"",
                       text);
    }
}

static void read_dns_servers(struct settings *s, setting_value value, void *object) {
    struct config *c = object;
    c->dns.n_servers = 0; /* a further layer replaces the list */
    settings_each_item(s, value, "servers", read_dns_server, c);
}

static void read_dns(struct settings *s, setting_value value, void *object) {
    static const struct setting table[] = {
        SETTING_GROUP("servers", read_dns_servers),
        SETTING("timeout-ms", SETTING_NUMBER, AT(dns.timeout_ms), .min = 100, .max = 30000),
        SETTING("attempts", SETTING_NUMBER, AT(dns.attempts), .min = 1, .max = 10),
        SETTING("ttl-s", SETTING_NUMBER, AT(dns.ttl_s), .min = 1, .max = DAYS_S(7)),
        SETTING("ttl-min-s", SETTING_NUMBER, AT(dns.ttl_min_s), .min = 1, .max = 3600),
        SETTING("ttl-max-s", SETTING_NUMBER, AT(dns.ttl_max_s), .min = 60, .max = DAYS_S(7)),
        SETTING("stale-s", SETTING_NUMBER, AT(dns.stale_s), .min = 1, .max = DAYS_S(7)),
        {0},
    };
    settings_read(s, value, table, object);
}

static void read_subscriber_file(struct settings *s, setting_value value, void *object) {
    struct config *c = object;
    const char *path = settings_text(s, value, "a file of subscribers");
    if (path) {
        c->subscribers[c->n_subscribers++] = path;
    }
}

static void count_item(struct settings *s, setting_value value, void *object) {
    (void)s;
    (void)value;
    ++*(size_t *)object;
}

static void read_subscribers(struct settings *s, setting_value value, void *object) {
    struct config *c = object;
    size_t n = 0;
    settings_each_item(s, value, "subscribers", count_item, &n);
    c->subscribers = arena_alloc(settings_arena(s), (n + 1) * sizeof *c->subscribers);
    if (c->subscribers && n) {
        settings_each_item(s, value, "subscribers", read_subscriber_file, c);
    }
}

static void read_tls(struct settings *s, setting_value value, void *object) {
    config_read_tls(s, value, &((struct config *)object)->tls);
}

static void read_all(struct settings *s, struct config *c) {
    static const struct setting table[] = {
        SETTING_GROUP("network", read_network, .required = true),
        SETTING_GROUP("nodes", config_read_nodes, .required = true),
        SETTING_GROUP("store", read_store),
        SETTING_GROUP("dns", read_dns),
        SETTING_GROUP("subscribers", read_subscribers),
        SETTING_GROUP("tls", read_tls),
        SETTING_GROUP("web", config_read_web),
        SETTING("log", SETTING_CHOICE, AT(log_level), .choices = log_levels),
        SETTING("journal", SETTING_SIZE, AT(journal_bytes), .max = GIB),
        SETTING("trace", SETTING_SIZE, AT(trace_bytes), .max = 64 * GIB),
        {0},
    };
    if (settings_root(s)) {
        settings_read(s, settings_root(s), table, c);
    } else if (!settings_faults(s)) {
        settings_fault(s, 0, "the file is empty; config/home.yaml shows what belongs into it");
    }
}

static size_t count_faults(const struct config *c) {
    size_t n = 0;
    for (size_t i = 0; i < c->n_layers; i++) {
        n += settings_faults(c->layers[i]);
    }
    return n + (c->web.tokens_settings ? settings_faults(c->web.tokens_settings) : 0);
}

static char *join_faults(const struct config *c) {
    const struct settings *all[CONFIG_LAYERS_MAX + 1];
    size_t cap = 64, n_all = 0;
    for (size_t i = 0; i <= c->n_layers; i++) {
        all[n_all] = i < c->n_layers ? c->layers[i] : c->web.tokens_settings;
        cap += all[n_all] ? settings_fault_text(all[n_all]).n + 64 : 0;
        n_all += all[n_all] != NULL;
    }
    char *text = malloc(cap);
    if (!text) {
        return NULL;
    }
    struct buf b = buf_init(text, cap - 1);
    for (size_t i = 0; i < n_all; i++) {
        size_t n = settings_faults(all[i]);
        buf_put(&b, settings_fault_text(all[i]));
        if (n > FAULTS_SHOWN) {
            buf_printf(&b, "... and %zu more\n", n - FAULTS_SHOWN);
        }
    }
    text[b.n] = '\0';
    return text;
}

static enum error open_layer(const struct config_layer *layer, struct config *c, char **faults) {
    struct span builtin = config_builtin("home.yaml");
    const char *name = layer->name ? layer->name : "home.yaml";
    struct settings *s;
    enum error e = settings_open(name, layer->name ? layer->text : &builtin, &s);
    if (e) {
        size_t cap = strlen(name) + 64;
        *faults = malloc(cap);
        if (*faults) {
            snprintf(*faults, cap, "%s: cannot be read: %s\n", name, error_text(e));
        }
        return e;
    }
    if (c->n_layers) {
        settings_partial(s);
    }
    c->layers[c->n_layers++] = s;
    read_all(s, c);
    return OK;
}

enum error config_load_layers(const struct config_layer *layers, size_t n, struct config *out,
                              char **faults) {
    enum error e = n && n <= CONFIG_LAYERS_MAX ? OK : ERR_INVALID;
    *faults = NULL;
    *out = (struct config){
        .web = {.listen = addr_v4(127, 0, 0, 1, NAMING_WEB_PORT),
                .body_max = 256 * MIB,
                .changes_max = CONFIG_CHANGES_MAX},
        .log_level = LOG_NOTICE,
        .trace_bytes = 16 * MIB,
        .journal_bytes = 4 * MIB,
    };
    for (size_t i = 0; i < n && !e; i++) {
        e = open_layer(&layers[i], out, faults);
    }
    if (!e && !count_faults(out)) {
        config_derive(out);
    }
    if (!e && !count_faults(out)) {
        config_check(out);
    }
    if (!e && count_faults(out)) {
        *faults = join_faults(out);
        e = ERR_INVALID;
    }
    if (e) {
        config_free(out);
    }
    return e;
}

enum error config_load(const char *path, struct config *out, char **faults) {
    const struct config_layer file = {path, NULL};
    return config_load_layers(&file, 1, out, faults);
}

void config_free(struct config *c) {
    for (size_t i = 0; i < c->n_layers; i++) {
        settings_close(c->layers[i]);
    }
    settings_close(c->web.tokens_settings);
    *c = (struct config){0};
}

const struct config_node *config_node(const struct config *c, struct span name) {
    for (size_t i = 0; i < c->n_nodes; i++) {
        if (span_eq(span_from_cstr(c->nodes[i].name), name)) {
            return &c->nodes[i];
        }
    }
    return NULL;
}

bool config_store_path(const struct config *c, char *out, size_t cap) {
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    int n;
    if (c->store.path && strncmp(c->store.path, "~/", 2) == 0) {
        n = home ? snprintf(out, cap, "%s%s", home, c->store.path + 1) : -1;
    } else if (c->store.path) {
        n = snprintf(out, cap, "%s", c->store.path);
    } else if (state && *state) {
        n = snprintf(out, cap, "%s/muster/%s", state, c->domain);
    } else {
        n = home ? snprintf(out, cap, "%s/.local/state/muster/%s", home, c->domain) : -1;
    }
    return n > 0 && (size_t)n < cap;
}

void config_folder(const struct config *c, char *out, size_t cap) {
    const char *path = settings_path(c->layers[0]), *end = strrchr(path, '/');
    if (end) {
        snprintf(out, cap, "%.*s", end == path ? 1 : (int)(end - path), path);
    } else {
        snprintf(out, cap, ".");
    }
}

void config_set_host(struct config *c, const struct addr *host) {
    for (size_t i = 0; i < c->n_nodes; i++) {
        struct addr *a = &c->nodes[i].listen;
        uint16_t port = a->port;
        *a = *host;
        a->port = port;
    }
    for (size_t i = 0; i < c->n_nodes; i++) {
        struct addr *a = &c->nodes[i].tls_listen;
        uint16_t port = a->port;
        if (a->family) {
            *a = *host;
            a->port = port;
        }
    }
    uint16_t port = c->web.listen.port;
    c->web.listen = *host;
    c->web.listen.port = port;
}

struct span config_builtin(const char *name) {
    for (size_t i = 0; i < COUNT_OF(builtin_files); i++) {
        if (strcmp(builtin_files[i].name, name) == 0) {
            return builtin_files[i].text;
        }
    }
    return SPAN_NONE;
}
