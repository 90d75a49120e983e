#include "app/network_internal.h"

#include "obs/trace.h"
#include "rt/loop.h"
#include "store/lmdb.h"
#include "store/memory.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

enum { CHUNK_BYTES = 4096, FLUSH_DELAY_US = 200 };

/* Environments. */

enum error network_env_new(struct network *n, const char *name, struct env **out) {
    enum error e = n->options.loop ? loop_env_new(n->options.loop, name, out)
                                   : sim_env_new(n->options.sim, name, out);
    if (!e && n->options.loop) { /* a simulation's own level stays: its nodes fail on purpose */
        (*out)->log.level = n->log_level;
    }
    return e;
}

/* The store. */

/* All folders above path. */
static void make_parents(const char *path) {
    char parent[1024];
    size_t n = strlen(path);
    for (size_t i = 1; i < n && i < sizeof parent; i++) {
        if (path[i] == '/') {
            memcpy(parent, path, i);
            parent[i] = '\0';
            if (mkdir(parent, 0700) < 0 && errno != EEXIST) {
                return; /* opening the store says what is wrong */
            }
        }
    }
}

static enum error open_lmdb(struct network *n, char *message) {
    char path[1024];
    if (n->options.store_path) {
        snprintf(path, sizeof path, "%s", n->options.store_path);
    } else if (!config_store_path(n->config, path, sizeof path)) {
        snprintf(message, MESSAGE_BYTES,
                 "no folder for the store: there is no HOME; give store: path");
        return ERR_INVALID;
    }
    make_parents(path);
    const struct store_lmdb_config lmdb = {
        .path = path,
        .map_size = n->config->store.map_size,
        .no_sync = n->options.no_sync,
        .failed = n->options.store_failed,
        .ctx = n->options.ctx,
    };
    return store_lmdb_open(n->options.loop, &lmdb, message, MESSAGE_BYTES, &n->store);
}

static enum error open_store(struct network *n, char *message) {
    if (!n->options.sim && !n->options.memory_store && n->config->store.kind == CONFIG_STORE_LMDB) {
        return open_lmdb(n, message);
    }
    const struct store_memory_config memory = {
        .flush_delay_us = n->options.flush_delay_us ? n->options.flush_delay_us : FLUSH_DELAY_US,
    };
    enum error e = network_env_new(n, "store", &n->store_env);
    return e ? e : store_memory_new(n->store_env, &memory, &n->store);
}

/* Start and end. */

static enum error start_node(struct network_node *node) {
    enum error e = network_env_new(node->network, node->config->name, &node->env);
    if (e) {
        node->env = NULL;
        return e;
    }
    if (node->tls && tls_context_warning(node->tls)[0]) {
        LOG(&node->env->log, LOG_WARNING, "tls", LOG_CSTR("why", tls_context_warning(node->tls)));
    }
    node->env->journal = node->network->options.journal;
    e = network_role(node->config->role)->start(node);
    if (e) {
        env_close(node->env);
        node->env = NULL;
    }
    return e;
}

static void end_node(struct network_node *node) {
    if (node->node) {
        network_role(node->config->role)->free(node->node);
        node->node = NULL;
        env_close(node->env);
        node->env = NULL;
    }
}

static bool has_hss(const struct network *n) {
    for (size_t i = 0; i < n->n_nodes; i++) {
        if (n->nodes[i].config->role == NAMING_HSS) {
            return true;
        }
    }
    return false;
}

static enum error configure_nodes(struct network *n, char *message) {
    enum error e = network_prepare(n);
    for (size_t i = 0; i < n->config->n_nodes && !e; i++) {
        const struct config_node *c = &n->config->nodes[i];
        if (!c->remote) {
            struct network_node *node = &n->nodes[n->n_nodes++];
            *node = (struct network_node){.network = n, .config = c};
            e = network_tls(node, message);
            e = e ? e : network_role(c->role)->configure(n, node);
        }
    }
    return e;
}

/* "icscf: 127.0.0.1:4060: the address is in use" */
static void explain(const struct network_node *node, enum error e, char *message) {
    char where[64];
    struct buf b = buf_init(where, sizeof where - 1);
    addr_put(&b, &node->config->listen);
    where[b.n] = '\0';
    snprintf(message, MESSAGE_BYTES, "%s cannot start on %s: %s", node->config->name, where,
             error_text(e));
}

/* From the HSS outwards, so that whoever connects finds somebody. */
static enum error start_nodes(struct network *n, char *message) {
    for (int role = NAMING_ROLES - 1; role >= 0; role--) {
        for (size_t i = 0; i < n->n_nodes; i++) {
            struct network_node *node = &n->nodes[i];
            if ((int)node->config->role == role) {
                enum error e = start_node(node);
                if (e) {
                    explain(node, e, message);
                    return e;
                }
            }
        }
    }
    return OK;
}

/* Names: from the DNS servers that are configured, else from the generated zone. */
static enum error open_dns(struct network *n, char *message) {
    const struct config *c = n->config;
    const struct dns_client_config client = {
        .servers = c->dns.servers,
        .n_servers = c->dns.n_servers,
        .timeout_ms = c->dns.timeout_ms,
        .attempts = c->dns.attempts,
    };
    enum error e = OK;
    n->resolver = (struct resolver_config){.source = &n->zone_source.source,
                                           .ttl_min_s = c->dns.ttl_min_s,
                                           .ttl_max_s = c->dns.ttl_max_s,
                                           .stale_s = c->dns.stale_s};
    if (n->options.loop && c->dns.n_servers) {
        e = network_env_new(n, "dns-client", &n->dns_env);
        e = e ? e : dns_client_new(n->options.loop, n->dns_env, &client, &n->dns_client);
        if (e) {
            snprintf(message, MESSAGE_BYTES, "the DNS client cannot start: %s", error_text(e));
        } else {
            n->resolver.source = dns_client_source(n->dns_client);
        }
    }
    return e;
}

static enum error start_all(struct network *n, char *message) {
    enum error e = open_dns(n, message);
    e = e ? e : configure_nodes(n, message);
    if (!e && has_hss(n)) {
        e = open_store(n, message);
    }
    return e ? e : start_nodes(n, message);
}

static void stop_fire(struct timer *t);

enum error network_new(const struct config *config, const struct network_options *options,
                       struct network **out, char **message) {
    struct network *n = calloc(1, sizeof *n);
    char *why = calloc(1, MESSAGE_BYTES);
    *out = NULL;
    *message = NULL;
    if (!n || !why) {
        free(n);
        free(why);
        return ERR_NO_MEMORY;
    }
    n->config = config;
    n->log_level = (enum log_level)config->log_level;
    n->options = *options;
    n->trace = options->loop ? loop_trace(options->loop) : sim_trace(options->sim);
    chunk_pool_init(&n->pool, CHUNK_BYTES, 0);
    n->arena = arena_init(&n->pool);
    dns_zone_init(&n->zone);
    dns_zone_source_init(&n->zone_source, &n->zone);
    timer_init(&n->stop_timer, stop_fire);
    enum error e = start_all(n, why);
    if (e) {
        if (!*why) {
            snprintf(why, MESSAGE_BYTES, "the network cannot start: %s", error_text(e));
        }
        *message = why;
        network_free(n);
        return e;
    }
    free(why);
    *out = n;
    return OK;
}

void network_free(struct network *n) {
    if (!n) {
        return;
    }
    timer_stop(&n->stop_timer);
    for (size_t i = 0; i < n->n_nodes; i++) {
        end_node(&n->nodes[i]);
        tls_context_free(n->nodes[i].tls);
    }
    store_free(n->store);
    env_close(n->store_env);
    dns_client_free(n->dns_client);
    env_close(n->dns_env);
    dns_zone_free(&n->zone);
    arena_release(&n->arena);
    chunk_pool_free(&n->pool);
    free(n);
}

/* The graceful end goes role by role, from the terminals inwards: whoever is asked is still there.
 */

static void node_done(void *ctx);

static void stop_role(struct network *n) {
    n->stopping = 1; /* for this function itself: a node may be done at once */
    for (size_t i = 0; i < n->n_nodes; i++) {
        struct network_node *node = &n->nodes[i];
        if (node->node && node->config->role == n->stopping_role) {
            n->stopping++;
            network_role(n->stopping_role)->stop(node->node, node_done, n);
        }
    }
    node_done(n);
}

static struct env *any_env(const struct network *n) {
    for (size_t i = 0; i < n->n_nodes; i++) {
        if (n->nodes[i].env) {
            return n->nodes[i].env;
        }
    }
    return NULL;
}

static void node_done(void *ctx) {
    struct network *n = ctx;
    struct env *env = any_env(n);
    if (--n->stopping == 0 && env) {
        timer_start(env, &n->stop_timer, 0); /* out of the node's own callback */
    }
}

static void stop_fire(struct timer *t) {
    struct network *n = CONTAINER_OF(t, struct network, stop_timer);
    if (n->stopping_role + 1 == NAMING_ROLES) {
        n->stopped(n->stopped_ctx);
        return;
    }
    n->stopping_role++;
    stop_role(n);
}

void network_stop(struct network *n, void (*done)(void *ctx), void *ctx) {
    n->stopped = done;
    n->stopped_ctx = ctx;
    n->stopping_role = 0;
    if (any_env(n)) {
        stop_role(n);
    } else {
        done(ctx);
    }
}

void network_set_log_level(struct network *n, enum log_level level) {
    n->log_level = level;
    for (size_t i = 0; i < n->n_nodes; i++) {
        if (n->nodes[i].env) {
            n->nodes[i].env->log.level = level;
        }
    }
}

enum error network_reload_tls(struct network *n, char *message, size_t cap) {
    enum error result = OK;
    for (size_t i = 0; i < n->n_nodes; i++) {
        struct network_node *node = &n->nodes[i];
        struct tls_problem problem;
        enum error e = node->tls ? tls_context_reload(node->tls, &problem) : OK;
        if (e) {
            snprintf(message, cap, "%s: %s", node->config->name, problem.text);
            result = e;
        }
    }
    return result;
}

/* Single nodes. */

static const struct network_node *find(const struct network *n, struct span name) {
    for (size_t i = 0; i < n->n_nodes; i++) {
        if (span_eq(span_from_cstr(n->nodes[i].config->name), name)) {
            return &n->nodes[i];
        }
    }
    return NULL;
}

static struct network_node *find_to_change(struct network *n, struct span name) {
    const struct network_node *found = find(n, name);
    return found ? &n->nodes[found - n->nodes] : NULL;
}

enum error network_crash(struct network *n, struct span name, enum sim_crash how) {
    struct network_node *node = find_to_change(n, name);
    if (!node) {
        return ERR_NOT_FOUND;
    }
    if (!node->node) {
        return ERR_CLOSED;
    }
    if (n->options.sim) {
        sim_crash(node->env, how);
    }
    end_node(node);
    if (node->config->role == NAMING_HSS && n->store_env) {
        store_memory_crash(n->store);
    }
    return OK;
}

enum error network_start(struct network *n, struct span name) {
    struct network_node *node = find_to_change(n, name);
    if (!node) {
        return ERR_NOT_FOUND;
    }
    return node->node ? ERR_EXISTS : start_node(node);
}

bool network_is_ready(const struct network *n) {
    for (size_t i = 0; i < n->n_nodes; i++) {
        const struct network_node *node = &n->nodes[i];
        if (!node->node || !network_role(node->config->role)->is_ready(node->node)) {
            return false;
        }
    }
    return true;
}

void network_each_node(const struct network *n,
                       void (*each)(void *ctx, const char *name, enum naming_role role, bool ready),
                       void *ctx) {
    for (size_t i = 0; i < n->n_nodes; i++) {
        const struct network_node *node = &n->nodes[i];
        each(ctx, node->config->name, node->config->role,
             node->node && network_role(node->config->role)->is_ready(node->node));
    }
}

static void *node_of(const struct network *n, struct span name, enum naming_role role) {
    for (size_t i = 0; i < n->n_nodes; i++) {
        const struct network_node *node = &n->nodes[i];
        if (node->config->role == role && node->node &&
            (span_is_empty(name) || span_eq(span_from_cstr(node->config->name), name))) {
            return node->node;
        }
    }
    return NULL;
}

struct pcscf *network_pcscf(const struct network *n, struct span name) {
    return node_of(n, name, NAMING_PCSCF);
}

struct icscf *network_icscf(const struct network *n, struct span name) {
    return node_of(n, name, NAMING_ICSCF);
}

struct scscf *network_scscf(const struct network *n, struct span name) {
    return node_of(n, name, NAMING_SCSCF);
}

struct hss *network_hss(const struct network *n, struct span name) {
    return node_of(n, name, NAMING_HSS);
}

struct env *network_env(const struct network *n, struct span name) {
    const struct network_node *node = find(n, name);
    return node ? node->env : NULL;
}

const struct config *network_config(const struct network *n) {
    return n->config;
}

void network_web(void *network, const struct web_request *request, web_answer_fn *answer,
                 void *answer_ctx) {
    struct hss *hss = network_hss(network, SPAN_NONE);
    if (hss) {
        hss_web(hss, request, answer, answer_ctx);
    } else {
        web_refuse(answer, answer_ctx, 503, "the HSS does not run in this process");
    }
}

struct store *network_store(const struct network *n) {
    return n->store;
}

const struct dns_zone *network_zone(const struct network *n) {
    return &n->zone;
}

void network_set_dns_faults(struct network *n, const struct dns_faults *faults) {
    n->zone_source.faults = *faults;
}
