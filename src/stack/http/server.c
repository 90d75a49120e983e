/* libmicrohttpd without threads: its epoll descriptor is watched by the loop, which calls MHD_run
 * when something is ready, a timeout of MHD's is due or a connection goes on. A request whose
 * answer comes later has its connection suspended meanwhile; MHD does not look at a suspended
 * connection, so an exchange lives at least until it is answered. */
#include "stack/http/server.h"

#include "base/list.h"
#include "rt/loop.h"

#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    DEFAULT_MAX_BODY = 1 << 20,
    DEFAULT_CONNECTIONS = 64,
    DEFAULT_IDLE_S = 10,
    DEFAULT_REQUEST_S = 60,
    HEADERS_MAX = 16 << 10, /* request line and headers of a request */
    BACKLOG = 64,
};

struct web_server {
    struct env *env;
    struct MHD_Daemon *daemon;
    struct fd_watch *watch;
    struct timer timeout; /* MHD's own timeouts: idle connections, work left over */
    struct addr local;
    struct list exchanges;
    struct web_route *routes;
    size_t n_routes;
    size_t max_body;
    unsigned request_s;
    bool resumed; /* MHD has to run again: a connection goes on */
    bool stopping;
};

struct exchange {
    struct list entry;
    struct web_server *server;
    struct MHD_Connection *connection;
    uint64_t began_us;
    char *target; /* path and query as they came */
    char *body;
    size_t body_n, body_cap;
    bool begun;     /* MHD has shown us the headers */
    bool discarded; /* the body outgrew its limit and is thrown away */
    bool suspended;
    bool answered;
    struct MHD_Response *response;
    unsigned status;
};

static unsigned connections(const struct web_server *s) {
    const union MHD_DaemonInfo *info =
        MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_CURRENT_CONNECTIONS);
    return info ? info->num_connections : 0;
}

/* At its limit of connections MHD ceases to accept, and begins again only in the run after the one
 * that closed some. */
static void run(struct web_server *s) {
    MHD_UNSIGNED_LONG_LONG ms;
    unsigned before;
    do {
        before = connections(s);
        s->resumed = false;
        MHD_run(s->daemon);
    } while (s->resumed || connections(s) < before);
    if (MHD_get_timeout(s->daemon, &ms) == MHD_YES) {
        timer_start(s->env, &s->timeout, (uint64_t)ms * MS_IN_US);
    } else {
        timer_stop(&s->timeout);
    }
}

static void on_ready(void *ctx, int fd, unsigned events) {
    (void)fd;
    (void)events;
    run(ctx);
}

static void on_timeout(struct timer *t) {
    run(CONTAINER_OF(t, struct web_server, timeout));
}

/* Answers. */

static void add_header(struct MHD_Response *response, const char *name, struct span value) {
    char text[1024];
    if (value.n && span_to_cstr(value, text, sizeof text)) {
        MHD_add_response_header(response, name, text);
    }
}

static struct MHD_Response *make_response(const struct web_answer *a) {
    /* The buffer is copied: the const of its parameter is missing for history's sake. */
    union {
        const void *in;
        void *out;
    } body = {.in = a->body.n ? a->body.p : ""};
    struct MHD_Response *response =
        MHD_create_response_from_buffer(a->body.n, body.out, MHD_RESPMEM_MUST_COPY);
    if (!response) {
        return NULL;
    }
    add_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, a->content_type);
    add_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, SPAN("no-store"));
    for (size_t i = 0; i < a->n_headers; i++) {
        char name[64];
        if (span_to_cstr(a->headers[i].name, name, sizeof name)) {
            add_header(response, name, a->headers[i].value);
        }
    }
    return response;
}

static void take_answer(void *ctx, const struct web_answer *answer) {
    struct exchange *x = ctx;
    x->answered = true;
    x->status = answer->status;
    x->response = make_response(answer);
    if (x->suspended) {
        x->suspended = false;
        MHD_resume_connection(x->connection);
        x->server->resumed = true;
        timer_start(x->server->env, &x->server->timeout, 0);
    }
}

static enum MHD_Result send_answer(struct exchange *x) {
    if (!x->response) {
        return MHD_NO; /* out of memory, or the server ends: the connection is closed */
    }
    return MHD_queue_response(x->connection, x->status, x->response);
}

/* An answer before the body was read: nothing else on this connection can be trusted. */
static enum MHD_Result refuse(struct exchange *x, unsigned status, const char *text) {
    web_refuse(take_answer, x, status, text);
    if (x->response) {
        MHD_add_response_header(x->response, MHD_HTTP_HEADER_CONNECTION, "close");
    }
    return send_answer(x);
}

/* What is wrong with the headers of a request? */

struct header_facts {
    unsigned content_length, transfer_encoding, host, origin;
    struct span length, host_value, origin_value;
};

static enum MHD_Result look_at_header(void *ctx, enum MHD_ValueKind kind, const char *name,
                                      const char *value) {
    struct header_facts *facts = ctx;
    struct span n = span_from_cstr(name), v = span_from_cstr(value);
    (void)kind;
    if (span_eq_nocase(n, SPAN("content-length"))) {
        facts->content_length++;
        facts->length = v;
    } else if (span_eq_nocase(n, SPAN("transfer-encoding"))) {
        facts->transfer_encoding++;
    } else if (span_eq_nocase(n, SPAN("host"))) {
        facts->host++;
        facts->host_value = v;
    } else if (span_eq_nocase(n, SPAN("origin"))) {
        facts->origin++;
        facts->origin_value = v;
    }
    return MHD_YES;
}

static bool is_local_name(struct span host) {
    struct addr a;
    struct span name = host;
    size_t colon = span_find_char(host, ':');
    if (addr_parse(host, &a) || addr_parse_host(host, 0, &a)) {
        return addr_is_loopback(&a);
    }
    return span_eq_nocase(span_slice(name, 0, colon), SPAN("localhost"));
}

/* 0, or the status of the refusal with its reason. */
static unsigned judge(const struct header_facts *f, size_t max_body, const char **why) {
    static const char scheme[] = "http://";
    uint64_t length = 0;
    if (f->content_length > 1 || f->transfer_encoding > 1 ||
        (f->content_length && f->transfer_encoding)) {
        *why = "repeated or contradicting Content-Length and Transfer-Encoding";
        return MHD_HTTP_BAD_REQUEST;
    }
    if (f->content_length && !span_to_u64(f->length, UINT64_MAX, &length)) {
        *why = "Content-Length is not a number";
        return MHD_HTTP_BAD_REQUEST;
    }
    if (length > max_body) {
        *why = "the body is larger than the configured limit";
        return MHD_HTTP_CONTENT_TOO_LARGE;
    }
    if (f->host != 1 || !is_local_name(f->host_value)) {
        *why = "Host is not an address of this machine's loopback";
        return MHD_HTTP_FORBIDDEN;
    }
    if (f->origin &&
        (f->origin > 1 || !span_starts_with_nocase(f->origin_value, SPAN(scheme)) ||
         !span_eq_nocase(span_after(f->origin_value, sizeof scheme - 1), f->host_value))) {
        *why = "requests from other origins are not served";
        return MHD_HTTP_FORBIDDEN;
    }
    return 0;
}

/* Requests. */

static enum error keep_body(struct exchange *x, const char *bytes, size_t n) {
    size_t limit = x->server->max_body;
    if (x->discarded || n > limit - x->body_n) {
        x->discarded = true;
        return ERR_TOO_BIG;
    }
    if (x->body_n + n > x->body_cap) {
        size_t cap = x->body_cap ? x->body_cap : 4096;
        while (cap < x->body_n + n) {
            cap *= 2;
        }
        char *grown = realloc(x->body, cap);
        if (!grown) {
            return ERR_NO_MEMORY;
        }
        x->body = grown;
        x->body_cap = cap;
    }
    memcpy(x->body + x->body_n, bytes, n);
    x->body_n += n;
    return OK;
}

static struct addr addr_from_sockaddr(const struct sockaddr *sa) {
    struct addr a = {0};
    if (sa && sa->sa_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, sa, sizeof in);
        a.family = 4;
        a.port = ntohs(in.sin_port);
        memcpy(a.ip, &in.sin_addr, 4);
    } else if (sa && sa->sa_family == AF_INET6) {
        struct sockaddr_in6 in6;
        memcpy(&in6, sa, sizeof in6);
        a.family = 6;
        a.port = ntohs(in6.sin6_port);
        memcpy(a.ip, &in6.sin6_addr, 16);
    }
    return a;
}

static const struct web_route *find_route(const struct web_server *s, struct span path) {
    const struct web_route *best = NULL;
    size_t best_n = 0;
    for (size_t i = 0; i < s->n_routes; i++) {
        struct span prefix = span_from_cstr(s->routes[i].prefix);
        bool fits =
            span_starts_with(path, prefix) &&
            (path.n == prefix.n || path.p[prefix.n] == '/' || prefix.p[prefix.n - 1] == '/');
        if (fits && (!best || prefix.n > best_n)) {
            best = &s->routes[i];
            best_n = prefix.n;
        }
    }
    return best;
}

static void dispatch(struct exchange *x, const char *method) {
    struct span query = span_from_cstr(x->target), path = span_cut(&query, '?');
    const char *type =
        MHD_lookup_connection_value(x->connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_TYPE);
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(x->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    const struct web_route *route = find_route(x->server, path);
    struct web_request request = {
        .method = span_from_cstr(method),
        .path = path,
        .query = query,
        .content_type = span_from_cstr(type),
        .body = span_of(x->body, x->body_n),
        .remote = addr_from_sockaddr(info ? info->client_addr : NULL),
    };
    if (route) {
        route->handle(route->ctx, &request, take_answer, x);
    } else {
        web_refuse(take_answer, x, MHD_HTTP_NOT_FOUND, "nothing is served under this path");
    }
}

static enum MHD_Result begin(struct exchange *x) {
    struct header_facts facts = {0};
    const char *why = "";
    x->begun = true;
    MHD_get_connection_values(x->connection, MHD_HEADER_KIND, look_at_header, &facts);
    unsigned status = judge(&facts, x->server->max_body, &why);
    return status ? refuse(x, status, why) : MHD_YES;
}

static enum MHD_Result take_body(struct exchange *x, const char *bytes, size_t *n) {
    uint64_t age_us = env_now_us(x->server->env) - x->began_us;
    if (age_us > x->server->request_s * SEC_IN_US || keep_body(x, bytes, *n) == ERR_NO_MEMORY) {
        return MHD_NO;
    }
    *n = 0;
    return MHD_YES;
}

/* MHD calls this for a request once with its headers, then for each piece of its body, then once
 * without a piece, and again after a resumption. */
static enum MHD_Result on_request(void *ctx, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *upload,
                                  size_t *upload_n, void **con_ctx) {
    struct exchange *x = *con_ctx;
    (void)ctx;
    (void)connection;
    (void)url;
    (void)version;
    if (!x || x->server->stopping) {
        return MHD_NO;
    }
    if (!x->begun) {
        return begin(x);
    }
    if (*upload_n) {
        return take_body(x, upload, upload_n);
    }
    if (x->discarded) {
        return refuse(x, MHD_HTTP_CONTENT_TOO_LARGE,
                      "the body is larger than the configured limit");
    }
    if (!x->answered) {
        dispatch(x, method);
    }
    if (!x->answered) {
        x->suspended = true;
        MHD_suspend_connection(x->connection);
        return MHD_YES;
    }
    return send_answer(x);
}

static void *on_request_line(void *ctx, const char *target, struct MHD_Connection *connection) {
    struct web_server *s = ctx;
    struct exchange *x = calloc(1, sizeof *x);
    if (!x) {
        return NULL;
    }
    x->target = strdup(target);
    if (!x->target) {
        free(x);
        return NULL;
    }
    x->server = s;
    x->connection = connection;
    x->began_us = env_now_us(s->env);
    list_insert(&s->exchanges, &x->entry);
    return x;
}

static void on_completed(void *ctx, struct MHD_Connection *connection, void **con_ctx,
                         enum MHD_RequestTerminationCode why) {
    struct exchange *x = *con_ctx;
    (void)ctx;
    (void)connection;
    (void)why;
    if (!x) {
        return;
    }
    *con_ctx = NULL;
    list_remove(&x->entry);
    if (x->response) {
        MHD_destroy_response(x->response);
    }
    free(x->target);
    free(x->body);
    free(x);
}

/* Start and end. */

static socklen_t addr_to_sockaddr(const struct addr *a, struct sockaddr_storage *out) {
    memset(out, 0, sizeof *out);
    if (a->family == 4) {
        struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(a->port)};
        memcpy(&in.sin_addr, a->ip, 4);
        memcpy(out, &in, sizeof in);
        return sizeof in;
    }
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(a->port)};
    memcpy(&in6.sin6_addr, a->ip, 16);
    memcpy(out, &in6, sizeof in6);
    return sizeof in6;
}

static enum error open_socket(const struct addr *wanted, int *out, struct addr *bound) {
    struct sockaddr_storage sa;
    socklen_t n = addr_to_sockaddr(wanted, &sa);
    int yes = 1;
    int fd = socket(sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) < 0 ||
        bind(fd, (struct sockaddr *)&sa, n) < 0 || listen(fd, BACKLOG) < 0 ||
        getsockname(fd, (struct sockaddr *)&sa, &n) < 0) {
        enum error why = error_from_errno(errno);
        if (fd >= 0) {
            close(fd);
        }
        return why;
    }
    *bound = addr_from_sockaddr((struct sockaddr *)&sa);
    *out = fd;
    return OK;
}

static enum error start_daemon(struct web_server *s, const struct web_server_config *c) {
    int fd = -1;
    enum error e = open_socket(&c->local, &fd, &s->local);
    if (e) {
        return e;
    }
    unsigned connections = c->max_connections ? c->max_connections : DEFAULT_CONNECTIONS;
    unsigned idle_s = c->idle_s ? c->idle_s : DEFAULT_IDLE_S;
    s->daemon = MHD_start_daemon(
        MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, on_request, s,
        MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT, connections,
        MHD_OPTION_CONNECTION_TIMEOUT, idle_s, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        (size_t)2 * HEADERS_MAX, MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_URI_LOG_CALLBACK,
        on_request_line, s, MHD_OPTION_NOTIFY_COMPLETED, on_completed, s, MHD_OPTION_END);
    if (!s->daemon) {
        close(fd);
        return ERR_IO;
    }
    return OK;
}

static enum error watch_daemon(struct web_server *s, struct loop *loop) {
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    if (!info) {
        return ERR_INTERNAL;
    }
    return loop_fd_watch(loop, info->epoll_fd, FD_READABLE, on_ready, s, &s->watch);
}

enum error web_server_new(struct loop *loop, const struct web_server_config *config,
                          const struct web_route *routes, size_t n_routes,
                          struct web_server **out) {
    *out = NULL;
    if (!addr_is_loopback(&config->local)) {
        return ERR_PERMISSION;
    }
    struct web_server *s = calloc(1, sizeof *s);
    if (!s) {
        return ERR_NO_MEMORY;
    }
    list_init(&s->exchanges);
    timer_init(&s->timeout, on_timeout);
    s->max_body = config->max_body ? config->max_body : DEFAULT_MAX_BODY;
    s->request_s = config->request_s ? config->request_s : DEFAULT_REQUEST_S;
    s->routes = calloc(n_routes ? n_routes : 1, sizeof *s->routes);
    enum error e = s->routes ? loop_env_new(loop, "web", &s->env) : ERR_NO_MEMORY;
    if (!e) {
        for (size_t i = 0; i < n_routes; i++) {
            s->routes[s->n_routes++] = routes[i];
        }
        e = start_daemon(s, config);
    }
    if (!e) {
        e = watch_daemon(s, loop);
    }
    if (e) {
        web_server_free(s);
        return e;
    }
    *out = s;
    return OK;
}

const struct addr *web_server_local(const struct web_server *server) {
    return &server->local;
}

void web_server_free(struct web_server *s) {
    if (!s) {
        return;
    }
    s->stopping = true;
    fd_watch_free(s->watch);
    timer_stop(&s->timeout);
    if (s->daemon) {
        LIST_EACH(&s->exchanges, x, struct exchange, entry) {
            if (x->suspended) { /* MHD does not stop with suspended connections */
                x->suspended = false;
                MHD_resume_connection(x->connection);
            }
        }
        MHD_run(s->daemon);
        MHD_stop_daemon(s->daemon);
    }
    env_close(s->env);
    free(s->routes);
    free(s);
}
