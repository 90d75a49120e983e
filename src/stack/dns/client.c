/* The resolver's questions through c-ares, which writes queries, chooses ports and identifiers by
 * chance (RFC 5452), repeats them, turns from server to server and from UDP to TCP. Answers are
 * read by codec/dns: c-ares tells neither the TTLs of SRV and NAPTR records nor those of RFC 2308.
 *
 * A question that nobody waits for any more runs to its end inside c-ares, and is forgotten then.
 */
#include "stack/dns/client.h"

#include <ares.h>
#include <netinet/in.h>
#include <stdlib.h>

enum {
    TIMEOUT_MS = 2000,
    ATTEMPTS = 2,
    DNS_PORT = 53,
    EDNS_BYTES = 1232,
    CLASS_IN = 1,
    FDS_MAX = 32
};

struct watched {
    int fd;
    struct fd_watch *watch; /* NULL: free */
};

struct dns_client {
    struct dns_source source;
    struct loop *loop;
    struct env *env;
    struct ares_channeldata *ares;
    struct timer timer; /* when c-ares wants to look at its timeouts */
    struct watched fds[FDS_MAX];
    size_t questions; /* inside c-ares */
    bool asking;      /* inside of ares_query */
    struct dns_client_counters counters;
    struct dns_message message; /* the answer that is being read */
};

/* A question inside c-ares. */
struct job {
    struct dns_client *client;
    struct dns_exchange *x; /* NULL: nobody waits any more */
    enum error error;       /* it failed at once, and its exchange is told by a post */
    bool over;
};

static void watch_timeouts(struct dns_client *c) {
    struct timeval tv;
    if (ares_timeout(c->ares, NULL, &tv)) {
        timer_start(c->env, &c->timer, (uint64_t)tv.tv_sec * SEC_IN_US + (uint64_t)tv.tv_usec);
    } else {
        timer_stop(&c->timer);
    }
}

static void on_timer(struct timer *t) {
    struct dns_client *c = CONTAINER_OF(t, struct dns_client, timer);
    ares_process_fd(c->ares, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    watch_timeouts(c);
}

static void on_ready(void *ctx, int fd, unsigned events) {
    struct dns_client *c = ctx;
    ares_process_fd(c->ares, events & FD_READABLE ? fd : ARES_SOCKET_BAD,
                    events & FD_WRITABLE ? fd : ARES_SOCKET_BAD);
    watch_timeouts(c);
}

static struct watched *find_watched(struct dns_client *c, int fd) {
    struct watched *unused = NULL;
    for (size_t i = 0; i < FDS_MAX; i++) {
        if (c->fds[i].watch && c->fds[i].fd == fd) {
            return &c->fds[i];
        }
        unused = c->fds[i].watch ? unused : &c->fds[i];
    }
    return unused;
}

/* c-ares says what it waits for on a socket; for one that cannot be watched its timeout comes. */
static void on_socket(void *ctx, ares_socket_t fd, int readable, int writable) {
    struct dns_client *c = ctx;
    struct watched *w = find_watched(c, fd);
    unsigned events = (readable ? FD_READABLE : 0U) | (writable ? FD_WRITABLE : 0U);
    if (!w) {
        return;
    }
    if (!events) {
        fd_watch_free(w->watch);
        w->watch = NULL;
    } else if (w->watch) {
        fd_watch_set(w->watch, events);
    } else if (loop_fd_watch(c->loop, fd, events, on_ready, c, &w->watch) == OK) {
        w->fd = fd;
    } else {
        w->watch = NULL;
    }
}

static enum error error_of(int status) {
    switch (status) {
    case ARES_SUCCESS:
    case ARES_ENODATA:
        return OK;
    case ARES_ENOTFOUND:
        return ERR_NOT_FOUND;
    case ARES_ETIMEOUT:
        return ERR_TIMEOUT;
    case ARES_ECONNREFUSED:
        return ERR_UNREACHABLE;
    case ARES_ENOMEM:
        return ERR_NO_MEMORY;
    case ARES_ESERVFAIL:
    case ARES_EREFUSED:
    case ARES_ENOTIMP:
        return ERR_REFUSED;
    default:
        return ERR_MALFORMED;
    }
}

static void end_job(struct dns_client *c, struct dns_exchange *x, enum error e, struct span bytes) {
    struct dns_answer answer = {.error = e};
    struct dns_message *m = &c->message;
    if (e == OK || e == ERR_NOT_FOUND) {
        bool good = dns_message_read(bytes, m) == OK && span_eq_nocase(m->name, x->name) &&
                    m->type == dns_type_number(x->type);
        if (good) {
            answer.records = m->records;
            answer.n = e == OK ? m->n : 0;
            answer.has_negative_ttl = m->has_soa;
            answer.negative_ttl_s = m->negative_ttl_s;
        } else {
            answer.error = ERR_MALFORMED;
            c->counters.malformed++;
        }
    }
    c->counters.answered += answer.error == OK || answer.error == ERR_NOT_FOUND;
    c->counters.failed += answer.error != OK && answer.error != ERR_NOT_FOUND;
    x->job = NULL;
    dns_answer(x, &answer);
}

static void on_failed_at_once(struct post *p) {
    struct dns_exchange *x = CONTAINER_OF(p, struct dns_exchange, post);
    struct job *job = x->job;
    struct dns_client *c = job->client;
    enum error e = job->error;
    free(job);
    end_job(c, x, e, SPAN_NONE);
}

/* Not from within dns_ask: the exchange hears of it in the loop. */
static void fail_later(struct job *job, enum error e) {
    job->over = true;
    job->error = e == OK || e == ERR_NOT_FOUND ? ERR_MALFORMED : e;
    post_init(&job->x->post, on_failed_at_once);
    env_post(job->x->env, &job->x->post);
}

static void on_answer(void *arg, int status, int timeouts, unsigned char *bytes, int n) {
    struct job *job = arg;
    struct dns_client *c = job->client;
    struct dns_exchange *x = job->x;
    (void)timeouts;
    c->questions--;
    if (x && c->asking) {
        fail_later(job, error_of(status));
        return;
    }
    free(job);
    if (x && status != ARES_EDESTRUCTION) {
        end_job(c, x, error_of(status), span_of(bytes, bytes && n > 0 ? (size_t)n : 0));
    }
}

static void ask(struct dns_source *source, struct dns_exchange *x) {
    struct dns_client *c = CONTAINER_OF(source, struct dns_client, source);
    struct job *job = calloc(1, sizeof *job);
    char name[DNS_NAME_MAX + 1];
    if (!job) {
        return; /* the deadline tells */
    }
    *job = (struct job){.client = c, .x = x};
    x->job = job;
    c->counters.asked++;
    if (c->questions >= DNS_CLIENT_QUESTIONS_MAX) {
        fail_later(job, ERR_BUSY);
        return;
    }
    memcpy(name, x->name.p, x->name.n);
    name[x->name.n] = '\0';
    c->questions++;
    c->asking = true;
    ares_query(c->ares, name, CLASS_IN, dns_type_number(x->type), on_answer, job);
    c->asking = false;
    watch_timeouts(c);
}

static void cancel(struct dns_source *source, struct dns_exchange *x) {
    struct job *job = x->job;
    (void)source;
    x->job = NULL;
    if (job && job->over) {
        free(job);
    } else if (job) {
        job->x = NULL;
    }
}

static enum error set_servers(struct dns_client *c, const struct dns_client_config *config) {
    struct ares_addr_port_node nodes[DNS_SERVERS_MAX] = {0};
    for (size_t i = 0; i < config->n_servers; i++) {
        const struct addr *a = &config->servers[i];
        struct ares_addr_port_node *node = &nodes[i];
        node->next = i + 1 < config->n_servers ? &nodes[i + 1] : NULL;
        node->family = a->family == 6 ? AF_INET6 : AF_INET;
        node->udp_port = node->tcp_port = a->port ? a->port : DNS_PORT;
        memcpy(&node->addr, a->ip, a->family == 6 ? 16 : 4);
    }
    int status = ares_set_servers_ports(c->ares, nodes);
    return status == ARES_SUCCESS ? OK : status == ARES_ENOMEM ? ERR_NO_MEMORY : ERR_INVALID;
}

static enum error open_channel(struct dns_client *c, const struct dns_client_config *config) {
    char lookups[] = "b"; /* the DNS alone, no hosts file */
    struct ares_options options = {
        .flags = ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES | ARES_FLAG_EDNS,
        .timeout = config->timeout_ms ? (int)config->timeout_ms : TIMEOUT_MS,
        .tries = config->attempts ? (int)config->attempts : ATTEMPTS,
        .ndots = 0,
        .lookups = lookups,
        .ednspsz = EDNS_BYTES,
        .sock_state_cb = on_socket,
        .sock_state_cb_data = c,
    };
    int mask = ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_NDOTS |
               ARES_OPT_DOMAINS | ARES_OPT_LOOKUPS | ARES_OPT_EDNSPSZ | ARES_OPT_SOCK_STATE_CB |
               ARES_OPT_NOROTATE;
    if (config->n_servers == 1) {
        options.flags |= ARES_FLAG_NOCHECKRESP; /* its refusal is the answer: there is no other */
    }
    if (ares_library_init(ARES_LIB_INIT_ALL) != ARES_SUCCESS) {
        return ERR_NO_MEMORY;
    }
    if (ares_init_options(&c->ares, &options, mask) != ARES_SUCCESS) {
        c->ares = NULL;
        ares_library_cleanup();
        return ERR_NO_MEMORY;
    }
    return set_servers(c, config);
}

enum error dns_client_new(struct loop *loop, struct env *env,
                          const struct dns_client_config *config, struct dns_client **out) {
    static const struct dns_source_ops ops = {ask, cancel};
    if (config->n_servers == 0 || config->n_servers > DNS_SERVERS_MAX) {
        return ERR_INVALID;
    }
    struct dns_client *c = calloc(1, sizeof *c);
    if (!c) {
        return ERR_NO_MEMORY;
    }
    c->source.ops = &ops;
    c->loop = loop;
    c->env = env;
    timer_init(&c->timer, on_timer);
    enum error e = open_channel(c, config);
    if (e != OK) {
        dns_client_free(c);
        return e;
    }
    *out = c;
    return OK;
}

void dns_client_free(struct dns_client *c) {
    if (!c) {
        return;
    }
    if (c->ares) {
        ares_destroy(c->ares); /* ends its questions, and closes its sockets */
        ares_library_cleanup();
    }
    timer_stop(&c->timer);
    free(c);
}

struct dns_source *dns_client_source(struct dns_client *c) {
    return &c->source;
}

const struct dns_client_counters *dns_client_counters(const struct dns_client *c) {
    return &c->counters;
}
