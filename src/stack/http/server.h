/* The HTTP server: HTTP/1.1 over streams of the environment's loop, plain and over TLS.
 *
 * Plain connections are taken on loopback only, and TLS elsewhere only where there are tokens: an
 * address for which that does not hold is refused at start. With tokens each request needs one
 * (Authorization: Bearer, RFC 6750) before anything else is looked at: 401 without a good one, 403
 * when its right is not enough. Without tokens everybody on loopback may do everything, but not a
 * page of another site in somebody's browser: Host must be a loopback address or "localhost". In
 * either case Origin, if there is one, must be the host itself (403).
 *
 * Requests are whole before a handler sees them. What two readers could understand differently is
 * answered 400, and the connection closed (stack/http/message.h). Nobody can hold others up: heads
 * and bodies have to come with some speed, answers have to be taken, and when there are too many
 * connections, the one that has been waiting longest for its client goes first. */
#ifndef MUSTER_STACK_HTTP_SERVER_H
#define MUSTER_STACK_HTTP_SERVER_H

#include "base/error.h"
#include "stack/http/access.h"
#include "stack/http/web.h"

struct loop;
struct tls_context;
struct web_server;

struct web_server_config {
    struct addr local;              /* plain: loopback; port 0: any free one; family 0: none */
    struct addr local_tls;          /* over TLS; family 0: none */
    struct tls_context *tls;        /* for it; outlives the server */
    const struct web_token *tokens; /* none: everybody may do everything; copied */
    size_t n_tokens;
    size_t max_body;          /* bytes; longer ones get 413; 0: 1 MiB */
    unsigned max_connections; /* beyond it, one that waits for its client is closed; 0: 2048 */
    unsigned idle_s;          /* a connection whose request's head is not there after so long, whose
                               * body comes with less than a KiB a second in so long, or whose answer
                               * is not taken at all for so long is closed; 0: 10 s */
};

/** Handlers by the beginning of the path: the longest prefix that fits serves the request, at
 * segment borders ("/hss" serves "/hss" and "/hss/x", not "/hssx"). */
struct web_route {
    const char *prefix;
    web_handle_fn *handle;
    void *ctx;
    /** Which right a request of this route needs; NULL: WEB_READ for GET, else WEB_WRITE. */
    enum web_right (*needs)(const struct web_request *request);
};

/** Binds and serves in the loop. The routes are copied; prefixes and contexts stay the caller's and
 * outlive the server. ERR_PERMISSION: an address where it may not serve, or a port that needs
 * rights; ERR_ADDRESS_IN_USE; ERR_NO_MEMORY; ERR_IO. */
MUST_CHECK enum error web_server_new(struct loop *loop, const struct web_server_config *config,
                                     const struct web_route *routes, size_t n_routes,
                                     struct web_server **out);

/** Takes these tokens (copied) instead of the present ones, from the next request on.
 * ERR_PERMISSION: none, though others than loopback are served; ERR_NO_MEMORY. */
MUST_CHECK enum error web_server_set_tokens(struct web_server *server,
                                            const struct web_token *tokens, size_t n);

/** The address that it listens on, with the port that was given to it; family 0: there is none. */
struct addr web_server_local(const struct web_server *server);

/** The same for TLS. */
struct addr web_server_local_tls(const struct web_server *server);

struct web_server_counters {
    uint64_t requests;     /* handed to handlers */
    uint64_t malformed;    /* answered 400, 413, 431, 501, 505 by the server itself */
    uint64_t unauthorized; /* 401 */
    uint64_t forbidden;    /* 403 by the server itself */
    uint64_t slow;         /* connections closed because nothing came, or nothing was taken */
    uint64_t crowded;      /* connections closed because others wanted to come in */
};

/** What has happened so far. */
const struct web_server_counters *web_server_counters(const struct web_server *server);

/** Closes all connections and forgets what is still unanswered; answers must not be given any more.
 * NULL is allowed. */
void web_server_free(struct web_server *server);

#endif
