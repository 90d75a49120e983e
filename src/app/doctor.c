#include "app/doctor.h"

#include "app/names.h"
#include "app/subscribers.h"
#include "node/hss/hss.h"
#include "rt/loop.h"
#include "rt/tls.h"
#include "stack/http/client.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

enum {
    FLUSHES = 20,
    SLOW_FLUSH_US = 20000,
    FREE_MIB = 1024,
    RECEIVE_BYTES = 4 << 20,
    EXPIRY_DAYS = 30,
    DAY_S = 86400,
    DESCRIPTORS = 4096,
    CONNECT_MS = 2000,
};

struct visit {
    const struct config *c;
    doctor_finding_fn *each;
    void *ctx;
    json_t *listens; /* addresses of the Muster that answers at the web address of this
                      * configuration; NULL: none does */
};

static void tell(const struct visit *v, enum doctor_level level, const char *where,
                 const char *mend, const char *format, ...) PRINTF_LIKE(5, 6);

static void tell(const struct visit *v, enum doctor_level level, const char *where,
                 const char *mend, const char *format, ...) {
    char what[512];
    va_list values;
    va_start(values, format);
    vsnprintf(what, sizeof what, format, values);
    va_end(values);
    v->each(v->ctx, &(struct doctor_finding){level, what, where, mend});
}

/* "home.yaml:12" */
static const char *place_of(const struct config_node *n, char out[300]) {
    snprintf(out, 300, "%s:%u", settings_path(n->settings), n->line);
    return out;
}

/* Names and DNS. */

/* "10.0.0.1:53, 10.0.0.2:53" */
static const char *servers_of(const struct config *c, char *out, size_t cap) {
    struct buf b = buf_init(out, cap - 1);
    for (size_t i = 0; i < c->dns.n_servers; i++) {
        buf_cstr(&b, i ? ", " : "");
        addr_put(&b, &c->dns.servers[i]);
    }
    out[b.n] = '\0';
    return out;
}

static void on_name(void *ctx, const struct names_finding *f) {
    const struct visit *v = ctx;
    char wanted[64], servers[400];
    struct buf b = buf_init(wanted, sizeof wanted - 1);
    addr_put_host(&b, &f->wanted);
    wanted[b.n] = '\0';
    if (f->error != OK && f->error != ERR_NOT_FOUND) {
        tell(v, DOCTOR_ERROR, "dns", "start it, or correct dns.servers",
             "no DNS server answers about %s; asked: %s", f->name,
             servers_of(v->c, servers, sizeof servers));
        return;
    }
    tell(v, DOCTOR_ERROR, "dns", "compare what your DNS serves with the output of `muster zone`",
         f->error == OK ? "the DNS says otherwise than the configuration about %s (%s)"
                        : "the DNS does not know %s, which should lead to %s",
         f->name, wanted);
}

static void look_at_names(const struct visit *v) {
    struct naming names;
    const struct config *c = v->c;
    if (naming_derive(&c->plmn, &names) == OK && strcmp(names.home_domain, c->domain) != 0) {
        tell(v, DOCTOR_NOTE, "network.domain",
             "SIM cards without an ISIM derive the domain from their IMSI: they will not find this "
             "one",
             "the home domain is %s, not %s as MCC and MNC say", c->domain, names.home_domain);
    } else {
        tell(v, DOCTOR_OK, "network", "", "home domain and realm are %s", c->domain);
    }
    if (c->dns.n_servers == 0) {
        tell(v, DOCTOR_OK, "dns", "", "names resolve from the configuration itself");
        return;
    }
    struct loop *loop = NULL;
    struct names *n = NULL;
    size_t bad = 1;
    enum error e = loop_new(&loop);
    e = e ? e : names_new(c, loop, 1U << SIP_UDP | 1U << SIP_TCP | 1U << SIP_TLS, &n);
    if (e) {
        tell(v, DOCTOR_ERROR, "dns", "", "the DNS cannot be asked: %s", error_text(e));
    } else {
        bad = names_check(n, on_name, (void *)(uintptr_t)v);
    }
    if (bad == 0) {
        tell(v, DOCTOR_OK, "dns", "", "the DNS servers agree with the configuration");
    }
    names_free(n);
    loop_free(loop);
}

/* Ports. */

/* Where the Muster at this configuration's web address listens; NULL: there is none. */
static json_t *find_running(const struct config *c) {
    char url[96];
    struct buf b = buf_init(url, sizeof url - 1);
    buf_cstr(&b, "http://");
    addr_put(&b, &c->web.listen);
    buf_cstr(&b, "/health");
    url[b.n] = '\0';
    struct web_reply reply;
    const struct web_call call = {
        .method = "GET", .url = url, .token = getenv("MUSTER_TOKEN"), .timeout_s = 2};
    json_t *listens = NULL;
    if (web_client_call(&call, &reply) == OK) {
        json_t *health = json_loadb(reply.body, reply.body_n, 0, NULL);
        listens = json_incref(json_object_get(health, "listens"));
        json_decref(health);
        web_reply_free(&reply);
    }
    return listens;
}

/* Is it the Muster that runs with this configuration who has the address? */
static bool is_held_by_muster(const struct visit *v, const char *address) {
    size_t i;
    const json_t *item;
    json_array_foreach(v->listens, i, item) {
        if (json_is_string(item) && strcmp(json_string_value(item), address) == 0) {
            return true;
        }
    }
    return false;
}

/* Could it be bound? 0, or why not. */
static int try_bind(const struct addr *a, int type) {
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(a->port)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(a->port)};
    const int on = 1;
    memcpy(&v4.sin_addr, a->ip, 4);
    memcpy(&v6.sin6_addr, a->ip, 16);
    int fd = socket(a->family == 4 ? AF_INET : AF_INET6, type | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return errno;
    }
    if (type == SOCK_STREAM) {
        (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    }
    int failed = a->family == 4 ? bind(fd, (const struct sockaddr *)&v4, sizeof v4)
                                : bind(fd, (const struct sockaddr *)&v6, sizeof v6);
    int why = failed ? errno : 0;
    close(fd);
    return why;
}

static void look_at_port(const struct visit *v, const struct config_node *n, const struct addr *a,
                         int type, const char *what) {
    char text[64], place[300];
    struct buf b = buf_init(text, sizeof text - 1);
    addr_put(&b, a);
    text[b.n] = '\0';
    int why = try_bind(a, type);
    if (why == EADDRINUSE && is_held_by_muster(v, text)) {
        tell(v, DOCTOR_OK, place_of(n, place), "", "%s listens on %s (%s): it runs", n->name, text,
             what);
    } else if (why) {
        tell(v, DOCTOR_ERROR, place_of(n, place),
             why == EADDRINUSE      ? "find out who has it with `ss -lnp`, or take another port"
             : why == EACCES        ? "ports below 1024 need a capability; take another"
             : why == EADDRNOTAVAIL ? "the machine does not have this address; see `ip address`"
                                    : "",
             "%s cannot listen on %s (%s): %s", n->name, text, what, strerror(why));
    } else {
        tell(v, DOCTOR_OK, place_of(n, place), "", "%s can listen on %s (%s)", n->name, text, what);
    }
}

static void look_at_ports(const struct visit *v) {
    for (size_t i = 0; i < v->c->n_nodes; i++) {
        const struct config_node *n = &v->c->nodes[i];
        if (n->remote) {
            continue;
        }
        for (size_t t = 0; t < n->n_transports; t++) {
            bool tls = n->transports[t] == SIP_TLS;
            look_at_port(v, n, tls ? &n->tls_listen : &n->listen,
                         n->transports[t] == SIP_UDP ? SOCK_DGRAM : SOCK_STREAM,
                         n->transports[t] == SIP_UDP   ? "SIP over UDP"
                         : n->transports[t] == SIP_TCP ? "SIP over TCP"
                                                       : "SIP over TLS");
        }
        if (n->role == NAMING_HSS) {
            look_at_port(v, n, &n->listen, SOCK_STREAM, "Diameter");
        }
    }
}

/* Diameter agents. */

/* Does anybody take a TCP connection there? 0, or why not. */
static int try_connect(const struct addr *a) {
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(a->port)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(a->port)};
    memcpy(&v4.sin_addr, a->ip, 4);
    memcpy(&v6.sin6_addr, a->ip, 16);
    int why = 0, fd = socket(a->family == 4 ? AF_INET : AF_INET6,
                             SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return errno;
    }
    int failed = a->family == 4 ? connect(fd, (const struct sockaddr *)&v4, sizeof v4)
                                : connect(fd, (const struct sockaddr *)&v6, sizeof v6);
    if (failed && errno == EINPROGRESS) {
        struct pollfd p = {.fd = fd, .events = POLLOUT};
        socklen_t n = sizeof why;
        if (poll(&p, 1, CONNECT_MS) != 1) {
            why = ETIMEDOUT;
        } else if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &why, &n)) {
            why = errno;
        }
    } else if (failed) {
        why = errno;
    }
    close(fd);
    return why;
}

/* Does a node of another process take connections? Datagrams alone do not tell. */
static void look_at_remote(const struct visit *v, const struct config_node *n) {
    bool streams = n->role == NAMING_HSS || n->tls_listen.family;
    for (size_t t = 0; t < n->n_transports; t++) {
        streams |= n->transports[t] != SIP_UDP;
    }
    if (!streams) {
        return;
    }
    char text[64], place[300];
    struct buf b = buf_init(text, sizeof text - 1);
    int why = try_connect(&n->listen);
    bool tls = why && n->tls_listen.family;
    why = tls ? try_connect(&n->tls_listen) : why;
    addr_put(&b, tls ? &n->tls_listen : &n->listen);
    text[b.n] = '\0';
    tell(v, why ? DOCTOR_WARNING : DOCTOR_OK, place_of(n, place),
         why ? "start the process that runs it, or correct its address" : "",
         why ? "%s, in another process, takes no connection at %s: %s"
             : "%s, in another process, takes connections at %s%s",
         n->name, text, why ? strerror(why) : "");
}

static void look_at_remotes(const struct visit *v) {
    for (size_t i = 0; i < v->c->n_nodes; i++) {
        if (v->c->nodes[i].remote) {
            look_at_remote(v, &v->c->nodes[i]);
        }
    }
}

static void look_at_agents(const struct visit *v) {
    for (size_t i = 0; i < v->c->n_nodes; i++) {
        const struct config_node *n = &v->c->nodes[i];
        for (size_t k = 0; k < n->n_agents && !n->remote; k++) {
            const struct config_agent *a = &n->agents[k];
            char text[64], place[300];
            struct buf b = buf_init(text, sizeof text - 1);
            addr_put(&b, &a->address);
            text[b.n] = '\0';
            snprintf(place, sizeof place, "%s:%u", settings_path(n->settings), a->line);
            int why = try_connect(&a->address);
            tell(v, why ? DOCTOR_WARNING : DOCTOR_OK, place,
                 why ? "start it, or correct its address; until then the others carry all" : "",
                 why ? "the agent %s of %s takes no connection at %s: %s"
                     : "the agent %s of %s takes connections at %s%s",
                 a->host, n->name, text, why ? strerror(why) : "");
        }
    }
}

/* Peers in other processes. */

static void look_at_peers(const struct visit *v) {
    bool hss_here = false, hss = false;
    char place[300];
    for (size_t i = 0; i < v->c->n_nodes; i++) {
        const struct config_node *n = &v->c->nodes[i];
        hss |= n->role == NAMING_HSS;
        hss_here |= n->role == NAMING_HSS && !n->remote;
    }
    for (size_t i = 0; i < v->c->n_nodes; i++) {
        const struct config_node *n = &v->c->nodes[i];
        bool cscf = n->role == NAMING_ICSCF || n->role == NAMING_SCSCF;
        if (cscf && !n->remote && !hss) {
            tell(v, DOCTOR_ERROR, place_of(n, place), "add the HSS as a node with remote: yes",
                 "%s has no HSS to ask", n->name);
        } else if (cscf && !n->remote && !hss_here) {
            tell(v, DOCTOR_NOTE, place_of(n, place),
                 "an HSS answers strangers with 3010 and closes the connection",
                 "the HSS in the other process must know %s as a peer: %s", n->name, n->host);
        }
    }
}

/* Certificates. */

/* Is it for this host, and for how long? */
static void look_at_certificate(const struct visit *v, const struct tls_context *t,
                                const char *name, const char *host, const char *place) {
    int64_t left_s = tls_context_expires_s(t) - (int64_t)time(NULL);
    if (!tls_context_is(t, span_from_cstr(host))) {
        tell(v, DOCTOR_ERROR, place, "peers compare it: have a certificate issued for that name",
             "the certificate of %s is not for %s", name, host);
    } else if (left_s < EXPIRY_DAYS * (int64_t)DAY_S) {
        tell(v, left_s < 0 ? DOCTOR_ERROR : DOCTOR_WARNING, place,
             "put a new one into place and `muster reload`",
             left_s < 0 ? "the certificate of %s ended %lld days ago"
                        : "the certificate of %s ends in %lld days",
             name, (long long)(left_s < 0 ? -left_s : left_s) / DAY_S);
    } else if (tls_context_warning(t)[0]) {
        tell(v, DOCTOR_WARNING, place, "", "%s: %s", name, tls_context_warning(t));
    } else {
        tell(v, DOCTOR_OK, place, "", "the certificate of %s is good", name);
    }
}

static void look_at_web_tls(const struct visit *v) {
    static const char place[] = "web.tls";
    char message[512];
    struct tls_context *t = NULL;
    if (!v->c->web.tls_listen.family) {
        return;
    }
    if (config_web_tls_context(v->c, &t, message, sizeof message) != OK) {
        tell(v, DOCTOR_ERROR, place, "docs/tls.md shows how to make certificates", "%s", message);
        return;
    }
    look_at_certificate(v, t, "the web interface", v->c->web.host, place);
    tls_context_free(t);
}

static void look_at_tls(const struct visit *v) {
    for (size_t i = 0; i < v->c->n_nodes; i++) {
        const struct config_node *n = &v->c->nodes[i];
        char message[512], place[300];
        struct tls_context *t = NULL;
        if (n->remote || !config_needs_tls(n)) {
            continue;
        }
        if (config_tls_context(v->c, n, TLS_CLIENT_ANYBODY, &t, message, sizeof message) != OK) {
            tell(v, DOCTOR_ERROR, place_of(n, place), "docs/tls.md shows how to make certificates",
                 "%s: %s", n->name, message);
            continue;
        }
        if (n->role == NAMING_ICSCF && n->tls_listen.family &&
            !tls_context_is(t, span_from_cstr(v->c->domain))) {
            tell(v, DOCTOR_WARNING, place_of(n, place),
                 "whoever looks for the domain wants to see its name (RFC 5922): have both in it",
                 "the certificate of %s is not for %s", n->name, v->c->domain);
        }
        look_at_certificate(v, t, n->name, n->host, place_of(n, place));
        tls_context_free(t);
    }
}

/* The store. */

static uint64_t now_us(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* Microseconds that a flush takes in this folder; 0: nothing can be written there. */
static uint64_t measure_flush(const char *folder) {
    char path[1200], bytes[4096] = {0};
    uint64_t took = 0;
    snprintf(path, sizeof path, "%s/muster-doctor-XXXXXX", folder);
    int fd = mkostemp(path, O_CLOEXEC);
    if (fd < 0) {
        return 0;
    }
    uint64_t began = now_us();
    for (int i = 0; i < FLUSHES; i++) {
        if (pwrite(fd, bytes, sizeof bytes, (off_t)i * (off_t)sizeof bytes) < 0 ||
            fdatasync(fd) != 0) {
            began = 0;
            break;
        }
    }
    took = began ? (now_us() - began) / FLUSHES + 1 : 0;
    close(fd);
    unlink(path);
    return took;
}

/* The nearest folder of a path that exists. */
static void existing_folder(char *path) {
    struct stat st;
    while (stat(path, &st) != 0) {
        char *slash = strrchr(path, '/');
        if (!slash || slash == path) {
            snprintf(path, 3, "%s", slash ? "/" : ".");
            return;
        }
        *slash = '\0';
    }
}

static void look_at_store(const struct visit *v) {
    char path[1024];
    bool hss = false;
    for (size_t i = 0; i < v->c->n_nodes; i++) {
        hss |= v->c->nodes[i].role == NAMING_HSS && !v->c->nodes[i].remote;
    }
    if (!hss) {
        return;
    }
    if (v->c->store.kind == CONFIG_STORE_MEMORY) {
        tell(v, DOCTOR_WARNING, "store.kind", "store: {kind: lmdb} keeps it",
             "the HSS forgets its subscribers at the end");
        return;
    }
    if (!config_store_path(v->c, path, sizeof path)) {
        tell(v, DOCTOR_ERROR, "store.path", "give one", "there is no folder for the store");
        return;
    }
    existing_folder(path);
    struct statvfs fs;
    uint64_t flush_us = measure_flush(path);
    if (flush_us == 0) {
        tell(v, DOCTOR_ERROR, "store.path", "give another one, or the rights to this one",
             "nothing can be written in %s", path);
    } else {
        tell(v, flush_us > SLOW_FLUSH_US ? DOCTOR_WARNING : DOCTOR_OK, "store.path",
             flush_us > SLOW_FLUSH_US ? "each registration waits for a flush: take a faster disk"
                                      : "",
             "a flush takes %.1f ms in %s", (double)flush_us / 1e3, path);
    }
    if (statvfs(path, &fs) == 0 && (uint64_t)fs.f_bavail * fs.f_frsize < (uint64_t)FREE_MIB << 20) {
        tell(v, DOCTOR_WARNING, "store.path", "make room: a million subscriptions take about 1 GiB",
             "only %llu MiB are free in %s",
             (unsigned long long)((uint64_t)fs.f_bavail * fs.f_frsize >> 20), path);
    }
}

/* Subscribers: what the HSS says to their files. */

static void look_at_subscribers(const struct visit *v) {
    char *message = NULL;
    enum error e = subscribers_check(v->c, &message);
    size_t n = message ? strcspn(message, ": ") : 0;
    n += message && message[n] == ':' ? strcspn(message + n + 1, ": ") + 1 : 0; /* FILE:LINE: */
    if (e == OK && v->c->n_subscribers) {
        tell(v, DOCTOR_OK, "subscribers", "", "the HSS takes the files of subscribers");
    } else if (e == ERR_INVALID && message && message[n] == ':') {
        char where[300];
        snprintf(where, sizeof where, "%.*s", (int)n, message);
        tell(v, DOCTOR_ERROR, where, "the HSS refuses the whole file: `muster run` would not start",
             "%s", message + n + 1 + (message[n + 1] == ' '));
    } else if (e) {
        tell(v, DOCTOR_ERROR, "subscribers", "", "%s", message ? message : error_text(e));
    }
    free(message);
}

/* Subscribers: keys that everybody knows, from TS 35.207 and 35.208. */

static void look_at_keys(const struct visit *v) {
    static const char *const known[] = {
        "465b5ce8b199b49faa5f0a2ee238a6bc", "0396eb317b6d1c36f19c1c84cd6ffd16",
        "fec86ba6eb707ed08905757b1bb44b8f", "9e5944aea94b81165c82fbf9f32db751",
        "4ab1deb05ca6ceb051fc98e77d026a84", "6c38a116ac280c454f59332ee35c8c4f"};
    char folder[1024];
    config_folder(v->c, folder, sizeof folder);
    for (size_t i = 0; i < v->c->n_subscribers; i++) {
        char path[2100], *text = NULL;
        size_t n = 0;
        bool absolute = v->c->subscribers[i][0] == '/';
        snprintf(path, sizeof path, "%s%s%s", absolute ? "" : folder, absolute ? "" : "/",
                 v->c->subscribers[i]);
        if (settings_read_file(path, &text, &n) != OK) {
            continue; /* one that is built in, or look_at_subscribers has said so */
        }
        for (size_t k = 0; k < COUNT_OF(known); k++) {
            if (memmem(text, n, known[k], strlen(known[k]))) {
                tell(v, DOCTOR_WARNING, v->c->subscribers[i],
                     "fine for a laboratory; cards of users have keys of their own",
                     "a subscriber has a key that stands in a standard (TS 35.208)");
                break;
            }
        }
        explicit_bzero(text, n);
        free(text);
    }
}

/* The machine. */

static uint64_t kernel_number(const char *path) {
    unsigned long long value = 0;
    FILE *f = fopen(path, "re");
    if (f) {
        if (fscanf(f, "%llu", &value) != 1) {
            value = 0;
        }
        fclose(f);
    }
    return value;
}

static void look_at_kernel(const struct visit *v) {
    struct rlimit files = {0};
    uint64_t buffer = kernel_number("/proc/sys/net/core/rmem_max");
    if (buffer < RECEIVE_BYTES) {
        tell(v, DOCTOR_NOTE, "net.core.rmem_max",
             "`sysctl -w net.core.rmem_max=4194304` lets bursts of REGISTERs wait instead of being "
             "lost",
             "sockets may hold %llu KiB of received datagrams", (unsigned long long)buffer >> 10);
    } else {
        tell(v, DOCTOR_OK, "net.core.rmem_max", "", "receive buffers may be large enough");
    }
    getrlimit(RLIMIT_NOFILE, &files);
    if (files.rlim_cur < DESCRIPTORS) {
        tell(v, DOCTOR_WARNING, "RLIMIT_NOFILE",
             "`ulimit -n 262144`, or LimitNOFILE in the service: each TCP connection takes one",
             "the process may open only %llu descriptors", (unsigned long long)files.rlim_cur);
    } else {
        tell(v, DOCTOR_OK, "RLIMIT_NOFILE", "", "the process may open %llu descriptors",
             (unsigned long long)files.rlim_cur);
    }
    if (time(NULL) < 1735689600) { /* 2025 */
        tell(v, DOCTOR_ERROR, "clock", "set it: certificates and logs depend on it",
             "the clock stands before 2025");
    }
}

static void tell_unproved(const struct visit *v, const struct config_node *hss, const char *host,
                          bool gets_keys) {
    char place[300];
    tell(v, DOCTOR_WARNING, place_of(hss, place),
         "speak TLS with it (docs/tls.md), or name its address: peers: {HOST: {role: ..., "
         "address: ...}}",
         "whoever can reach %s's Diameter port may say that he is %s%s", hss->name, host,
         gets_keys ? ", and gets authentication vectors" : "");
}

/* Peers of an HSS that are believed by their name alone, though strangers may reach it. */
static void look_at_unproved_peers(const struct visit *v, const struct config_node *hss) {
    if (addr_is_loopback(&hss->listen)) {
        return;
    }
    for (size_t i = 0; i < v->c->n_nodes; i++) {
        const struct config_node *n = &v->c->nodes[i];
        if ((n->role == NAMING_ICSCF || n->role == NAMING_SCSCF) && n->remote && !n->diameter_tls) {
            tell_unproved(v, hss, n->host, n->role == NAMING_SCSCF);
        }
    }
    for (size_t i = 0; i < hss->n_peers; i++) {
        const struct config_peer *p = &hss->peers[i];
        if (!p->tls && !p->address.family) {
            tell_unproved(v, hss, p->host, p->roles & HSS_PEER_SCSCF);
        }
    }
}

static void look_at_security(const struct visit *v) {
    for (size_t i = 0; i < v->c->n_nodes; i++) {
        const struct config_node *n = &v->c->nodes[i];
        char place[300];
        if (n->role == NAMING_HSS && !n->remote) {
            look_at_unproved_peers(v, n);
        }
        if (n->role == NAMING_SCSCF && !n->remote && n->aka_without_integrity == 0) {
            tell(v, DOCTOR_NOTE, place_of(n, place),
                 "right where the way to the terminals is private; IPsec is not built yet",
                 "%s takes AKA responses without a security association "
                 "(aka-without-integrity: accept)",
                 n->name);
        }
    }
}

void doctor_examine(const struct config *c, doctor_finding_fn *each, void *ctx) {
    struct visit v = {.c = c, .each = each, .ctx = ctx, .listens = find_running(c)};
    look_at_names(&v);
    look_at_ports(&v);
    look_at_peers(&v);
    look_at_remotes(&v);
    look_at_agents(&v);
    look_at_tls(&v);
    look_at_web_tls(&v);
    look_at_store(&v);
    look_at_subscribers(&v);
    look_at_keys(&v);
    look_at_kernel(&v);
    look_at_security(&v);
    json_decref(v.listens);
}

const char *doctor_level_name(enum doctor_level level) {
    static const char *const names[DOCTOR_LEVELS] = {"ok", "note", "warning", "error"};
    return names[level];
}
