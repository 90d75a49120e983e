/* covers: HF4
 * The store: one suite for both implementations; then what a crash of each may and may not forget.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "rt/loop.h"
#include "rt/sim.h"
#include "spec/records.h"
#include "store/lmdb.h"
#include "store/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* One place to run a store: a simulation, or a loop with a folder. */
struct bench {
    struct store *store;
    struct sim *sim;
    struct env *env;
    struct loop *loop;
    char path[64];
    bool failed;
};

struct waiting {
    struct store_op op;
    unsigned done;
    uint64_t id, version, sqn, news;
    struct span data, state; /* copied */
    char bytes[4096];
    struct span record;
    char taken[128], mark[64];
    size_t n_imported;
    struct store_outcome outcomes[6]; /* of an import of so many */
};

static void note_done(struct store_op *op) {
    struct waiting *w = CONTAINER_OF(op, struct waiting, op);
    struct buf b = buf_init(w->bytes, sizeof w->bytes);

    w->done++;
    w->id = op->subscription.id;
    w->version = op->subscription.version;
    w->sqn = op->sqn;
    w->news = op->news;
    buf_put(&b, op->subscription.data);
    w->data = buf_span(&b);
    buf_put(&b, op->subscription.state);
    w->state = span_after(buf_span(&b), w->data.n);
    size_t before = b.n;
    buf_put(&b, op->record);
    w->record = span_after(buf_span(&b), before);
    assert_true(span_to_cstr(op->failed_identity, w->taken, sizeof w->taken));
    if (!span_to_cstr(op->record, w->mark, sizeof w->mark)) {
        w->mark[0] = '\0'; /* it is a profile */
    }
    if (op->outcomes && w->n_imported == COUNT_OF(w->outcomes)) {
        memcpy(w->outcomes, op->outcomes, sizeof w->outcomes);
    }
    assert_false(store_op_is_active(op));
}

static bool is_done(void *ctx) {
    return ((struct waiting *)ctx)->done > 0;
}

static void wait_for(struct bench *b, struct waiting *w) {
    if (b->sim) {
        assert_true(sim_run(b->sim, is_done, w, sim_now_us(b->sim) + 60 * SEC_IN_US));
    } else if (!w->done) {
        assert_true(loop_run_until(b->loop, is_done, w, loop_now_us(b->loop) + 20 * SEC_IN_US));
    }
    assert_int_equal(w->done, 1);
}

#define DO(bench_, w_, call_, ...)                                                                 \
    ((w_)->done = 0, (w_)->op = (struct store_op){.done = note_done},                              \
     call_((bench_)->store, &(w_)->op, __VA_ARGS__), wait_for((bench_), (w_)), (w_)->op.error)

/* Records. */

struct sample {
    char data[2048], state[512];
    struct store_change change;
};

static void make(struct sample *s, const char *name, const char *impi, const char *impu1,
                 const char *impu2) {
    struct rec_impi_data impis[] = {{.identity = span_from_cstr(impi), .has_aka = true}};
    struct rec_impu_data impus[] = {{.identity = span_from_cstr(impu1), .profile = SPAN("p")},
                                    {.identity = span_from_cstr(impu2), .profile = SPAN("p")}};
    struct rec_subscription_data d = {.name = span_from_cstr(name),
                                      .impis = impis,
                                      .n_impis = 1,
                                      .impus = impus,
                                      .n_impus = impu2 ? 2 : 1};
    struct buf out = buf_init(s->data, sizeof s->data);

    assert_int_equal(rec_subscription_encode(&d, &out), OK);
    s->change = (struct store_change){.data = buf_span(&out)};
}

static void make_state(struct sample *s, const char *scscf) {
    struct rec_registration_data d = {.scscf_name = span_from_cstr(scscf)};
    struct buf out = buf_init(s->state, sizeof s->state);

    assert_int_equal(rec_registration_encode(&d, &out), OK);
    s->change.state = buf_span(&out);
}

static struct span scscf_of(const struct waiting *w) {
    struct rec_registration r;

    assert_int_equal(rec_registration_open(w->state, &r), OK);
    return rec_registration_scscf_name(r);
}

/* The two kinds. */

static void open_memory(struct bench *b, uint64_t read_delay_us) {
    struct store_memory_config config = {.flush_delay_us = 2000, .read_delay_us = read_delay_us};

    assert_int_equal(sim_new(7, &b->sim), OK);
    assert_int_equal(sim_env_new(b->sim, "store", &b->env), OK);
    assert_int_equal(store_memory_new(b->env, &config, &b->store), OK);
}

static void note_failure(void *ctx, const char *what) {
    (void)what;
    ((struct bench *)ctx)->failed = true;
}

static void open_lmdb(struct bench *b) {
    struct store_lmdb_config config = {
        .path = b->path, .map_size = 64 << 20, .no_sync = true, .failed = note_failure, .ctx = b};
    char message[256] = "";

    enum error e = store_lmdb_open(b->loop, &config, message, sizeof message, &b->store);
    if (e) {
        print_message("%s\n", message);
    }
    assert_int_equal(e, OK);
}

static int setup_memory(void **state) {
    struct bench *b = *state = calloc(1, sizeof *b);

    open_memory(b, 0);
    return 0;
}

static int setup_slow_memory(void **state) {
    struct bench *b = *state = calloc(1, sizeof *b);

    open_memory(b, 300);
    return 0;
}

static int setup_lmdb(void **state) {
    struct bench *b = *state = calloc(1, sizeof *b);

    snprintf(b->path, sizeof b->path, "/tmp/muster-store-XXXXXX");
    assert_non_null(mkdtemp(b->path));
    assert_int_equal(loop_new(&b->loop), OK);
    open_lmdb(b);
    return 0;
}

static int teardown(void **state) {
    struct bench *b = *state;
    char command[128];

    store_free(b->store);
    if (b->sim) {
        env_close(b->env);
        sim_free(b->sim);
    }
    if (b->loop) {
        loop_free(b->loop);
        static const char *const files[] = {"data.mdb", "lock.mdb", "in-use"};
        for (size_t i = 0; i < COUNT_OF(files); i++) {
            snprintf(command, sizeof command, "%s/%s", b->path, files[i]);
            unlink(command);
        }
        rmdir(b->path);
    }
    free(b);
    return 0;
}

/* The suite. */

static void a_subscription_is_found_by_all_its_names(void **state) {
    struct bench *b = *state;
    struct sample s;
    static struct waiting w;

    make(&s, "smith", "alice@home", "sip:alice@home", "tel:+4412345");
    assert_int_equal(DO(b, &w, store_save, &s.change), OK);
    assert_int_equal(w.version, 1);
    uint64_t id = w.id;
    assert_int_equal(DO(b, &w, store_find, STORE_IMPU, SPAN("tel:+4412345")), OK);
    assert_int_equal(w.id, id);
    assert_int_equal(w.version, 1);
    assert_true(span_eq(w.data, s.change.data));
    assert_int_equal(scscf_of(&w).n, 0);
    assert_int_equal(DO(b, &w, store_find, STORE_IMPI, SPAN("alice@home")), OK);
    assert_int_equal(DO(b, &w, store_find, STORE_NAME, SPAN("smith")), OK);
    assert_int_equal(DO(b, &w, store_find, STORE_IMPI, SPAN("sip:alice@home")), ERR_NOT_FOUND);
    assert_int_equal(DO(b, &w, store_find, STORE_IMPU, SPAN("sip:bob@home")), ERR_NOT_FOUND);
    assert_int_equal(DO(b, &w, store_find, STORE_IMPU, SPAN_NONE), ERR_NOT_FOUND);
    assert_int_equal(DO(b, &w, store_load, id), OK);
    assert_int_equal(DO(b, &w, store_load, id + 1), ERR_NOT_FOUND);
    assert_int_equal(store_count(b->store), 1);
}

static void a_save_needs_the_present_version(void **state) {
    struct bench *b = *state;
    struct sample s;
    static struct waiting w;

    make(&s, "smith", "alice@home", "sip:alice@home", NULL);
    assert_int_equal(DO(b, &w, store_save, &s.change), OK);
    s.change = (struct store_change){.id = w.id, .version = 1};
    make_state(&s, "sip:scscf1");
    assert_int_equal(DO(b, &w, store_save, &s.change), OK);
    assert_int_equal(w.version, 2);
    make_state(&s, "sip:scscf2");
    assert_int_equal(DO(b, &w, store_save, &s.change), ERR_CONFLICT);
    assert_int_equal(DO(b, &w, store_load, s.change.id), OK);
    assert_true(span_eq(scscf_of(&w), SPAN("sip:scscf1")));
    assert_int_equal(w.version, 2);
    s.change.version = 2;
    assert_int_equal(DO(b, &w, store_save, &s.change), OK);
    s.change.id = 77;
    assert_int_equal(DO(b, &w, store_save, &s.change), ERR_CONFLICT);
}

static void changed_data_changes_the_index_and_keeps_the_state(void **state) {
    struct bench *b = *state;
    struct sample s, t;
    static struct waiting w;

    make(&s, "smith", "alice@home", "sip:alice@home", "sip:old@home");
    make_state(&s, "sip:scscf1");
    assert_int_equal(DO(b, &w, store_save, &s.change), OK);
    uint64_t id = w.id;
    make(&t, "smith", "alice@home", "sip:alice@home", "sip:new@home");
    t.change.id = id;
    t.change.version = 1;
    assert_int_equal(DO(b, &w, store_save, &t.change), OK);
    assert_int_equal(DO(b, &w, store_find, STORE_IMPU, SPAN("sip:old@home")), ERR_NOT_FOUND);
    assert_int_equal(DO(b, &w, store_find, STORE_IMPU, SPAN("sip:new@home")), OK);
    assert_int_equal(w.version, 2);
    assert_true(span_eq(scscf_of(&w), SPAN("sip:scscf1")));
}

static void an_identity_belongs_to_one_subscription(void **state) {
    struct bench *b = *state;
    struct sample s, t;
    static struct waiting w;

    make(&s, "smith", "alice@home", "sip:alice@home", NULL);
    assert_int_equal(DO(b, &w, store_save, &s.change), OK);
    make(&t, "jones", "bob@home", "sip:bob@home", "sip:alice@home");
    assert_int_equal(DO(b, &w, store_save, &t.change), ERR_EXISTS);
    assert_string_equal(w.taken, "sip:alice@home");
    make(&t, "jones", "alice@home", "sip:bob@home", NULL);
    assert_int_equal(DO(b, &w, store_save, &t.change), ERR_EXISTS);
    assert_string_equal(w.taken, "alice@home");
    make(&t, "smith", "bob@home", "sip:bob@home", NULL);
    assert_int_equal(DO(b, &w, store_save, &t.change), ERR_EXISTS);
    assert_string_equal(w.taken, "smith");
    assert_int_equal(DO(b, &w, store_find, STORE_IMPI, SPAN("bob@home")), ERR_NOT_FOUND);
    assert_int_equal(store_count(b->store), 1);
    t.change.data.n--; /* damaged */
    assert_int_equal(DO(b, &w, store_save, &t.change), ERR_CORRUPT);
}

static void a_deleted_subscription_leaves_nothing(void **state) {
    struct bench *b = *state;
    struct sample s;
    static struct waiting w;

    make(&s, "smith", "alice@home", "sip:alice@home", NULL);
    assert_int_equal(DO(b, &w, store_save, &s.change), OK);
    uint64_t id = w.id;
    assert_int_equal(DO(b, &w, store_save_sqn, id, 0, 0, 32), OK);
    assert_int_equal(DO(b, &w, store_save_sqn, id, 5, 0, 64), OK);
    assert_int_equal(DO(b, &w, store_delete, id, 2, SPAN_NONE), ERR_CONFLICT);
    assert_int_equal(DO(b, &w, store_delete, id, 1, SPAN_NONE), OK);
    assert_int_equal(DO(b, &w, store_delete, id, 1, SPAN_NONE), ERR_CONFLICT);
    assert_int_equal(DO(b, &w, store_find, STORE_IMPU, SPAN("sip:alice@home")), ERR_NOT_FOUND);
    assert_int_equal(DO(b, &w, store_load_sqn, id, 5), OK);
    assert_int_equal(w.sqn, 0);
    assert_int_equal(store_count(b->store), 0);
    assert_int_equal(DO(b, &w, store_save, &s.change), OK);
    assert_true(w.id > id); /* numbers are not used again */
}

/* A record for the outbox that can be told from others. */
static struct span news_of(struct buf *b, uint64_t subscription) {
    const struct rec_news_data data = {.subscription = subscription};
    b->n = 0;
    assert_int_equal(rec_news_encode(&data, b), OK);
    return buf_span(b);
}

static uint64_t told(const struct waiting *w) {
    return rec_news_subscription(rec_news_of(w->record));
}

static void the_outbox_has_what_was_put_into_it_with_changes(void **state) {
    struct bench *b = *state;
    struct sample s;
    static struct waiting w;
    char room[256];
    struct buf news = buf_init(room, sizeof room);

    assert_int_equal(DO(b, &w, store_next_news, 0), ERR_NOT_FOUND);
    make(&s, "smith", "alice@home", "sip:alice@home", NULL);
    assert_int_equal(DO(b, &w, store_save, &s.change), OK);
    assert_int_equal(w.news, 0);
    struct store_change c = {.id = w.id, .version = 1, .news = news_of(&news, 11)};
    assert_int_equal(DO(b, &w, store_save, &c), OK);
    assert_int_equal(w.news, 1);
    assert_int_equal(DO(b, &w, store_save, &c), ERR_CONFLICT); /* and says nothing of it */
    c.version = 2;
    c.news = SPAN("junk");
    assert_int_equal(DO(b, &w, store_save, &c), ERR_CORRUPT);
    assert_int_equal(DO(b, &w, store_delete, c.id, 2, news_of(&news, 12)), OK);
    assert_int_equal(DO(b, &w, store_save_news, 0, news_of(&news, 13)), OK);
    assert_int_equal(w.news, 3);
    assert_int_equal(DO(b, &w, store_save_news, 0, SPAN("junk")), ERR_INVALID);
    for (uint64_t n = 1; n <= 3; n++) { /* they outlive the subscription */
        assert_int_equal(DO(b, &w, store_next_news, n - 1), OK);
        assert_int_equal(w.news, n);
        assert_int_equal(told(&w), 10 + n);
    }
    assert_int_equal(DO(b, &w, store_save_news, 2, news_of(&news, 22)), OK);
    assert_int_equal(DO(b, &w, store_delete_news, 1), OK);
    assert_int_equal(DO(b, &w, store_delete_news, 1), OK);
    assert_int_equal(DO(b, &w, store_next_news, 0), OK);
    assert_int_equal(w.news, 2);
    assert_int_equal(told(&w), 22);
    assert_int_equal(DO(b, &w, store_delete_news, 2), OK);
    assert_int_equal(DO(b, &w, store_delete_news, 3), OK);
    assert_int_equal(DO(b, &w, store_save_news, 0, news_of(&news, 14)), OK);
    assert_int_equal(w.news, 4); /* numbers are not used again */
}

static void sequence_numbers_are_saved_only_over_what_was_expected(void **state) {
    struct bench *b = *state;
    struct sample s;
    static struct waiting w;

    make(&s, "smith", "alice@home", "sip:alice@home", NULL);
    assert_int_equal(DO(b, &w, store_save, &s.change), OK);
    uint64_t id = w.id;
    assert_int_equal(DO(b, &w, store_load_sqn, id, 0), OK);
    assert_int_equal(w.sqn, 0);
    assert_int_equal(DO(b, &w, store_save_sqn, id, 0, 0, 32), OK);
    assert_int_equal(DO(b, &w, store_save_sqn, id, 0, 0, 32), ERR_CONFLICT);
    assert_int_equal(DO(b, &w, store_save_sqn, id, 0, 32, (UINT64_C(1) << 43) - 1), OK);
    assert_int_equal(DO(b, &w, store_load_sqn, id, 0), OK);
    assert_int_equal(w.sqn, (UINT64_C(1) << 43) - 1);
    assert_int_equal(DO(b, &w, store_load_sqn, id, 1), OK);
    assert_int_equal(w.sqn, 0);
    assert_int_equal(DO(b, &w, store_save_sqn, id + 9, 0, 0, 32), ERR_CONFLICT);
}

static enum error import_all(struct bench *b, struct waiting *w, const struct store_change *changes,
                             size_t n) {
    return DO(b, w, store_import, &(struct store_import){.changes = changes, .n = n});
}

static void an_import_is_whole_or_not_at_all(void **state) {
    struct bench *b = *state;
    static struct sample s[50];
    struct store_change changes[50];
    static struct waiting w;
    char text[4][32];

    for (unsigned round = 0; round < 3; round++) {
        for (unsigned i = 0; i < 50; i++) {
            unsigned n = round == 1 && i == 40 ? 3 : i; /* its own twin */
            snprintf(text[0], 32, "sub%u", i);
            snprintf(text[1], 32, "u%u@home", i);
            snprintf(text[2], 32, "sip:u%u@home", n);
            snprintf(text[3], 32, "tel:+44%u", i);
            make(&s[i], text[0], text[1], text[2], text[3]);
            changes[i] = s[i].change;
        }
        if (round == 0) {
            make(&s[49], "taken", "t@home", "sip:u30@home", NULL);
            assert_int_equal(DO(b, &w, store_save, &s[49].change), OK);
            assert_int_equal(import_all(b, &w, changes, 49), ERR_EXISTS);
            assert_int_equal(w.op.failed_at, 30);
            assert_string_equal(w.taken, "sip:u30@home");
            assert_int_equal(store_count(b->store), 1);
            assert_int_equal(DO(b, &w, store_find, STORE_NAME, SPAN("taken")), OK);
            assert_int_equal(DO(b, &w, store_delete, w.id, 1, SPAN_NONE), OK);
        } else if (round == 1) {
            assert_int_equal(import_all(b, &w, changes, 50), ERR_EXISTS);
            assert_int_equal(w.op.failed_at, 40);
            assert_int_equal(store_count(b->store), 0);
            assert_int_equal(DO(b, &w, store_find, STORE_NAME, SPAN("sub0")), ERR_NOT_FOUND);
        } else {
            struct rec_profile_data p = {.name = SPAN("gold")};
            char room[128];
            struct buf out = buf_init(room, sizeof room);
            assert_int_equal(rec_profile_encode(&p, &out), OK);
            struct store_change with_profile[51] = {
                {.data = buf_span(&out), .profile = SPAN("gold")}};
            memcpy(with_profile + 1, changes, sizeof changes);
            with_profile[50].data.n--;
            assert_int_equal(import_all(b, &w, with_profile, 51), ERR_CORRUPT);
            assert_int_equal(w.op.failed_at, 50);
            assert_int_equal(DO(b, &w, store_load_profile, SPAN("gold")), ERR_NOT_FOUND);
            assert_int_equal(store_count(b->store), 0);
            with_profile[50].data.n++;
            assert_int_equal(import_all(b, &w, with_profile, 51), OK);
            assert_int_equal(DO(b, &w, store_load_profile, SPAN("gold")), OK);
        }
    }
    unsigned n = 0;
    uint64_t after = 0;
    while (DO(b, &w, store_next, after) == OK) {
        assert_true(w.id > after);
        after = w.id;
        n++;
    }
    assert_int_equal(w.op.error, ERR_NOT_FOUND);
    assert_int_equal(n, 50);
}

static void an_import_may_leave_out_what_is_refused(void **state) {
    struct bench *b = *state;
    static struct sample s[6];
    struct store_change changes[6];
    static struct waiting w;

    make(&s[0], "old", "old@home", "sip:old@home", NULL);
    assert_int_equal(DO(b, &w, store_save, &s[0].change), OK);
    make(&s[0], "a", "a@home", "sip:a@home", NULL);
    make(&s[1], "b", "b@home", "sip:old@home", "tel:+1"); /* taken before */
    make(&s[2], "c", "c@home", "sip:c@home", "tel:+1");   /* its rival is refused */
    make(&s[3], "d", "a@home", "sip:d@home", "tel:+2");   /* gives way to the first */
    make(&s[4], "e", "e@home", "sip:e@home", "tel:+2");   /* and so leaves this to the next */
    make(&s[5], "f", "f@home", "sip:f@home", "tel:+3");
    for (size_t i = 0; i < 6; i++) {
        changes[i] = s[i].change;
    }
    changes[5].data.n--;
    struct store_import import = {.changes = changes, .n = 6, .mode = STORE_CHECK};
    for (unsigned round = 0; round < 2; round++) {
        static const enum error expected[6] = {OK, ERR_EXISTS, OK, ERR_EXISTS, OK, ERR_CORRUPT};
        static const size_t others[6] = {STORE_TAKEN, STORE_TAKEN, STORE_TAKEN,
                                         0,           STORE_TAKEN, STORE_TAKEN};

        w.n_imported = 6;
        assert_int_equal(DO(b, &w, store_import, &import), OK);
        for (size_t i = 0; i < 6; i++) {
            assert_int_equal(w.outcomes[i].error, expected[i]);
            assert_true(w.outcomes[i].other == others[i]);
        }
        assert_int_equal(store_count(b->store), round ? 4 : 1);
        import.mode = STORE_EACH;
    }
    assert_int_equal(DO(b, &w, store_find, STORE_IMPU, SPAN("tel:+1")), OK);
    assert_int_equal(DO(b, &w, store_find, STORE_NAME, SPAN("c")), OK);
    assert_int_equal(DO(b, &w, store_find, STORE_NAME, SPAN("d")), ERR_NOT_FOUND);
}

static void a_mark_changes_with_what_is_imported(void **state) {
    struct bench *b = *state;
    static struct sample s[2];
    static struct waiting w;

    make(&s[0], "a", "a@home", "sip:a@home", NULL);
    make(&s[1], "b", "b@home", "sip:b@home", NULL);
    struct store_import first = {
        .changes = &s[0].change, .n = 1, .mark = {.name = SPAN("file"), .text = SPAN("one")}};
    struct store_import second = {
        .changes = &s[1].change,
        .n = 1,
        .mode = STORE_EACH,
        .mark = {.name = SPAN("file"), .expected = SPAN("one"), .text = SPAN("two")}};
    struct store_import end = {.mark = {.name = SPAN("file"), .expected = SPAN("two")}};

    assert_int_equal(DO(b, &w, store_load_mark, SPAN("file")), ERR_NOT_FOUND);
    assert_int_equal(DO(b, &w, store_import, &second), ERR_CONFLICT);
    assert_int_equal(DO(b, &w, store_import, &first), OK);
    assert_int_equal(DO(b, &w, store_import, &first), ERR_EXISTS); /* and the mark stays */
    assert_int_equal(DO(b, &w, store_import, &second), OK);
    assert_int_equal(w.op.mark_stored, 2);
    assert_int_equal(DO(b, &w, store_import, &second), ERR_CONFLICT);
    assert_int_equal(DO(b, &w, store_load_mark, SPAN("file")), OK);
    assert_int_equal(w.op.mark_stored, 2);
    assert_string_equal(w.mark, "two");
    assert_int_equal(store_count(b->store), 2);
    assert_int_equal(DO(b, &w, store_import, &end), OK);
    assert_int_equal(DO(b, &w, store_load_mark, SPAN("file")), ERR_NOT_FOUND);
}

static struct span record_of(char *room, size_t size, const char *identity, uint8_t type) {
    const struct rec_impu_data impu = {
        .identity = span_from_cstr(identity), .impi = 255, .type = type, .profile = SPAN("p")};
    const struct rec_subscription_data data = {.name = SPAN("a"), .impus = &impu, .n_impus = 1};
    struct buf out = buf_init(room, size);
    assert_int_equal(rec_subscription_encode(&data, &out), OK);
    return buf_span(&out);
}

static void wildcards_are_listed_as_long_as_they_are_there(void **state) {
    struct bench *b = *state;
    static struct waiting w;
    char room[1024];
    struct store_change change = {.data = record_of(room, sizeof room, "sip:a!.*!@x", 4)};
    assert_int_equal(DO(b, &w, store_save, &change), OK);
    change.id = w.op.subscription.id;
    change.version = w.op.subscription.version;
    assert_int_equal(DO(b, &w, store_next_wildcard, SPAN_NONE), OK);
    change.data = record_of(room, sizeof room, "sip:a!.*!@x", 0); /* none any more */
    assert_int_equal(DO(b, &w, store_save, &change), OK);
    assert_int_equal(DO(b, &w, store_next_wildcard, SPAN_NONE), ERR_NOT_FOUND);
}

static void profiles_are_kept_by_name(void **state) {
    struct bench *b = *state;
    static struct waiting w;
    char room[256];
    static const char *const names[] = {"b", "a", "default"};

    for (size_t i = 0; i < 3; i++) {
        struct rec_profile_data p = {.name = span_from_cstr(names[i])};
        struct buf out = buf_init(room, sizeof room);
        assert_int_equal(rec_profile_encode(&p, &out), OK);
        assert_int_equal(DO(b, &w, store_save_profile, p.name, buf_span(&out)), OK);
        assert_int_equal(DO(b, &w, store_save_profile, p.name, buf_span(&out)), OK);
    }
    assert_int_equal(DO(b, &w, store_save_profile, SPAN("x"), SPAN("no record")), ERR_CORRUPT);
    assert_int_equal(DO(b, &w, store_load_profile, SPAN("a")), OK);
    assert_true(span_eq(rec_profile_name(rec_profile_of(w.record)), SPAN("a")));
    assert_int_equal(DO(b, &w, store_next_profile, SPAN_NONE), OK);
    assert_true(span_eq(rec_profile_name(rec_profile_of(w.record)), SPAN("a")));
    assert_int_equal(DO(b, &w, store_next_profile, SPAN("a")), OK);
    assert_true(span_eq(rec_profile_name(rec_profile_of(w.record)), SPAN("b")));
    assert_int_equal(DO(b, &w, store_next_profile, SPAN("default")), ERR_NOT_FOUND);
    assert_int_equal(DO(b, &w, store_delete_profile, SPAN("b")), OK);
    assert_int_equal(DO(b, &w, store_delete_profile, SPAN("b")), ERR_NOT_FOUND);
    assert_int_equal(DO(b, &w, store_load_profile, SPAN("b")), ERR_NOT_FOUND);
}

static void writes_complete_later_and_in_order(void **state) {
    struct bench *b = *state;
    struct sample s;
    static struct waiting first, more[20], last;

    make(&s, "smith", "alice@home", "sip:alice@home", NULL);
    assert_int_equal(DO(b, &first, store_save, &s.change), OK);
    s.change = (struct store_change){.id = first.id};
    for (unsigned i = 0; i < 20; i++) {
        more[i] = (struct waiting){.op.done = note_done};
        s.change.version = i + 1;
        make_state(&s, i % 2 ? "sip:odd" : "sip:even");
        store_save(b->store, &more[i].op, &s.change);
        memset(s.state, 0xff, sizeof s.state); /* copied before the call returned */
        assert_int_equal(more[i].done, 0);
        assert_true(store_op_is_active(&more[i].op));
    }
    wait_for(b, &more[19]);
    for (unsigned i = 0; i < 20; i++) {
        assert_int_equal(more[i].done, 1);
        assert_int_equal(more[i].op.error, OK);
        assert_int_equal(more[i].version, i + 2);
    }
    assert_int_equal(DO(b, &last, store_load, first.id), OK);
    assert_true(span_eq(scscf_of(&last), SPAN("sip:odd")));
}

static void a_cancelled_operation_is_silent(void **state) {
    struct bench *b = *state;
    struct sample s;
    static struct waiting w, other;

    make(&s, "smith", "alice@home", "sip:alice@home", NULL);
    w = (struct waiting){.op.done = note_done};
    store_save(b->store, &w.op, &s.change);
    store_cancel(&w.op);
    store_cancel(&w.op);
    assert_false(store_op_is_active(&w.op));
    make(&s, "jones", "bob@home", "sip:bob@home", NULL);
    assert_int_equal(DO(b, &other, store_save, &s.change), OK);
    assert_int_equal(w.done, 0);
    store_find(b->store, &w.op, STORE_NAME, SPAN("jones"));
    unsigned already = w.done;
    store_cancel(&w.op);
    assert_int_equal(DO(b, &other, store_find, STORE_NAME, SPAN("jones")), OK);
    assert_int_equal(w.done, already);
}

static void large_records_are_kept(void **state) {
    struct bench *b = *state;
    static struct waiting w;
    static char impu[3000][40], memory[400000];
    static struct rec_impu_data impus[3000];
    struct rec_impi_data impi = {.identity = SPAN("pbx@home")};
    struct buf out = buf_init(memory, sizeof memory);

    for (unsigned i = 0; i < 3000; i++) {
        snprintf(impu[i], sizeof impu[i], "sip:extension-%u@pbx.home", i);
        impus[i] = (struct rec_impu_data){.identity = span_from_cstr(impu[i]), .impi = 255};
    }
    struct rec_subscription_data d = {
        .name = SPAN("pbx"), .impis = &impi, .n_impis = 1, .impus = impus, .n_impus = 3000};
    assert_int_equal(rec_subscription_encode(&d, &out), OK);
    struct store_change change = {.data = buf_span(&out)};
    assert_int_equal(DO(b, &w, store_save, &change), OK);
    assert_int_equal(DO(b, &w, store_find, STORE_IMPU, SPAN("sip:extension-2999@pbx.home")), OK);
}

/* Crashes. */

static void memory_forgets_what_was_not_flushed(void **state) {
    struct bench *b = *state;
    struct sample s;
    static struct waiting w, lost;

    make(&s, "smith", "alice@home", "sip:alice@home", NULL);
    assert_int_equal(DO(b, &w, store_save, &s.change), OK);
    lost = (struct waiting){.op.done = note_done};
    make(&s, "jones", "bob@home", "sip:bob@home", NULL);
    store_save(b->store, &lost.op, &s.change);
    sim_run_until(b->sim, sim_now_us(b->sim) + 1000);
    store_memory_crash(b->store);
    assert_false(store_op_is_active(&lost.op));
    sim_run_until(b->sim, sim_now_us(b->sim) + 100000);
    assert_int_equal(lost.done, 0);
    assert_int_equal(DO(b, &w, store_find, STORE_NAME, SPAN("smith")), OK);
    assert_int_equal(DO(b, &w, store_find, STORE_NAME, SPAN("jones")), ERR_NOT_FOUND);
}

struct crash_plan {
    uint64_t at;
};

static bool crash_at(void *ctx, uint64_t flush) {
    return flush == ((struct crash_plan *)ctx)->at;
}

/* Twenty saves one after the other; the machine crashes at each flush in turn. What was
 * acknowledged is there, and of the rest nothing by halves. */
static void a_crash_at_any_flush_loses_nothing_acknowledged(void **state) {
    struct bench *b = *state;

    for (uint64_t at = 1; at <= 20; at++) {
        struct crash_plan plan = {at};
        struct store_memory_config config = {
            .flush_delay_us = 1000, .crash_at = crash_at, .ctx = &plan};
        struct bench own = {.sim = b->sim};
        struct sample s;
        static struct waiting w;
        uint64_t acknowledged = 0;

        assert_int_equal(store_memory_new(b->env, &config, &own.store), OK);
        make(&s, "smith", "alice@home", "sip:alice@home", NULL);
        for (uint64_t i = 0; i < 20; i++) {
            w = (struct waiting){.op.done = note_done};
            store_save(own.store, &w.op, &s.change);
            sim_run_until(b->sim, sim_now_us(b->sim) + 5000);
            if (!w.done) {
                break;
            }
            assert_int_equal(w.op.error, OK);
            acknowledged = w.version;
            s.change = (struct store_change){.id = w.id, .version = w.version};
            make_state(&s, "sip:scscf");
        }
        assert_int_equal(acknowledged, at - 1);
        plan.at = 0;
        enum error e = DO(&own, &w, store_find, STORE_NAME, SPAN("smith"));
        assert_int_equal(e, acknowledged ? OK : ERR_NOT_FOUND);
        assert_int_equal(w.version, acknowledged);
        store_free(own.store);
    }
}

static void lmdb_keeps_everything_over_a_restart(void **state) {
    struct bench *b = *state;
    struct sample s;
    static struct waiting w;
    char message[256];
    struct store *second;

    make(&s, "smith", "alice@home", "sip:alice@home", NULL);
    make_state(&s, "sip:scscf1");
    assert_int_equal(DO(b, &w, store_save, &s.change), OK);
    uint64_t id = w.id;
    assert_int_equal(DO(b, &w, store_save_sqn, id, 0, 0, 32), OK);
    struct store_lmdb_config config = {.path = b->path, .failed = note_failure, .ctx = b};
    assert_int_equal(store_lmdb_open(b->loop, &config, message, sizeof message, &second), ERR_BUSY);
    assert_non_null(strstr(message, b->path));
    const struct store_lmdb_figures figures = store_lmdb_figures(b->store);
    assert_int_equal(figures.operations, 2);
    assert_in_range(figures.commits.count, 1, 2);
    assert_int_equal(figures.waiting, 0);
    assert_int_equal(figures.subscriptions, 1);
    assert_in_range(figures.bytes, 4096, figures.bytes_max - 1);
    store_free(b->store);
    open_lmdb(b);
    assert_int_equal(DO(b, &w, store_find, STORE_IMPU, SPAN("sip:alice@home")), OK);
    assert_int_equal(w.id, id);
    assert_true(span_eq(scscf_of(&w), SPAN("sip:scscf1")));
    assert_int_equal(DO(b, &w, store_load_sqn, id, 0), OK);
    assert_int_equal(w.sqn, 32);
    assert_false(b->failed);
}

static bool has_failed(void *ctx) {
    return ((struct bench *)ctx)->failed;
}

static void lmdb_stops_for_good_when_it_cannot_write(void **state) {
    struct bench *b = *state;
    static struct waiting w;
    struct sample s;
    char message[256];
    struct store_lmdb_config config = {
        .path = b->path, .map_size = 16 * 4096, .no_sync = true, .failed = note_failure, .ctx = b};

    store_free(b->store);
    assert_int_equal(store_lmdb_open(b->loop, &config, message, sizeof message, &b->store), OK);
    w = (struct waiting){.op.done = note_done};
    for (unsigned i = 0; i < 200 && !b->failed; i++) {
        char name[32], impi[32], impu[32];
        snprintf(name, sizeof name, "s%u", i);
        snprintf(impi, sizeof impi, "i%u@home", i);
        snprintf(impu, sizeof impu, "sip:u%u@home", i);
        make(&s, name, impi, impu, NULL);
        w = (struct waiting){.op.done = note_done};
        store_save(b->store, &w.op, &s.change);
        uint64_t deadline = loop_now_us(b->loop) + 20 * SEC_IN_US;
        while (!w.done && !b->failed && loop_now_us(b->loop) < deadline) {
            loop_run_until(b->loop, has_failed, b, loop_now_us(b->loop) + 2000);
        }
    }
    assert_true(b->failed);
    assert_int_equal(w.done, 0); /* not acknowledged */
    store_free(b->store);
    open_lmdb(b);
    static struct waiting v;
    assert_int_equal(DO(b, &v, store_find, STORE_NAME, SPAN("s0")), OK);
}

#define SUITE(setup_)                                                                              \
    cmocka_unit_test_setup_teardown(a_subscription_is_found_by_all_its_names, setup_, teardown),   \
        cmocka_unit_test_setup_teardown(a_save_needs_the_present_version, setup_, teardown),       \
        cmocka_unit_test_setup_teardown(changed_data_changes_the_index_and_keeps_the_state,        \
                                        setup_, teardown),                                         \
        cmocka_unit_test_setup_teardown(an_identity_belongs_to_one_subscription, setup_,           \
                                        teardown),                                                 \
        cmocka_unit_test_setup_teardown(a_deleted_subscription_leaves_nothing, setup_, teardown),  \
        cmocka_unit_test_setup_teardown(sequence_numbers_are_saved_only_over_what_was_expected,    \
                                        setup_, teardown),                                         \
        cmocka_unit_test_setup_teardown(an_import_is_whole_or_not_at_all, setup_, teardown),       \
        cmocka_unit_test_setup_teardown(an_import_may_leave_out_what_is_refused, setup_,           \
                                        teardown),                                                 \
        cmocka_unit_test_setup_teardown(a_mark_changes_with_what_is_imported, setup_, teardown),   \
        cmocka_unit_test_setup_teardown(the_outbox_has_what_was_put_into_it_with_changes, setup_,  \
                                        teardown),                                                 \
        cmocka_unit_test_setup_teardown(wildcards_are_listed_as_long_as_they_are_there, setup_,    \
                                        teardown),                                                 \
        cmocka_unit_test_setup_teardown(profiles_are_kept_by_name, setup_, teardown),              \
        cmocka_unit_test_setup_teardown(writes_complete_later_and_in_order, setup_, teardown),     \
        cmocka_unit_test_setup_teardown(a_cancelled_operation_is_silent, setup_, teardown),        \
        cmocka_unit_test_setup_teardown(large_records_are_kept, setup_, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        SUITE(setup_memory),
        SUITE(setup_slow_memory),
        SUITE(setup_lmdb),
        cmocka_unit_test_setup_teardown(memory_forgets_what_was_not_flushed, setup_memory,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_crash_at_any_flush_loses_nothing_acknowledged,
                                        setup_memory, teardown),
        cmocka_unit_test_setup_teardown(lmdb_keeps_everything_over_a_restart, setup_lmdb, teardown),
        cmocka_unit_test_setup_teardown(lmdb_stops_for_good_when_it_cannot_write, setup_lmdb,
                                        teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
