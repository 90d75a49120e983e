/* covers: HB1
 * The torture messages of RFC 4475 and RFC 5118: each is read, goes to a proxy by UDP and by TCP,
 * and to a P-CSCF, and what comes of it is what README.md's table says. The first argument is the
 * folder of both. */
#include "node/pcscf/pcscf.h"
#include "rt/sim.h"
#include "stack/dns/zone_source.h"
#include "stack/sip/proxy.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

enum { BYTES_MAX = 16384, OUTCOME_MAX = 64, CELLS = 7 };

/* A message is at most this far from its outcome: beyond the patience with unfinished ones. */
static const uint64_t settle_us = 40 * SEC_IN_US;

/* The ports that the messages' Vias name: answers go to one of them at the source (18.2.2). */
static const uint16_t ports[] = {5060, 5050, 5070, 6050, 19823};

static const struct addr peer_at = {4, 5060, {10, 0, 0, 1}};
static const struct addr node_at = {4, 5060, {10, 0, 0, 2}};
static const struct addr next_at = {4, 5060, {10, 0, 0, 3}};

struct world {
    struct sim *sim;
    struct env *node_env, *peer_env, *next_env;
    struct sip_stack *stack;
    struct dns_zone zone;
    struct dns_zone_source dns;
    struct pcscf *pcscf;
    struct stream *stream;
    unsigned status;   /* of the first final answer */
    unsigned answers;  /* final ones */
    unsigned forwards; /* that came to the next node */
    bool closed;
};

/* What a table cell says of one way. */
struct outcome {
    char text[OUTCOME_MAX];
};

static void heard_answers(struct world *w, const char *bytes, size_t n) {
    const struct span start = SPAN("SIP/2.0 ");
    struct span rest = {bytes, n};
    for (size_t at; (at = span_find(rest, start)) < rest.n;) {
        rest = span_after(rest, at + start.n);
        unsigned status = (unsigned)strtoul(rest.p, NULL, 10);
        bool is_line = at == 0 || rest.p[-(long)start.n - 1] == '\n';
        if (is_line && status >= 200) {
            w->status = w->answers++ ? w->status : status;
        }
    }
}

static void peer_hears(void *ctx, struct dgram *d, const struct addr *from, char *bytes, size_t n) {
    (void)d;
    (void)from;
    heard_answers(ctx, bytes, n);
}

static void next_hears(void *ctx, struct dgram *d, const struct addr *from, char *bytes, size_t n) {
    struct world *w = ctx;
    struct arena arena = arena_init(w->next_env->chunks);
    const struct sip_limits limits = sip_limits_default();
    struct sip_fault fault;
    struct sip_msg *msg;
    static char answer[BYTES_MAX];
    struct buf b = buf_init(answer, sizeof answer);
    if (sip_parse(&arena, bytes, n, &limits, &msg, &fault) != OK || !msg->is_request) {
        abort(); /* what we forward can be read */
    }
    if (msg->method != SIP_ACK) {
        w->forwards++;
        sip_put_reply(&b, msg, 486, SPAN_NONE, SPAN("next"));
        sip_put_body(&b, SPAN_NONE);
        (void)dgram_send(d, from, buf_span(&b));
    }
    arena_release(&arena);
}

static void on_request(void *ctx, struct sip_server *tx, const struct sip_msg *req) {
    const struct sip_forward forward = {.to = {next_at, SIP_UDP}};
    (void)ctx;
    (void)req;
    enum error e = sip_proxy_forward(tx, &forward, NULL, NULL, NULL);
    if (e != OK && e != ERR_REFUSED) {
        abort();
    }
}

static const struct sip_stack_handler proxy_handler = {.request = on_request};

static void must(enum error e) {
    if (e != OK) {
        fprintf(stderr, "%s\n", error_text(e));
        abort();
    }
}

static void world_open(struct world *w) {
    *w = (struct world){0};
    dns_zone_init(&w->zone);
    must(sim_new(1, &w->sim));
    sim_set_default_faults(w->sim, &(struct sim_faults){0});
    must(sim_env_new(w->sim, "node", &w->node_env));
    must(sim_env_new(w->sim, "peer", &w->peer_env));
    must(sim_env_new(w->sim, "next", &w->next_env));
    w->node_env->log.level = LOG_ERROR;
    struct dgram *d;
    must(env_dgram_open(w->next_env, &next_at, 0, next_hears, w, &d));
}

static void open_proxy(struct world *w) {
    const struct sip_stack_config config = {
        .local = {{node_at, SIP_UDP}, {node_at, SIP_TCP}}, .n_local = 2, .datagram_max = SIZE_MAX};
    must(sip_stack_new(w->node_env, &config, &proxy_handler, w, &w->stack));
}

static void open_pcscf(struct world *w) {
    dns_zone_source_init(&w->dns, &w->zone);
    must(dns_zone_add_sip(&w->zone, SPAN("example.com"), SPAN("icscf.example.com"),
                          &(struct sip_hop){next_at, SIP_UDP}, 10, 1));
    const struct pcscf_config config = {.host = SPAN("pcscf.example.com"),
                                        .sip = {.addr = node_at, .datagram_max = SIZE_MAX},
                                        .visited_network = SPAN("example.com"),
                                        .dns = {.source = &w->dns.source}};
    must(pcscf_new(w->node_env, &config, &w->pcscf));
}

static void world_close(struct world *w) {
    sip_stack_free(w->stack);
    pcscf_free(w->pcscf);
    dns_zone_free(&w->zone);
    env_close(w->node_env);
    env_close(w->peer_env);
    env_close(w->next_env);
    sim_free(w->sim);
}

static void say_by_udp(struct world *w, struct span bytes) {
    struct dgram *dgrams[COUNT_OF(ports)];
    for (size_t i = 0; i < COUNT_OF(ports); i++) {
        struct addr at = peer_at;
        at.port = ports[i];
        must(env_dgram_open(w->peer_env, &at, 0, peer_hears, w, &dgrams[i]));
    }
    must(dgram_send(dgrams[0], &node_at, bytes));
    sim_run_until(w->sim, sim_now_us(w->sim) + settle_us);
}

static void connected(void *ctx, struct stream *s) {
    (void)ctx;
    (void)s;
}

static size_t received(void *ctx, struct stream *s, char *bytes, size_t n) {
    (void)s;
    heard_answers(ctx, bytes, n);
    return n;
}

static void closed(void *ctx, struct stream *s, enum error why) {
    struct world *w = ctx;
    (void)s;
    (void)why;
    w->closed = true;
    w->stream = NULL;
}

static const struct stream_handler stream_handler = {connected, received, closed};

static void say_by_tcp(struct world *w, struct span bytes) {
    must(env_stream_connect(w->peer_env, &node_at, &stream_handler, w, &w->stream));
    sim_run_until(w->sim, sim_now_us(w->sim) + SEC_IN_US);
    must(stream_send(w->stream, bytes));
    sim_run_until(w->sim, sim_now_us(w->sim) + settle_us);
}

static struct outcome outcome_of(const struct world *w) {
    struct outcome o;
    struct buf b = buf_init(o.text, sizeof o.text - 1);
    if (w->forwards) {
        buf_cstr(&b, "forwarded");
    } else if (w->answers) {
        buf_u64(&b, w->status);
    } else {
        buf_cstr(&b, "nothing");
    }
    if (w->forwards > 1) {
        buf_printf(&b, " %u", w->forwards);
    }
    if (w->closed) {
        buf_cstr(&b, ", closed");
    }
    o.text[b.n] = '\0';
    return o;
}

static struct outcome read_alone(struct span bytes) {
    struct outcome o;
    struct chunk_pool pool;
    chunk_pool_init(&pool, 16384, 2);
    struct arena arena = arena_init(&pool);
    const struct sip_limits limits = sip_limits_default();
    struct sip_fault fault;
    struct sip_msg *msg;
    char *copy = malloc(bytes.n); /* of its size, so that an overread is seen */
    if (!copy) {
        abort();
    }
    memcpy(copy, bytes.p, bytes.n);
    enum error e = sip_parse(&arena, copy, bytes.n, &limits, &msg, &fault);
    if (e == OK) {
        snprintf(o.text, sizeof o.text, "read");
    } else if (fault.status) {
        snprintf(o.text, sizeof o.text, "%u %s", fault.status, fault.reason);
    } else {
        snprintf(o.text, sizeof o.text, "%s", fault.reason);
    }
    free(copy);
    arena_release(&arena);
    chunk_pool_free(&pool);
    return o;
}

static struct outcome at_proxy(struct span bytes, void (*say)(struct world *w, struct span bytes)) {
    struct world w;
    world_open(&w);
    open_proxy(&w);
    say(&w, bytes);
    struct outcome o = outcome_of(&w);
    world_close(&w);
    return o;
}

static struct outcome at_pcscf(struct span bytes) {
    struct world w;
    world_open(&w);
    open_pcscf(&w);
    say_by_udp(&w, bytes);
    struct outcome o = outcome_of(&w);
    world_close(&w);
    return o;
}

/* The file of a row; exits without it. */
static struct span load(const char *folder, struct span name) {
    static char bytes[BYTES_MAX];
    char path[1024];
    snprintf(path, sizeof path, "%s/%.*s.dat", folder, (int)name.n, name.p);
    FILE *f = fopen(path, "rb");
    if (!f) {
        perror(path);
        exit(1);
    }
    size_t n = fread(bytes, 1, sizeof bytes, f);
    (void)fclose(f);
    return (struct span){bytes, n};
}

/* Judges one row: name, section, what the RFC asks, then the four outcomes. */
static bool judge(const char *folder, const struct span cell[CELLS]) {
    struct span bytes = load(folder, cell[0]);
    const struct outcome found[] = {read_alone(bytes), at_proxy(bytes, say_by_udp),
                                    at_proxy(bytes, say_by_tcp), at_pcscf(bytes)};
    bool good = true;
    for (size_t i = 0; i < COUNT_OF(found); i++) {
        good = good && span_eq(cell[3 + i], span_from_cstr(found[i].text));
    }
    printf("%sok - %.*s\n", good ? "" : "not ", (int)cell[0].n, cell[0].p);
    if (!good) {
        printf("# found: | %s | %s | %s | %s |\n", found[0].text, found[1].text, found[2].text,
               found[3].text);
    }
    return good;
}

static struct span trim(struct span s) {
    while (s.n && (s.p[0] == ' ' || s.p[0] == '`')) {
        s = span_after(s, 1);
    }
    while (s.n && strchr(" `\n", s.p[s.n - 1])) {
        s.n--;
    }
    return s;
}

/* Is the line a row of the table? */
static bool is_row(char *line, struct span cell[CELLS]) {
    struct span rest = span_from_cstr(line);
    if (rest.n < 2 || rest.p[0] != '|' || rest.p[2] != '`') {
        return false;
    }
    span_cut(&rest, '|');
    for (size_t i = 0; i < CELLS; i++) {
        cell[i] = rest.p ? trim(span_cut(&rest, '|')) : SPAN_NONE;
    }
    return true;
}

static size_t count_files(const char *folder) {
    size_t n = 0;
    DIR *d = opendir(folder);
    for (struct dirent *e; d && (e = readdir(d));) {
        n += strstr(e->d_name, ".dat") != NULL;
    }
    if (d) {
        closedir(d);
    }
    return n;
}

int main(int argc, char **argv) {
    char path[1024], *line = NULL;
    size_t cap = 0, rows = 0;
    bool good = argc == 2;
    snprintf(path, sizeof path, "%s/README.md", good ? argv[1] : "");
    FILE *f = fopen(path, "r");
    if (!f) {
        perror(path);
        return 1;
    }
    while (getline(&line, &cap, f) >= 0) {
        struct span cell[CELLS];
        if (is_row(line, cell)) {
            rows++;
            good = judge(argv[1], cell) && good;
        }
    }
    free(line);
    (void)fclose(f);
    if (rows != count_files(argv[1])) {
        printf("not ok - every file has a row\n");
        good = false;
    }
    printf("1..%zu\n", rows);
    return good ? 0 : 1;
}
