/* covers: HA6
 * Strangers say a user's name at the S-CSCF, from elsewhere: he registers all the same. */
#include "scscf_world.h"

#define PCSCF_VIA "Via: SIP/2.0/UDP pcscf." HOME ":5060;branch=z9hG4bKp\r\n"

/* The Vias below the I-CSCF's: of the P-CSCF, of a terminal as the P-CSCF saw it, and what the
 * terminal put below. */
static const char *from(const char *received, unsigned rport, const char *below) {
    static char lines[1024];
    struct buf b = buf_init(lines, sizeof lines);
    buf_printf(&b,
               PCSCF_VIA "Via: SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bKt;rport=%u;received=%s\r\n"
                         "%s",
               rport, received, below);
    buf_char(&b, 0);
    assert_false(b.overflow);
    return lines;
}

static const char *the_owner(void) {
    return from("192.0.2.1", 5060, "");
}

static unsigned claim(struct world *w, const char *lines) {
    return say(w, (struct script_register){.call_id = "stranger", .lines = lines});
}

static void challenges_of_a_stranger_push_out_his_own(void **state) {
    struct world *w = (struct world *)*state;
    assert_int_equal(challenge(w, (struct script_register){.lines = the_owner()}), 401);
    for (unsigned i = 0; i < 100; i++) {
        assert_int_equal(claim(w, from("198.51.100.7", 5060, "")), 401);
    }
    assert_int_equal(scscf_counts(w->scscf).challenges, 1 + 4);
    assert_int_equal(respond(w, (struct script_register){.lines = the_owner()}), 200);
}

/* A terminal that repeats a nonce without a response has refused no challenge of somebody else. */
static void his_challenge_is_not_taken_for_the_owners(void **state) {
    struct world *w = (struct world *)*state;
    const struct script_register old = {.nonce = "Zm9yZ2Vk", .lines = the_owner()};
    assert_int_equal(claim(w, from("198.51.100.7", 5060, "")), 401);
    assert_int_equal(say(w, (struct script_register){.nonce = "Zm9yZ2Vk", .lines = the_owner()}),
                     401);
    assert_int_equal(say(w, old), 403);
}

static void neither_ports_nor_forged_vias_help_him(void **state) {
    struct world *w = (struct world *)*state;
    assert_int_equal(challenge(w, (struct script_register){.lines = the_owner()}), 401);
    for (unsigned i = 0; i < 200; i++) {
        char below[256];
        struct buf b = buf_init(below, sizeof below);
        buf_printf(&b,
                   PCSCF_VIA "Via: SIP/2.0/UDP 10.0.%u.9;branch=z9hG4bKf;received=10.9.9.%u\r\n", i,
                   i);
        buf_char(&b, 0);
        assert_int_equal(claim(w, from("198.51.100.7", 1024 + i, below)), 401);
    }
    assert_int_equal(scscf_counts(w->scscf).challenges, 1 + 16);
    assert_int_equal(respond(w, (struct script_register){.lines = the_owner()}), 200);
}

static void behind_the_same_nat_he_has_his_own_share(void **state) {
    struct world *w = (struct world *)*state;
    assert_int_equal(challenge(w, (struct script_register){.lines = the_owner()}), 401);
    for (unsigned i = 0; i < 100; i++) {
        assert_int_equal(claim(w, from("192.0.2.1", 40000, "")), 401);
    }
    assert_int_equal(respond(w, (struct script_register){.lines = the_owner()}), 200);
}

static void many_hosts_have_a_bound_and_who_has_most_gives_way(void **state) {
    struct world *w = (struct world *)*state;
    assert_int_equal(challenge(w, (struct script_register){.lines = the_owner()}), 401);
    for (unsigned i = 0; i < 300; i++) {
        char host[32];
        struct buf b = buf_init(host, sizeof host);
        buf_printf(&b, "198.51.100.%u", i % 30);
        buf_char(&b, 0);
        assert_int_equal(claim(w, from(host, 1024 + i % 7, "")), 401);
    }
    assert_int_equal(scscf_counts(w->scscf).challenges, 64);
    assert_int_equal(respond(w, (struct script_register){.lines = the_owner()}), 200);
}

/* The HSS takes its time: the queue behind its answer is shared the same way. */
static void a_strangers_queue_leaves_room_for_the_owner(void **state) {
    struct world *w = (struct world *)*state;
    w->hss.silent = true;
    unsigned refused = 0;
    for (unsigned i = 0; i < 60; i++) {
        unsigned status = claim(w, from("198.51.100.7", 1024 + i, ""));
        assert_true(status == 0 || status == 503);
        refused += status == 503;
    }
    assert_int_equal(refused, 60 - 1 - 16);
    w->hss.silent = false;
    assert_int_equal(say(w, (struct script_register){.lines = the_owner(), .call_id = "owner"}), 0);
    script_run(w->sim, 4 * SEC_IN_US); /* the question that the HSS never answered ends */
    bool challenged = false;
    for (size_t i = 0; i < w->icscf.n; i++) {
        const struct sip_msg *m = w->icscf.heard[i].msg;
        challenged |= span_eq(m->call_id, SPAN("owner")) && m->status == 401;
    }
    assert_true(challenged);
    assert_int_equal(scscf_counts(w->scscf).pending, 0);
}

static void one_source_waits_a_few_times(void **state) {
    struct world *w = (struct world *)*state;
    w->hss.silent = true;
    for (unsigned i = 0; i < 5; i++) {
        assert_int_equal(claim(w, from("198.51.100.7", 5060, "")), 0);
    }
    assert_int_equal(claim(w, from("198.51.100.7", 5060, "")), 503);
    assert_true(sip_has(peer_last(&w->icscf), SIP_H_RETRY_AFTER));
    assert_int_equal(scscf_counts(w->scscf).pending, 5);
}

/* Hosts without number fill the queue: who has most of it gives way, and is told. */
static void in_a_full_queue_who_has_most_gives_way(void **state) {
    struct world *w = (struct world *)*state;
    w->hss.silent = true;
    for (unsigned i = 0; i < 65; i++) {
        char host[32];
        struct buf b = buf_init(host, sizeof host);
        buf_printf(&b, "198.51.100.%u", i / 4);
        buf_char(&b, 0);
        assert_int_equal(claim(w, from(host, 5060, "")), 0);
    }
    assert_int_equal(scscf_counts(w->scscf).pending, 65);
    assert_int_equal(say(w, (struct script_register){.lines = the_owner(), .call_id = "owner"}),
                     503);
    assert_true(span_eq(peer_last(&w->icscf)->call_id, SPAN("stranger")));
    assert_int_equal(scscf_counts(w->scscf).pending, 65);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(challenges_of_a_stranger_push_out_his_own),
        TEST(his_challenge_is_not_taken_for_the_owners),
        TEST(neither_ports_nor_forged_vias_help_him),
        TEST(behind_the_same_nat_he_has_his_own_share),
        TEST(many_hosts_have_a_bound_and_who_has_most_gives_way),
        TEST(a_strangers_queue_leaves_room_for_the_owner),
        TEST(one_source_waits_a_few_times),
        TEST(in_a_full_queue_who_has_most_gives_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
