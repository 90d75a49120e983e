/* The HTTP server, over libmicrohttpd, in the thread of an event loop.
 *
 * It takes connections from loopback only: an address that is not one is refused at start. So are
 * requests that a page of another site sent through somebody's browser: Host must be a loopback
 * address or "localhost", Origin, if there is one, the same (403).
 * Requests are whole before a handler sees them; one with repeated or contradicting
 * Content-Length and Transfer-Encoding is answered 400, since two readers could understand it
 * differently (request smuggling). */
#ifndef MUSTER_STACK_HTTP_SERVER_H
#define MUSTER_STACK_HTTP_SERVER_H

#include "base/error.h"
#include "stack/http/web.h"

struct loop;
struct web_server;

struct web_server_config {
    struct addr local;        /* loopback; port 0: any free one */
    size_t max_body;          /* bytes; longer ones get 413; 0: 1 MiB */
    unsigned max_connections; /* beyond it, connections are closed; 0: 64 */
    unsigned idle_s;          /* a connection that says nothing for so long is closed; 0: 10 s */
    unsigned request_s;       /* a body that takes longer to arrive: closed; 0: 60 s */
};

/** Handlers by the beginning of the path: the longest prefix that fits serves the request, at
 * segment borders ("/hss" serves "/hss" and "/hss/x", not "/hssx"). */
struct web_route {
    const char *prefix;
    web_handle_fn *handle;
    void *ctx;
};

/** Binds and serves in the loop. The routes are copied; prefixes and contexts stay the caller's and
 * outlive the server. ERR_PERMISSION: not a loopback address, or a port that needs rights;
 * ERR_ADDRESS_IN_USE; ERR_NO_MEMORY; ERR_IO. */
MUST_CHECK enum error web_server_new(struct loop *loop, const struct web_server_config *config,
                                     const struct web_route *routes, size_t n_routes,
                                     struct web_server **out);

/** The address that it listens on, with the port that was given to it. */
const struct addr *web_server_local(const struct web_server *server);

/** Closes all connections and forgets what is still unanswered; answers must not be given any more.
 * NULL is allowed. */
void web_server_free(struct web_server *server);

#endif
