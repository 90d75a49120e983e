/* covers: HF4
 * What application servers have with a subscription: transparent data follows its owners and is
 * bounded, what is due is found, and all goes with the subscription. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "rt/sim.h"
#include "spec/records.h"
#include "store/memory.h"

#include <stdio.h>
#include <stdlib.h>

struct bench {
    struct sim *sim;
    struct env *env;
    struct store *store;
    struct store_op op;
    bool done;
    uint64_t id, version;
    char text[256]; /* of repository data that was loaded */
    size_t n_watchers;
};

/* An identity and its group of aliases; without a name: the end. */
struct identity {
    const char *name, *group;
};

static void on_done(struct store_op *op) {
    struct bench *b = CONTAINER_OF(op, struct bench, op);
    b->done = true;
    if (op->error) {
        return;
    }
    if (op->subscription.id) {
        b->id = op->subscription.id;
        b->version = op->subscription.version;
        struct span w = op->subscription.watchers;
        b->n_watchers = w.n ? rec_watchers_n_watchers(rec_watchers_of(w)) : 0;
    }
    if (op->record.n) {
        struct span data = rec_repository_service_data(rec_repository_of(op->record));
        assert_true(span_to_cstr(data, b->text, sizeof b->text));
    }
}

static bool is_done(void *ctx) {
    return ((struct bench *)ctx)->done;
}

static enum error wait_for(struct bench *b) {
    assert_true(sim_run(b->sim, is_done, b, sim_now_us(b->sim) + 60 * SEC_IN_US));
    return b->op.error;
}

#define DO(b_, call_, ...)                                                                         \
    ((b_)->done = false, (b_)->op = (struct store_op){.done = on_done},                            \
     call_((b_)->store, &(b_)->op, __VA_ARGS__), wait_for(b_))

static void save_identities(struct bench *b, const struct identity *identities) {
    char room[2048];
    struct buf out = buf_init(room, sizeof room);
    struct rec_impu_data impus[8];
    struct rec_subscription_data d = {.name = SPAN("s"), .impus = impus};
    for (; identities->name; identities++) {
        impus[d.n_impus++] =
            (struct rec_impu_data){.identity = span_from_cstr(identities->name),
                                   .alias_group = span_from_cstr(identities->group),
                                   .profile = SPAN("p")};
    }
    assert_int_equal(rec_subscription_encode(&d, &out), OK);
    assert_int_equal(
        DO(b, store_save,
           &(struct store_change){.id = b->id, .version = b->version, .data = buf_span(&out)}),
        OK);
}

static enum error put(struct bench *b, const char *owner, bool aliases, const char *service,
                      const char *text) {
    char room[512];
    struct buf out = buf_init(room, sizeof room);
    const struct rec_repository_data d = {.owner = span_from_cstr(owner),
                                          .of_aliases = aliases,
                                          .service_indication = span_from_cstr(service),
                                          .service_data = span_from_cstr(text)};
    assert_int_equal(rec_repository_encode(&d, &out), OK);
    return DO(b, store_save,
              &(struct store_change){.id = b->id,
                                     .version = b->version,
                                     .repository = buf_span(&out),
                                     .repository_goes = !text,
                                     .repository_max = 3});
}

/* The data of an owner and service; empty: none. */
static const char *get(struct bench *b, const char *owner, bool aliases, const char *service) {
    b->text[0] = '\0';
    enum error e = DO(b, store_load_repository, b->id, span_from_cstr(owner), aliases,
                      span_from_cstr(service));
    assert_true(e == OK || e == ERR_NOT_FOUND);
    return b->text;
}

static int setup(void **state) {
    struct bench *b = calloc(1, sizeof *b);
    const struct store_memory_config config = {.flush_delay_us = 2000, .read_delay_us = 100};
    assert_int_equal(sim_new(7, &b->sim), OK);
    assert_int_equal(sim_env_new(b->sim, "store", &b->env), OK);
    assert_int_equal(store_memory_new(b->env, &config, &b->store), OK);
    save_identities(b, (const struct identity[]){{"sip:a", NULL}, {"sip:b", NULL}, {0}});
    *state = b;
    return 0;
}

static int teardown(void **state) {
    struct bench *b = *state;
    store_free(b->store);
    env_close(b->env);
    sim_free(b->sim);
    free(b);
    return 0;
}

static void data_is_kept_by_owner_and_service_and_bounded(void **state) {
    struct bench *b = *state;
    assert_int_equal(put(b, "sip:a", false, "x", "1"), OK);
    assert_int_equal(put(b, "sip:b", false, "x", "2"), OK);
    assert_int_equal(put(b, "sip:a", true, "x", "3"), OK); /* a group of that name */
    assert_string_equal(get(b, "sip:a", false, "x"), "1");
    assert_string_equal(get(b, "sip:b", false, "x"), "2");
    assert_string_equal(get(b, "sip:a", true, "x"), "3");
    assert_string_equal(get(b, "sip:a", false, "y"), "");
    assert_int_equal(put(b, "sip:a", false, "y", "4"), OK);
    assert_int_equal(put(b, "sip:a", false, "z", "5"), OK);
    uint64_t version = b->version;
    assert_int_equal(put(b, "sip:a", false, "more", "6"), ERR_BUSY);
    assert_int_equal(DO(b, store_load, b->id), OK);
    assert_int_equal(b->version, version); /* a refusal changes nothing */
    assert_int_equal(put(b, "sip:a", false, "z", "7"), OK);
    assert_int_equal(put(b, "sip:a", false, "y", NULL), OK);
    assert_int_equal(put(b, "sip:a", false, "more", "6"), OK);
    b->version--;
    assert_int_equal(put(b, "sip:a", false, "z", "8"), ERR_CONFLICT);
    assert_string_equal(get(b, "sip:a", false, "z"), "7");
}

static void data_follows_its_owners(void **state) {
    struct bench *b = *state;
    assert_int_equal(put(b, "sip:a", false, "x", "of a"), OK);
    assert_int_equal(put(b, "sip:b", false, "x", "of b"), OK);
    assert_int_equal(put(b, "sip:b", false, "y", "b alone"), OK);
    save_identities(b, (const struct identity[]){{"sip:a", "g"}, {"sip:b", "g"}, {0}});
    assert_string_equal(get(b, "sip:a", false, "x"), "");
    assert_true(strcmp(get(b, "g", true, "x"), "of a") == 0 ||
                strcmp(get(b, "g", true, "x"), "of b") == 0);
    assert_string_equal(get(b, "g", true, "y"), "b alone");
    save_identities(
        b, (const struct identity[]){{"sip:a", "g"}, {"sip:b", NULL}, {"sip:c", NULL}, {0}});
    assert_string_equal(get(b, "g", true, "y"), "b alone");
    assert_string_equal(get(b, "sip:b", false, "y"), "b alone");
    assert_string_equal(get(b, "sip:c", false, "y"), "");
    save_identities(b, (const struct identity[]){{"sip:c", NULL}, {0}});
    assert_string_equal(get(b, "g", true, "y"), "");
    assert_string_equal(get(b, "sip:b", false, "y"), "");
}

static enum error watch(struct bench *b, uint32_t changes, size_t n) {
    char room[512];
    struct buf out = buf_init(room, sizeof room);
    const struct rec_watcher_data w = {
        .host = SPAN("as.h"), .identity = SPAN("sip:a"), .changes = changes};
    assert_int_equal(
        rec_watchers_encode(&(struct rec_watchers_data){.watchers = &w, .n_watchers = n}, &out),
        OK);
    return DO(
        b, store_save,
        &(struct store_change){.id = b->id, .version = b->version, .watchers = buf_span(&out)});
}

static void what_is_due_is_found(void **state) {
    struct bench *b = *state;
    assert_int_equal(DO(b, store_next_due, 0), ERR_NOT_FOUND);
    assert_int_equal(watch(b, 0, 1), OK);
    assert_int_equal(DO(b, store_find, STORE_IMPU, SPAN("sip:b")), OK);
    assert_int_equal(b->n_watchers, 1);
    assert_int_equal(DO(b, store_next_due, 0), ERR_NOT_FOUND);
    assert_int_equal(watch(b, 2, 1), OK);
    assert_int_equal(DO(b, store_next_due, 0), OK);
    assert_int_equal(b->n_watchers, 1);
    assert_int_equal(DO(b, store_next_due, b->id), ERR_NOT_FOUND);
    assert_int_equal(watch(b, 2, 0), OK);
    assert_int_equal(DO(b, store_next_due, 0), ERR_NOT_FOUND);
    assert_int_equal(DO(b, store_load, b->id), OK);
    assert_int_equal(b->n_watchers, 0);
}

static void all_goes_with_the_subscription(void **state) {
    struct bench *b = *state;
    uint64_t id = b->id;
    assert_int_equal(put(b, "sip:a", false, "x", "1"), OK);
    assert_int_equal(watch(b, 1, 1), OK);
    assert_int_equal(DO(b, store_delete, id, b->version, SPAN_NONE), OK);
    assert_string_equal(get(b, "sip:a", false, "x"), "");
    assert_int_equal(DO(b, store_next_due, 0), ERR_NOT_FOUND);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(data_is_kept_by_owner_and_service_and_bounded),
        TEST(data_follows_its_owners),
        TEST(what_is_due_is_found),
        TEST(all_goes_with_the_subscription),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
