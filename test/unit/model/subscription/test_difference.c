/* covers: B1 B3 B4
 * What a change means to the S-CSCF: the family's changes one by one, then every change of a small
 * subscription in every registration state, with an S-CSCF that believes what it is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../family.h"
#include "model/subscription/difference.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SIDE_BYTES = 16384 };

struct side {
    char bytes[SIDE_BYTES];
    struct rec_subscription data;
};

struct world {
    struct chunk_pool pool;
    struct arena arena;
    struct side old, new;
    struct subscription before;
    struct subscription_difference d;
    char text[4096];
};

static void write_side(struct side *side, const struct rec_subscription_data *data) {
    struct buf b = buf_init(side->bytes, sizeof side->bytes);
    assert_int_equal(rec_subscription_encode(data, &b), OK);
    assert_int_equal(subscription_open(buf_span(&b), &side->data), OK);
}

static int setup(void **state) {
    struct world *w = calloc(1, sizeof *w);
    chunk_pool_init(&w->pool, 16384, 4);
    w->arena = arena_init(&w->pool);
    *state = w;
    return 0;
}

static int teardown(void **state) {
    struct world *w = *state;
    arena_release(&w->arena);
    chunk_pool_free(&w->pool);
    free(w);
    return 0;
}

static void put_list(struct buf *b, const struct span *list, size_t n) {
    for (size_t i = 0; i < n; i++) {
        buf_char(b, ' ');
        buf_put(b, span_slice(list[i], 0, span_find_char(list[i], '@')));
    }
}

/* The difference as text, an item a line. */
static const char *tell(struct world *w, bool gone) {
    static const char *const kinds[] = {"user-data", "charging", "credentials", "end"};
    struct buf b = buf_init(w->text, sizeof w->text - 1);
    arena_release(&w->arena);
    w->arena = arena_init(&w->pool);
    w->before.data = w->old.data;
    assert_int_equal(
        subscription_differ(&w->before, gone ? NULL : &w->new.data, NULL, &w->arena, &w->d), OK);
    for (size_t i = 0; i < w->d.n; i++) {
        const struct rec_news_item_data *item = &w->d.items[i];
        assert_true(item->n_impis > 0);
        assert_true(span_eq(item->scscf_name, SCSCF_1));
        assert_true(span_eq(item->scscf_host, SCSCF_1_HOST));
        buf_cstr(&b, kinds[item->kind]);
        if (item->kind == NEWS_USER_DATA) {
            buf_printf(&b, " %u", item->set);
        }
        if (item->kind == NEWS_TERMINATION) {
            buf_printf(&b, " %u", item->reason);
        }
        put_list(&b, item->impis, item->n_impis);
        put_list(&b, item->impus, item->n_impus);
        buf_char(&b, '\n');
    }
    w->text[b.n] = '\0';
    return w->text;
}

/* Alice and Bob are on the air, the landline by both; Cedric's set is served unregistered. */
static void set_family(struct world *w) {
    struct registration *r = &w->before.state;
    registration_init(r);
    r->scscf_name = SCSCF_1;
    r->scscf_host = SCSCF_1_HOST;
    r->registered_by[SET_ALICE] = 1 << ALICE;
    r->registered_by[SET_BOB] = 1 << BOB;
    r->registered_by[SET_LANDLINES] = 1 << ALICE | 1 << BOB;
    r->unregistered = 1 << SET_CEDRIC;
    r->unregistered_by[SET_CEDRIC] = CEDRIC;
}

/* The family, copied so that it can be changed. */
struct family {
    struct rec_subscription_data data;
    struct rec_impi_data impis[8];
    struct rec_impu_data impus[32];
};

static void begin(struct world *w, struct family *f) {
    f->data = family_data();
    memcpy(f->impis, f->data.impis, f->data.n_impis * sizeof *f->impis);
    memcpy(f->impus, f->data.impus, f->data.n_impus * sizeof *f->impus);
    f->data.impis = f->impis;
    f->data.impus = f->impus;
    write_side(&w->old, &f->data);
    set_family(w);
}

static struct rec_impu_data *impu(struct family *f, struct span identity) {
    for (size_t i = 0; i < f->data.n_impus; i++) {
        if (span_eq(f->impus[i].identity, identity)) {
            return &f->impus[i];
        }
    }
    fail_msg("no such identity");
    return NULL;
}

static void drop(struct family *f, struct span identity) {
    struct rec_impu_data *u = impu(f, identity);
    size_t behind = f->data.n_impus - (size_t)(u - f->impus) - 1;
    memmove(u, u + 1, behind * sizeof *u);
    f->data.n_impus--;
}

static const char *changed(struct world *w, struct family *f) {
    write_side(&w->new, &f->data);
    return tell(w, false);
}

static void what_changes_within_a_set_is_its_user_data(void **state) {
    struct world *w = *state;
    struct family f;
    begin(w, &f);
    assert_string_equal(changed(w, &f), "");
    f.impus[f.data.n_impus] = *impu(&f, ALICE_TEL);
    f.impus[f.data.n_impus].is_default = false;
    f.impus[f.data.n_impus++].identity = SPAN("tel:+447700900999");
    assert_string_equal(changed(w, &f), "user-data 1 alice.smith\n");
    begin(w, &f);
    drop(&f, ALICE_TEL);
    assert_string_equal(changed(w, &f), "user-data 1 alice.smith\n");
    begin(w, &f);
    impu(&f, AU)->profile = SPAN("default");
    assert_string_equal(changed(w, &f), "user-data 0 alice.smith bob.smith\n");
    begin(w, &f);
    impu(&f, BOB_SIP)->display_name = SPAN("Robert");
    assert_string_equal(changed(w, &f), "user-data 3 bob.smith\n");
    begin(w, &f);
    impu(&f, CEDRIC_TEL)->alias_group = SPAN("other");
    assert_string_equal(changed(w, &f), "user-data 4 cedric.smith\n");
    begin(w, &f);
    impu(&f, ALICE_TEL)->barred = true;
    assert_string_equal(changed(w, &f), "user-data 1 alice.smith\n");
}

static void nobody_hears_of_what_is_not_registered(void **state) {
    struct world *w = *state;
    struct family f;
    begin(w, &f);
    impu(&f, ALICE_WORK)->display_name = SPAN("At work");
    assert_string_equal(changed(w, &f), "");
    begin(w, &f);
    registration_init(&w->before.state);
    impu(&f, ALICE_TEL)->barred = true;
    assert_string_equal(changed(w, &f), "");
    assert_string_equal(tell(w, true), "");
}

static void without_its_default_a_set_ends(void **state) {
    struct world *w = *state;
    struct family f;
    begin(w, &f);
    drop(&f, UK);
    assert_string_equal(changed(w, &f),
                        "end 0 alice.smith bob.smith tel:+441632960100 tel:+61255501234\n");
    assert_int_equal(registration_of(&w->d.state, SET_LANDLINES), NOT_REGISTERED);
    assert_int_equal(registration_of(&w->d.state, SET_ALICE), REGISTERED);
    begin(w, &f);
    impu(&f, UK)->is_default = false;
    impu(&f, AU)->is_default = true;
    assert_string_equal(changed(w, &f),
                        "end 0 alice.smith bob.smith tel:+441632960100 tel:+61255501234\n");
}

static void a_private_identity_that_goes_loses_its_registrations(void **state) {
    struct world *w = *state;
    struct family f;
    begin(w, &f);
    memmove(&f.impis[BOB], &f.impis[CEDRIC], 2 * sizeof *f.impis);
    f.data.n_impis--;
    for (size_t i = 0; i < f.data.n_impus;) {
        if (f.impus[i].impi == BOB) {
            drop(&f, f.impus[i].identity);
        } else {
            i++;
        }
    }
    assert_string_equal(changed(w, &f), "end 0 bob.smith tel:+441632960100 tel:+61255501234 "
                                        "sip:bob.temporary sip:bob.mobile\n");
    assert_int_equal(w->d.state.registered_by[SET_LANDLINES], 1 << ALICE);
}

static void a_subscription_that_goes_ends_all(void **state) {
    struct world *w = *state;
    struct family f;
    begin(w, &f);
    const char *text = tell(w, true);
    assert_non_null(strstr(text, "end 0 alice.smith bob.smith tel:+441632960100"));
    assert_non_null(strstr(text, "end 0 alice.smith sip:alice.mobile tel:+447700900101\n"));
    assert_non_null(strstr(text, "end 0 bob.smith sip:bob.temporary sip:bob.mobile"));
    assert_non_null(strstr(text, "end 3 cedric.smith tel:+447700900103 sip:cedric\n"));
    assert_false(registration_is_any(&w->d.state));
    assert_int_equal(w->d.state.scscf_name.n, 0);
}

static void charging_and_passwords_go_to_who_is_known(void **state) {
    struct world *w = *state;
    struct family f;
    begin(w, &f);
    f.data.primary_ccf = SPAN("aaa://other.example");
    assert_string_equal(changed(w, &f), "charging alice.smith bob.smith cedric.smith\n");
    begin(w, &f);
    f.impis[CEDRIC].ha1_md5[3] ^= 1;
    assert_string_equal(changed(w, &f), "credentials cedric.smith\n");
    begin(w, &f);
    f.impis[LANDLINE].has_digest_md5 = true; /* registers nothing */
    f.impis[ALICE].k[0] ^= 1;                /* the next MAR has it */
    assert_string_equal(changed(w, &f), "");
}

/* Every change of a small subscription: two private identities, three public ones, two sets. */

enum { SMALL_IMPUS = 3, SMALL_SETS = 2, SMALL_IMPIS = 2, PLACES = 7 };

/* Where an identity stands: nowhere; or in a set, which belongs to one or to both; as the default.
 */
struct place {
    uint8_t set, is_default;
};

static const struct place places[PLACES] = {{2, 0}, {0, 0}, {0, 1}, {1, 0}, {1, 1}, {0, 0}, {1, 0}};
/* The last two are barred. */

struct small {
    unsigned at[SMALL_IMPUS];   /* of places */
    unsigned owner[SMALL_SETS]; /* 0, 1: an IMPI; 2: both */
};

static bool is_sound(const struct small *s) {
    for (unsigned set = 0; set < SMALL_SETS; set++) {
        unsigned defaults = 0;
        for (unsigned i = 0; i < SMALL_IMPUS; i++) {
            defaults += places[s->at[i]].set == set && places[s->at[i]].is_default;
        }
        if (defaults > 1) {
            return false;
        }
    }
    return true;
}

static void write_small(struct side *side, const struct small *s) {
    static const char *const names[] = {"sip:a@h", "sip:b@h", "sip:c@h"};
    static const struct rec_impi_data impis[] = {{.slot = 0, .identity = SPAN_INIT("x@h")},
                                                 {.slot = 1, .identity = SPAN_INIT("y@h")}};
    struct rec_impu_data impus[SMALL_IMPUS];
    struct rec_subscription_data data = {.name = SPAN("s"), .impis = impis, .n_impis = 2};
    data.impus = impus;
    for (unsigned i = 0; i < SMALL_IMPUS; i++) {
        const struct place *p = &places[s->at[i]];
        if (p->set < SMALL_SETS) {
            unsigned owner = s->owner[p->set];
            impus[data.n_impus++] =
                (struct rec_impu_data){.identity = span_from_cstr(names[i]),
                                       .set = p->set,
                                       .impi = owner == 2 ? SUBSCRIPTION_IMPI_ALL : (uint8_t)owner,
                                       .is_default = p->is_default,
                                       .barred = s->at[i] >= 5,
                                       .profile = SPAN("p"),
                                       .roams_anywhere = true};
        }
    }
    write_side(side, &data);
}

/* What an S-CSCF believes of a set. */
struct belief {
    uint64_t by;    /* IMPIs */
    char data[128]; /* its identities, with barring */
    bool unregistered;
};

static void render(struct rec_subscription s, unsigned set, char *out, size_t cap) {
    struct buf b = buf_init(out, cap - 1);
    for (size_t i = 0; i < rec_subscription_n_impus(s); i++) {
        struct rec_impu u = rec_subscription_impus(s, i);
        if (rec_impu_set(u) == set) {
            buf_put(&b, rec_impu_identity(u));
            buf_cstr(&b, rec_impu_barred(u) ? "! " : " ");
        }
    }
    out[b.n] = '\0';
}

static void hear(const struct world *w, struct belief beliefs[SMALL_SETS]) {
    for (size_t i = 0; i < w->d.n; i++) {
        const struct rec_news_item_data *item = &w->d.items[i];
        uint64_t by = 0;
        for (size_t k = 0; k < item->n_impis; k++) {
            by |= span_eq(item->impis[k], SPAN("x@h")) ? 1 : 2;
        }
        for (unsigned set = 0; set < SMALL_SETS; set++) {
            struct belief *b = &beliefs[set];
            if (item->kind == NEWS_USER_DATA && item->set == set) {
                assert_true(b->by & by); /* it knows the set by this identity */
                render(w->new.data, set, b->data, sizeof b->data);
            }
            for (size_t k = 0; item->kind == NEWS_TERMINATION && k < item->n_impus; k++) {
                char name[16];
                assert_true(span_to_cstr(item->impus[k], name, sizeof name));
                if (strstr(b->data, name)) {
                    assert_int_equal(item->reason, b->unregistered ? 3 : 0);
                    b->by &= ~by;
                }
            }
        }
    }
}

static void check_change(struct world *w) {
    struct belief beliefs[SMALL_SETS];
    const struct registration *r = &w->before.state;
    for (unsigned set = 0; set < SMALL_SETS; set++) {
        struct belief *b = &beliefs[set];
        b->unregistered = registration_of(r, set) == UNREGISTERED;
        b->by = b->unregistered ? UINT64_C(1) << r->unregistered_by[set] : r->registered_by[set];
        render(w->old.data, set, b->data, sizeof b->data);
    }
    (void)tell(w, false);
    hear(w, beliefs);
    for (unsigned set = 0; set < SMALL_SETS; set++) {
        const struct registration *after = &w->d.state;
        char data[128];
        render(w->new.data, set, data, sizeof data);
        uint64_t by = registration_of(after, set) == UNREGISTERED
                          ? UINT64_C(1) << after->unregistered_by[set]
                          : after->registered_by[set];
        assert_int_equal(beliefs[set].by, by);
        if (by) { /* still registered: both believe the same, and by whom it may be */
            assert_string_equal(beliefs[set].data, data);
            struct rec_impu u;
            assert_true(subscription_default_impu(w->new.data, set, &u));
            for (unsigned slot = 0; slot < SMALL_IMPIS; slot++) {
                assert_true(!(by >> slot & 1) || subscription_belongs(u, slot));
            }
        }
    }
}

/* The n-th small subscription; false if it is none. */
static bool make_small(unsigned n, struct small *s) {
    for (unsigned i = 0; i < SMALL_IMPUS; i++, n /= PLACES) {
        s->at[i] = n % PLACES;
    }
    for (unsigned set = 0; set < SMALL_SETS; set++, n /= 3) {
        s->owner[set] = n % 3;
    }
    return is_sound(s);
}

/* The n-th state of a set that belongs to `owner`; false if it cannot be. */
static bool make_state(struct registration *r, unsigned set, unsigned owner, unsigned n) {
    uint64_t may = owner == 2 ? 3 : UINT64_C(1) << owner;
    r->unregistered &= ~(UINT64_C(1) << set);
    r->registered_by[set] = n < 4 ? n : 0;
    if (n >= 4) {
        r->unregistered |= UINT64_C(1) << set;
        r->unregistered_by[set] = (uint8_t)(n - 4);
        return may >> (n - 4) & 1;
    }
    return (n & ~may) == 0;
}

static void every_change_leaves_both_sides_believing_the_same(void **state) {
    enum { SUBSCRIPTIONS = PLACES * PLACES * PLACES * 9, STATES = 6 };
    struct world *w = *state;
    struct small old, new;
    unsigned long checked = 0;
    for (unsigned o = 0; o < SUBSCRIPTIONS; o += 5) { /* of the old ones a fifth: time */
        if (!make_small(o, &old)) {
            continue;
        }
        write_small(&w->old, &old);
        for (unsigned n = (o / 5) % 7; n < SUBSCRIPTIONS; n += 7) {
            if (!make_small(n, &new)) {
                continue;
            }
            write_small(&w->new, &new);
            unsigned s = (o + n) % (STATES * STATES);
            struct registration *r = &w->before.state;
            registration_init(r);
            r->scscf_name = SCSCF_1;
            r->scscf_host = SCSCF_1_HOST;
            struct rec_impu u;
            bool can = make_state(r, 0, old.owner[0], s % STATES) &&
                       make_state(r, 1, old.owner[1], s / STATES);
            for (unsigned set = 0; set < SMALL_SETS; set++) {
                can = can && (registration_of(r, set) == NOT_REGISTERED ||
                              subscription_default_impu(w->old.data, set, &u));
            }
            if (can) {
                check_change(w);
                checked++;
            }
        }
    }
    print_message("%lu changes\n", checked);
    assert_true(checked > 10000);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_changes_within_a_set_is_its_user_data, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(nobody_hears_of_what_is_not_registered, setup, teardown),
        cmocka_unit_test_setup_teardown(without_its_default_a_set_ends, setup, teardown),
        cmocka_unit_test_setup_teardown(a_private_identity_that_goes_loses_its_registrations, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_subscription_that_goes_ends_all, setup, teardown),
        cmocka_unit_test_setup_teardown(charging_and_passwords_go_to_who_is_known, setup, teardown),
        cmocka_unit_test_setup_teardown(every_change_leaves_both_sides_believing_the_same, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
