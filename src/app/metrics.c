/* Prometheus text format 0.0.4: each family once, with HELP and TYPE, its series together. */
#include "app/metrics.h"

#include "node/hss/hss.h"
#include "node/icscf/icscf.h"
#include "node/pcscf/pcscf.h"
#include "node/scscf/scscf.h"
#include "obs/journal.h"
#include "store/lmdb.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

/* A member of a structure of counters. */
struct metric_row {
    const char *name, *help;
    size_t at;
    bool gauge;
};

#include "spec/metrics_tables.h"

/* Writing. */

static void family(FILE *f, const char *name, const char *type, const char *help) {
    fprintf(f, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void single(FILE *f, const char *name, const char *type, const char *help, double value) {
    family(f, name, type, help);
    fprintf(f, "%s %.17g\n", name, value);
}

/* A node with its structures; NULL: not of this role, or it does not run. */
struct source {
    const char *name;
    const void *counters[NAMING_ROLES]; /* its own, by role */
    const struct sip_stack_counters *sip;
    const struct diameter_counters *diameter;
};

struct sources {
    const struct network *network;
    struct source of[CONFIG_NODES_MAX];
    size_t n;
};

static void add_source(void *ctx, const char *name, enum naming_role role, bool ready) {
    struct sources *all = ctx;
    struct source *s = &all->of[all->n++];
    struct span text = span_from_cstr(name);
    const struct pcscf *p = role == NAMING_PCSCF ? network_pcscf(all->network, text) : NULL;
    const struct icscf *i = role == NAMING_ICSCF ? network_icscf(all->network, text) : NULL;
    const struct scscf *c = role == NAMING_SCSCF ? network_scscf(all->network, text) : NULL;
    const struct hss *h = role == NAMING_HSS ? network_hss(all->network, text) : NULL;
    (void)ready;
    *s = (struct source){.name = name};
    s->counters[role] = p   ? (const void *)pcscf_counters(p)
                        : i ? (const void *)icscf_counters(i)
                        : c ? (const void *)scscf_counters(c)
                        : h ? (const void *)hss_counters(h)
                            : NULL;
    s->sip = p   ? pcscf_sip_counters(p)
             : i ? icscf_sip_counters(i)
             : c ? scscf_sip_counters(c)
                 : NULL;
    s->diameter = i   ? icscf_diameter_counters(i)
                  : c ? scscf_diameter_counters(c)
                  : h ? hss_diameter_counters(h)
                      : NULL;
}

static uint64_t member(const void *counters, size_t at) {
    uint64_t value;
    memcpy(&value, (const char *)counters + at, sizeof value);
    return value;
}

enum part { PART_SIP = NAMING_ROLES, PART_DIAMETER };

static const void *part_of(const struct source *s, unsigned part) {
    return part == PART_SIP        ? (const void *)s->sip
           : part == PART_DIAMETER ? (const void *)s->diameter
                                   : s->counters[part];
}

static void put_rows(FILE *f, const struct sources *all, unsigned part,
                     const struct metric_row *rows, size_t n) {
    for (size_t r = 0; r < n; r++) {
        bool said = false;
        for (size_t i = 0; i < all->n; i++) {
            const void *counters = part_of(&all->of[i], part);
            if (counters && !said) {
                family(f, rows[r].name, rows[r].gauge ? "gauge" : "counter", rows[r].help);
                said = true;
            }
            if (counters) {
                fprintf(f, "%s{node=\"%s\"} %llu\n", rows[r].name, all->of[i].name,
                        (unsigned long long)member(counters, rows[r].at));
            }
        }
    }
}

/* Latencies. */

/* The series of one histogram; labels end with a comma, or there are none. */
static void put_latency(FILE *f, const char *name, const char *labels, const struct latency *l) {
    static const uint32_t bounds[LATENCY_BUCKETS] = LATENCY_BOUNDS;
    uint64_t below = 0;
    int n = (int)strlen(labels), shown = n ? n - 1 : 0; /* without the comma */
    const char *open = n ? "{" : "", *close = n ? "}" : "";
    for (size_t i = 0; i < LATENCY_BUCKETS; i++) {
        below += l->buckets[i];
        fprintf(f, "%s_bucket{%sle=\"%g\"} %llu\n", name, labels, bounds[i] / 1e6,
                (unsigned long long)below);
    }
    fprintf(f, "%s_bucket{%sle=\"+Inf\"} %llu\n", name, labels, (unsigned long long)l->count);
    fprintf(f, "%s_sum%s%.*s%s %.6f\n", name, open, shown, labels, close, (double)l->sum_us / 1e6);
    fprintf(f, "%s_count%s%.*s%s %llu\n", name, open, shown, labels, close,
            (unsigned long long)l->count);
}

static void put_procedure(FILE *f, const char *name, const struct source *s, const char *procedure,
                          const struct latency *l) {
    char labels[192];
    snprintf(labels, sizeof labels, "node=\"%s\",procedure=\"%s\",", s->name, procedure);
    put_latency(f, name, labels, l);
}

static void put_latencies(FILE *f, const struct sources *all) {
    static const char name[] = "muster_procedure_seconds";
    family(f, name, "histogram", "Time from a request to its final answer");
    for (size_t i = 0; i < all->n; i++) {
        const struct source *s = &all->of[i];
        const struct pcscf_counters *p = s->counters[NAMING_PCSCF];
        const struct hss_counters *h = s->counters[NAMING_HSS];
        if (p) {
            put_procedure(f, name, s, "REGISTER", &p->latency);
        }
        if (h) {
            put_procedure(f, name, s, "UAR", &h->uar_latency);
            put_procedure(f, name, s, "MAR", &h->mar_latency);
            put_procedure(f, name, s, "SAR", &h->sar_latency);
            put_procedure(f, name, s, "LIR", &h->lir_latency);
        }
    }
}

/* What stands now. */

static void put_registered(FILE *f, const struct sources *all) {
    static const struct {
        const char *name, *help;
        size_t at;
    } gauges[] = {
        {"muster_scscf_registered_sets", "S-CSCF: implicit registration sets registered now",
         offsetof(struct scscf_counts, sets)},
        {"muster_scscf_contacts", "S-CSCF: contacts bound now",
         offsetof(struct scscf_counts, bindings)},
        {"muster_scscf_challenges_outstanding", "S-CSCF: challenges that wait for their answer",
         offsetof(struct scscf_counts, challenges)},
        {"muster_scscf_pending", "S-CSCF: REGISTERs that wait for the HSS",
         offsetof(struct scscf_counts, pending)},
        {"muster_scscf_watchers", "S-CSCF: subscriptions to registration state that stand now",
         offsetof(struct scscf_counts, watchers)},
    };
    for (size_t g = 0; g < COUNT_OF(gauges); g++) {
        family(f, gauges[g].name, "gauge", gauges[g].help);
        for (size_t i = 0; i < all->n; i++) {
            const struct scscf *c =
                all->of[i].counters[NAMING_SCSCF]
                    ? network_scscf(all->network, span_from_cstr(all->of[i].name))
                    : NULL;
            if (c) {
                const struct scscf_counts counts = scscf_counts(c);
                fprintf(f, "%s{node=\"%s\"} %llu\n", gauges[g].name, all->of[i].name,
                        (unsigned long long)member(&counts, gauges[g].at));
            }
        }
    }
    family(f, "muster_pcscf_registrations", "gauge", "P-CSCF: registrations that stand now");
    for (size_t i = 0; i < all->n; i++) {
        const struct pcscf *p = all->of[i].counters[NAMING_PCSCF]
                                    ? network_pcscf(all->network, span_from_cstr(all->of[i].name))
                                    : NULL;
        if (p) {
            fprintf(f, "muster_pcscf_registrations{node=\"%s\"} %zu\n", all->of[i].name,
                    pcscf_registrations(p));
        }
    }
}

static void put_reasons(FILE *f, const struct journal *journal) {
    if (!journal) {
        return;
    }
    const uint64_t *counts = journal_reasons(journal);
    family(f, "muster_reasons_total", "counter",
           "Refusals and results of authentication by their reason (muster explain --reasons)");
    for (unsigned r = REASON_NONE + 1; r < REASONS; r++) {
        fprintf(f, "muster_reasons_total{reason=\"%s\"} %llu\n", reason_name((enum reason)r),
                (unsigned long long)counts[r]);
    }
}

static void put_log_lines(FILE *f, const struct sources *all) {
    static const char *const levels[] = {"debug", "info", "notice", "warning", "error"};
    family(f, "muster_log_lines_total", "counter", "Lines written to the log");
    for (size_t i = 0; i < all->n; i++) {
        const struct env *env = network_env(all->network, span_from_cstr(all->of[i].name));
        for (unsigned l = 0; env && l < COUNT_OF(levels); l++) {
            fprintf(f, "muster_log_lines_total{node=\"%s\",level=\"%s\"} %llu\n", all->of[i].name,
                    levels[l], (unsigned long long)env->log.written[l]);
        }
    }
}

/* The process, by the names that every exporter uses. */

static size_t count_descriptors(void) {
    size_t n = 0;
    DIR *d = opendir("/proc/self/fd");
    while (d && readdir(d)) {
        n++;
    }
    if (d) {
        closedir(d);
    }
    return n > 3 ? n - 3 : 0; /* ".", "..", and the folder itself */
}

static double resident_bytes(void) {
    unsigned long long size = 0, resident = 0;
    FILE *f = fopen("/proc/self/statm", "re");
    if (f) {
        if (fscanf(f, "%llu %llu", &size, &resident) != 2) {
            resident = 0;
        }
        fclose(f);
    }
    return (double)resident * (double)sysconf(_SC_PAGESIZE);
}

static void put_process(FILE *f) {
    struct rusage r = {0};
    struct rlimit files = {0};
    getrusage(RUSAGE_SELF, &r);
    getrlimit(RLIMIT_NOFILE, &files);
    single(f, "process_cpu_seconds_total", "counter", "User and system time of the process",
           (double)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) +
               (double)(r.ru_utime.tv_usec + r.ru_stime.tv_usec) / 1e6);
    single(f, "process_resident_memory_bytes", "gauge", "Resident memory", resident_bytes());
    single(f, "process_open_fds", "gauge", "Open descriptors", (double)count_descriptors());
    single(f, "process_max_fds", "gauge", "Limit of open descriptors", (double)files.rlim_cur);
    family(f, "muster_build_info", "gauge", "1, with the version as a label");
    fprintf(f, "muster_build_info{version=\"%s\"} 1\n", MUSTER_VERSION);
}

static void put_store(FILE *f, const struct network *n) {
    const struct store *store = network_store(n);
    if (!store || !store_is_lmdb(store)) { /* --memory counts more than the configuration */
        return;
    }
    const struct store_lmdb_figures s = store_lmdb_figures(store);
    family(f, "muster_store_commit_seconds", "histogram",
           "Commits of the store, each flushed to its disk");
    put_latency(f, "muster_store_commit_seconds", "", &s.commits);
    single(f, "muster_store_operations_total", "counter", "Writes of the store that are durable",
           (double)s.operations);
    single(f, "muster_store_waiting", "gauge", "Writes that wait for their commit now",
           (double)s.waiting);
    single(f, "muster_store_bytes", "gauge", "Bytes of the store's file in use", (double)s.bytes);
    single(f, "muster_store_max_bytes", "gauge", "Bound of the store's file (store.map-size)",
           (double)s.bytes_max);
    single(f, "muster_store_subscriptions", "gauge", "Subscriptions", (double)s.subscriptions);
}

static void put_loop(FILE *f, const struct loop *loop) {
    const struct loop_counters *c = loop_counters(loop);
    for (size_t r = 0; r < COUNT_OF(loop_metrics); r++) {
        const struct metric_row *row = &loop_metrics[r];
        single(f, row->name, "counter", row->help, (double)member(c, row->at));
    }
}

/* Serving. */

static void put_all(FILE *f, const struct metrics *m) {
    struct sources all = {.network = m->network};
    network_each_node(m->network, add_source, &all);
    put_rows(f, &all, NAMING_PCSCF, pcscf_metrics, COUNT_OF(pcscf_metrics));
    put_rows(f, &all, NAMING_ICSCF, icscf_metrics, COUNT_OF(icscf_metrics));
    put_rows(f, &all, NAMING_SCSCF, scscf_metrics, COUNT_OF(scscf_metrics));
    put_rows(f, &all, NAMING_HSS, hss_metrics, COUNT_OF(hss_metrics));
    put_rows(f, &all, PART_SIP, sip_metrics, COUNT_OF(sip_metrics));
    put_rows(f, &all, PART_DIAMETER, diameter_metrics, COUNT_OF(diameter_metrics));
    put_latencies(f, &all);
    put_registered(f, &all);
    put_reasons(f, m->journal);
    put_log_lines(f, &all);
    put_store(f, m->network);
    put_loop(f, m->loop);
    put_process(f);
}

static bool is_get(const struct web_request *request, web_answer_fn *answer, void *answer_ctx) {
    if (span_eq(request->method, SPAN("GET"))) {
        return true;
    }
    web_refuse_method_of(answer, answer_ctx, "GET");
    return false;
}

void metrics_handle(void *metrics, const struct web_request *request, web_answer_fn *answer,
                    void *answer_ctx) {
    char *text = NULL;
    size_t n = 0;
    if (!is_get(request, answer, answer_ctx)) {
        return;
    }
    FILE *f = open_memstream(&text, &n);
    if (f) {
        put_all(f, metrics);
    }
    if (!f || fclose(f)) {
        web_refuse(answer, answer_ctx, 500, "Out of memory");
    } else {
        answer(answer_ctx, &(struct web_answer){.status = 200,
                                                .content_type = SPAN_INIT(
                                                    "text/plain; version=0.0.4; charset=utf-8"),
                                                .body = span_of(text, n)});
    }
    free(text);
}

void metrics_health(void *metrics, const struct web_request *request, web_answer_fn *answer,
                    void *answer_ctx) {
    const struct metrics *m = metrics;
    const struct config *c = network_config(m->network);
    char text[CONFIG_NODES_MAX * 128 + 64];
    struct buf b = buf_init(text, sizeof text);
    bool first = true;
    if (!is_get(request, answer, answer_ctx)) {
        return;
    }
    buf_cstr(&b, "{\"status\":\"alive\",\"listens\":[");
    for (size_t i = 0; i < c->n_nodes; i++) {
        const struct addr *at[] = {&c->nodes[i].listen, &c->nodes[i].tls_listen};
        for (size_t k = 0; k < COUNT_OF(at) && !c->nodes[i].remote; k++) {
            if (at[k]->family) {
                buf_cstr(&b, first ? "\"" : ",\"");
                addr_put(&b, at[k]);
                buf_char(&b, '"');
                first = false;
            }
        }
    }
    buf_cstr(&b, "]}\n");
    answer(answer_ctx, &(struct web_answer){.status = 200,
                                            .content_type = SPAN_INIT("application/json"),
                                            .body = buf_span(&b)});
}

struct readiness {
    struct buf *out;
    bool all, first;
};

static void put_readiness(void *ctx, const char *name, enum naming_role role, bool ready) {
    struct readiness *r = ctx;
    (void)role;
    buf_printf(r->out, "%s\"%s\":%s", r->first ? "" : ",", name, ready ? "true" : "false");
    r->first = false;
    r->all &= ready;
}

void metrics_ready(void *metrics, const struct web_request *request, web_answer_fn *answer,
                   void *answer_ctx) {
    const struct metrics *m = metrics;
    char text[CONFIG_NODES_MAX * 96 + 128];
    struct buf b = buf_init(text, sizeof text);
    struct readiness r = {&b, true, true};
    if (!is_get(request, answer, answer_ctx)) {
        return;
    }
    buf_printf(&b, "{\"draining\":%s,\"nodes\":{", m->draining ? "true" : "false");
    network_each_node(m->network, put_readiness, &r);
    buf_cstr(&b, "}}\n");
    answer(answer_ctx, &(struct web_answer){.status = r.all && !m->draining ? 200 : 503,
                                            .content_type = SPAN_INIT("application/json"),
                                            .body = buf_span(&b)});
}
