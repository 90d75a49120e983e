/* covers: HF7
 * Memory that runs out while something is read: each allocation fails in turn, in SIP messages,
 * User-Data, Diameter, records, configurations, flows and answers of the DNS. What is read is what
 * it was, or it is said that there was no memory. */
#include "app/config.h"
#include "app/flow/flow.h"
#include "codec/diameter/diameter.h"
#include "codec/records/record.h"
#include "codec/sip/sip.h"
#include "codec/userdata/userdata.h"
#include "rt/sim.h"
#include "spec/cx.h"
#include "spec/records.h"
#include "stack/dns/resolver.h"
#include "stack/dns/zone_source.h"

#include <libxml/xmlmemory.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../memory.h"

#define ROOT TEST_SOURCE_DIR "/../"

enum { RUNS_MAX = 5000, CHUNK = 1024 }; /* small chunks: many allocations */

struct input {
    char text[1 << 16];
    size_t n;
    unsigned failed;
};

static void load(struct input *in, const char *path) {
    FILE *f = fopen(path, "rb");
    if (!f) {
        fail_msg("%s", path);
    }
    in->n = fread(in->text, 1, sizeof in->text, f);
    (void)fclose(f);
}

/* Runs a reader in an arena of its own, which it uses after memory_arm. */
static void in_arena(struct input *in, enum error (*read)(struct input *in, struct arena *arena)) {
    struct chunk_pool pool;
    chunk_pool_init(&pool, CHUNK, 0);
    struct arena arena = arena_init(&pool);
    memory_arm();
    enum error e = read(in, &arena);
    bool failed = memory_disarm();
    if (e == ERR_NO_MEMORY) {
        assert_true(failed);
        in->failed++;
    } else {
        assert_int_equal(e, OK);
    }
    arena_release(&arena);
    chunk_pool_free(&pool);
}

static enum error read_sip(struct input *in, struct arena *arena) {
    const struct sip_limits limits = sip_limits_default();
    struct sip_msg *msg;
    struct sip_fault fault;
    char *copy = arena_alloc(arena, in->n);
    if (!copy) {
        return ERR_NO_MEMORY;
    }
    memcpy(copy, in->text, in->n);
    return sip_parse(arena, copy, in->n, &limits, &msg, &fault);
}

static enum error read_userdata(struct input *in, struct arena *arena) {
    struct userdata *data;
    return userdata_read(span_of(in->text, in->n), arena, &data);
}

static enum error read_userdata_libxml2(struct input *in, struct arena *arena) {
    struct userdata *data, *right;
    enum error e = userdata_read_libxml2(span_of(in->text, in->n), arena, &data);
    if (memory_disarm() && e) {
        return ERR_NO_MEMORY; /* it does not always know why it refuses */
    }
    assert_int_equal(userdata_scan(span_of(in->text, in->n), arena, &right), OK);
    assert_true(userdata_eq(data, right));
    return e;
}

static enum error read_saa(struct input *in, struct arena *arena) {
    struct diameter_msg msg;
    struct diameter_fault fault;
    struct cx_saa saa;
    assert_int_equal(diameter_msg_parse(span_of(in->text, in->n), &msg, &fault), OK);
    return cx_saa_decode(arena, &msg, &saa, &fault);
}

static enum error read_record(struct input *in, struct arena *arena) {
    struct rec_subscription_data data;
    return rec_subscription_decode(span_of(in->text, in->n), arena, &data);
}

#define RUN(reader)                                                                                \
    static void run_##reader(void *ctx) {                                                          \
        in_arena(ctx, reader);                                                                     \
    }
RUN(read_sip)
RUN(read_userdata)
RUN(read_userdata_libxml2)
RUN(read_saa)
RUN(read_record)

static void run_config(void *ctx) {
    struct input *in = ctx;
    const struct span text = span_of(in->text, in->n);
    const struct config_layer layer = {"home.yaml", &text};
    struct config config;
    char *faults = NULL;
    memory_arm();
    enum error e = config_load_layers(&layer, 1, &config, &faults);
    bool failed = memory_disarm();
    if (e == OK) {
        assert_int_equal(config.n_nodes, 4);
        config_free(&config);
    } else {
        assert_true(failed);
        in->failed++;
    }
    free(faults);
}

static void run_flow(void *ctx) {
    struct input *in = ctx;
    struct flow *flow = NULL;
    char *faults = NULL;
    memory_arm();
    enum error e = flow_parse("flow", span_of(in->text, in->n), &flow, &faults);
    bool failed = memory_disarm();
    if (e == OK) {
        flow_free(flow);
    } else {
        assert_true(failed);
        in->failed++;
    }
    free(faults);
}

struct look_up {
    struct resolver_query query;
    struct input *in;
    bool failed;
    unsigned answers;
    enum error error;
};

static void on_done(struct resolver_query *query, enum error e,
                    const struct resolver_answer *answer) {
    struct look_up *l = CONTAINER_OF(query, struct look_up, query);
    l->answers++;
    l->error = e;
    assert_true(e != OK || answer->n == 2);
}

static void run_look_up(void *ctx) {
    const struct resolver_name name = {.host = SPAN("home.net")};
    struct look_up l = {.in = ctx};
    struct sim *sim;
    struct env *env;
    struct dns_zone zone;
    struct dns_zone_source dns;
    struct resolver *resolver = NULL;
    assert_int_equal(sim_new(7, &sim), OK);
    assert_int_equal(sim_env_new(sim, "node", &env), OK);
    dns_zone_init(&zone);
    dns_zone_source_init(&dns, &zone);
    for (uint8_t i = 0; i < 2; i++) {
        const struct sip_hop hop = {addr_v4(127, 0, 0, (uint8_t)(2 + i), 4060), SIP_UDP};
        assert_int_equal(dns_zone_add_sip(&zone, SPAN("home.net"),
                                          i ? SPAN("b.home.net") : SPAN("a.home.net"), &hop, 10, 1),
                         OK);
    }
    const struct resolver_config config = {.source = &dns.source};
    memory_arm();
    enum error e = resolver_new(env, &config, &resolver);
    if (e == OK) {
        e = resolver_find(resolver, &name, &l.query, on_done);
    }
    sim_run_until(sim, 20 * SEC_IN_US);
    bool failed = memory_disarm();
    if (e == OK) {
        assert_int_equal(l.answers, 1);
        e = l.error;
    }
    if (e != OK) {
        assert_true(failed);
        l.in->failed++;
    }
    if (resolver) { /* and it works afterwards */
        l.answers = 0;
        resolver_flush(resolver);
        assert_int_equal(resolver_find(resolver, &name, &l.query, on_done), OK);
        sim_run_until(sim, 60 * SEC_IN_US);
        assert_int_equal(l.answers, 1);
        assert_int_equal(l.error, OK);
    }
    resolver_free(resolver);
    dns_zone_free(&zone);
    env_close(env);
    sim_free(sim);
}

static void every_failed_allocation_is_survived(void **state) {
    static struct input in;
    static const struct {
        const char *path;
        void (*run)(void *ctx);
        long least;
    } readers[] = {
        {"torture/longreq.dat", run_read_sip, 2},
        {"torture/wsinv.dat", run_read_sip, 2},
        {"fuzz/corpus/userdata/small", run_read_userdata, 1},
        {"fuzz/corpus/userdata/small", run_read_userdata_libxml2, 1},
        {"fuzz/corpus/diameter/saa", run_read_saa, 1},
        {"fuzz/corpus/records/subscription", run_read_record, 1},
        {"../config/home.yaml", run_config, 2},
        {"../flows/digest-registration.flow", run_flow, 2},
        {"torture/wsinv.dat", run_look_up, 5},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(readers); i++) {
        char path[1024];
        snprintf(path, sizeof path, ROOT "%s", readers[i].path);
        load(&in, path);
        in.failed = 0;
        long n = memory_sweep(readers[i].run, &in, RUNS_MAX);
        print_message("%s: %ld allocations failed, %u times that was said\n", readers[i].path, n,
                      in.failed);
        assert_in_range(n, readers[i].least, RUNS_MAX - 1);
        assert_true(in.failed > 0);
    }
}

static void say_nothing(void *ctx, const char *format, ...) {
    (void)ctx;
    (void)format;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_failed_allocation_is_survived),
    };
    /* libxml2's allocations, too; what it says of them is not of interest */
    xmlMemSetup(free, malloc, realloc, strdup);
    xmlSetGenericErrorFunc(NULL, say_nothing);
    xmlInitParser();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
