/* covers: HB2 HB3 HA8
 * What a node does with messages that no honest peer sends, and with repeated ones. */
#include "world.h"

struct fixture {
    struct sim *sim;
    struct node hss, rogue_config;
    struct rogue rogue;
};

static const uint32_t icscf_commands[] = {CX_COMMAND_USER_AUTHORIZATION, CX_COMMAND_LOCATION_INFO};

static int begin(void **state) {
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    assert_int_equal(sim_new(1, &f->sim), OK);
    node_init(&f->hss, f->sim, "hss", 1);
    node_init(&f->rogue_config, f->sim, "rogue", 9);
    struct diameter_peer_config *p = node_peer(&f->hss, &f->rogue_config, false);
    p->address = (struct addr){.family = 0};
    p->commands = icscf_commands;
    p->n_commands = COUNT_OF(icscf_commands);
    node_start(&f->hss);
    *state = f;
    return 0;
}

static int end(void **state) {
    struct fixture *f = *state;
    node_end(&f->hss);
    sim_free(f->sim);
    free(f);
    return 0;
}

static void enter(struct fixture *f) {
    rogue_connect(&f->rogue, f->sim, &f->hss, SPAN("rogue.example.org"));
    rogue_cer(&f->rogue, CX_APPLICATION);
    run_ms(f->sim, 10);
    assert_int_equal(f->rogue.n_messages, 1);
    assert_int_equal(f->rogue.last.result.code, DIAMETER_SUCCESS);
}

/* Sends what was built and looks at the answer. */
static void expect(struct fixture *f, uint32_t code, bool error_bit, uint32_t failed_avp) {
    struct rogue *r = &f->rogue;
    unsigned before = r->n_messages;
    rogue_send(r);
    run_ms(f->sim, 10);
    assert_int_equal(r->n_messages, before + 1);
    assert_int_equal(r->last.result.code, code);
    assert_int_equal(!!(r->last.flags & DIAMETER_ERROR), error_bit);
    assert_int_equal(r->last.flags & DIAMETER_REQUEST, 0);
    assert_true(span_eq(r->last.session_id, SPAN("s;1")));
    assert_true(span_eq(r->last.origin_host, SPAN("hss.example.org")));
    struct diameter_avp a, inner;
    bool failed = diameter_find(r->last.avps, DIAMETER_AVP_FAILED_AVP, 0, &a);
    assert_int_equal(failed, failed_avp != 0);
    if (failed) {
        struct diameter_iter it = diameter_iter_init(a.value);
        assert_true(diameter_next(&it, &inner));
        assert_int_equal(inner.code, failed_avp);
    }
}

static void expect_success(struct fixture *f) {
    expect(f, DIAMETER_FIRST_REGISTRATION, false, 0);
}

static void strangers_get_3010_and_the_door(void **state) {
    struct fixture *f = *state;
    struct rogue *r = &f->rogue;
    rogue_connect(r, f->sim, &f->hss, SPAN("stranger.example.org"));
    rogue_cer(r, CX_APPLICATION);
    run_ms(f->sim, 10);
    assert_int_equal(r->last.result.code, DIAMETER_UNKNOWN_PEER);
    assert_true(r->last.flags & DIAMETER_ERROR);
    assert_true(r->closed);
    rogue_end(r);
    /* The right name from another realm. */
    rogue_connect(r, f->sim, &f->hss, SPAN("rogue.example.org"));
    r->envelope.origin_realm = SPAN("example.com");
    rogue_cer(r, CX_APPLICATION);
    run_ms(f->sim, 10);
    assert_int_equal(r->last.result.code, DIAMETER_UNKNOWN_PEER);
    assert_true(r->closed);
    rogue_end(r);
    assert_int_equal(diameter_counters(f->hss.d)->refused_peers, 2);
    assert_int_equal(f->hss.n_up, 0);
}

static void a_peer_has_its_own_address(void **state) {
    struct fixture *f = *state;
    node_end(&f->hss);
    f->hss.peers[0].address = addr_v4(10, 0, 0, 77, 0);
    node_start(&f->hss);
    rogue_connect(&f->rogue, f->sim, &f->hss, SPAN("rogue.example.org"));
    rogue_cer(&f->rogue, CX_APPLICATION);
    run_ms(f->sim, 10);
    assert_int_equal(f->rogue.last.result.code, DIAMETER_UNKNOWN_PEER);
    assert_true(f->rogue.closed);
    rogue_end(&f->rogue);
}

static void without_a_common_application_there_is_no_peer(void **state) {
    struct fixture *f = *state;
    rogue_connect(&f->rogue, f->sim, &f->hss, SPAN("rogue.example.org"));
    rogue_cer(&f->rogue, 4);
    run_ms(f->sim, 10);
    assert_int_equal(f->rogue.last.result.code, DIAMETER_NO_COMMON_APPLICATION);
    assert_true(f->rogue.closed);
    rogue_end(&f->rogue);
}

static void who_does_not_introduce_himself_is_shown_out(void **state) {
    struct fixture *f = *state;
    struct rogue *r = &f->rogue;
    /* Says nothing. */
    rogue_connect(r, f->sim, &f->hss, SPAN("rogue.example.org"));
    run_ms(f->sim, 9000);
    assert_false(r->closed);
    run_ms(f->sim, 1100);
    assert_true(r->closed);
    rogue_end(r);
    /* Begins with a question. */
    rogue_connect(r, f->sim, &f->hss, SPAN("rogue.example.org"));
    rogue_uar(r, 1);
    rogue_send(r);
    run_ms(f->sim, 10);
    assert_true(r->closed);
    assert_int_equal(f->hss.n_requests, 0);
    rogue_end(r);
    /* A CER without what it needs. */
    rogue_connect(r, f->sim, &f->hss, SPAN("rogue.example.org"));
    const struct diameter_dwr dwr = {0};
    diameter_dwr_encode(rogue_begin(r, DIAMETER_REQUEST, 257, 0, 1), &dwr);
    rogue_send(r);
    run_ms(f->sim, 10);
    assert_int_equal(r->last.result.code, DIAMETER_MISSING_AVP);
    assert_true(r->closed);
    rogue_end(r);
}

static void a_peer_speaks_for_itself_alone(void **state) {
    struct fixture *f = *state;
    enter(f);
    f->rogue.envelope.origin_host = SPAN("scscf.example.org");
    rogue_uar(&f->rogue, 1);
    expect(f, DIAMETER_INVALID_AVP_VALUE, false, DIAMETER_AVP_ORIGIN_HOST);
    assert_int_equal(f->hss.n_requests, 0);
    assert_int_equal(diameter_counters(f->hss.d)->origin_mismatch, 1);
    rogue_end(&f->rogue);
}

static const uint32_t scscf_commands[] = {CX_COMMAND_USER_AUTHORIZATION,
                                          CX_COMMAND_MULTIMEDIA_AUTH};

/* The rogue becomes an agent, of another realm, with an I-CSCF and an S-CSCF behind it. */
static void put_an_agent_between(struct fixture *f) {
    node_end(&f->hss);
    f->hss.peers[0].agent = true;
    f->hss.peers[0].commands = NULL;
    f->hss.peers[0].n_commands = 0;
    f->hss.peers[1] = (struct diameter_peer_config){.host = SPAN("icscf.example.org"),
                                                    .commands = icscf_commands,
                                                    .n_commands = COUNT_OF(icscf_commands)};
    f->hss.peers[2] = (struct diameter_peer_config){.host = SPAN("scscf.example.org"),
                                                    .commands = scscf_commands,
                                                    .n_commands = COUNT_OF(scscf_commands)};
    f->hss.config.n_peers = 3;
}

static void enter_as_agent(struct fixture *f) {
    node_start(&f->hss);
    rogue_connect(&f->rogue, f->sim, &f->hss, SPAN("rogue.example.org"));
    f->rogue.envelope.origin_realm = SPAN("transit.example.net");
    rogue_cer(&f->rogue, 0xffffffff);
    run_ms(f->sim, 10);
    assert_int_equal(f->rogue.last.result.code, DIAMETER_SUCCESS);
    f->rogue.envelope.origin_realm = SPAN("example.org");
}

static void an_agent_speaks_for_others(void **state) {
    struct fixture *f = *state;
    put_an_agent_between(f);
    enter_as_agent(f);
    f->rogue.envelope.origin_host = SPAN("scscf.example.org");
    rogue_uar(&f->rogue, 1);
    expect_success(f);
    /* What agents add comes back, what has been here is seen. */
    struct diameter_builder *b = rogue_uar(&f->rogue, 2);
    diameter_put(b, DIAMETER_AVP_ROUTE_RECORD, 0, true, SPAN("scscf.example.org"));
    for (int i = 0; i < 2; i++) {
        diameter_open(b, DIAMETER_AVP_PROXY_INFO, 0, true);
        diameter_put(b, DIAMETER_AVP_PROXY_HOST, 0, true, SPAN("rogue.example.org"));
        diameter_put(b, DIAMETER_AVP_PROXY_STATE, 0, true, i ? SPAN("two") : SPAN("one"));
        diameter_close(b);
    }
    expect_success(f);
    struct cx_uaa uaa;
    struct diameter_fault fault;
    struct arena arena = arena_init(f->rogue.env->chunks);
    assert_int_equal(cx_uaa_decode(&arena, &f->rogue.last, &uaa, &fault), OK);
    assert_int_equal(uaa.n_proxy_info, 2);
    assert_true(span_eq(uaa.proxy_info[0].proxy_state, SPAN("one")));
    assert_true(span_eq(uaa.proxy_info[1].proxy_state, SPAN("two")));
    arena_release(&arena);
    b = rogue_uar(&f->rogue, 3);
    diameter_put(b, DIAMETER_AVP_ROUTE_RECORD, 0, true, SPAN("HSS.example.org"));
    expect(f, DIAMETER_LOOP_DETECTED, true, 0);
    rogue_end(&f->rogue);
}

static void begin_mar(struct fixture *f, uint32_t id) {
    const struct cx_mar mar = {.user_name = SPAN("alice"),
                               .public_identity = SPAN("sip:alice@example.org"),
                               .sip_number_auth_items = 1,
                               .server_name = SPAN("sip:rogue.example.org")};
    cx_mar_encode(rogue_begin(&f->rogue, DIAMETER_REQUEST, 303, CX_APPLICATION, id), &mar);
}

static void an_agent_lends_nobody_its_rights(void **state) {
    static const struct {
        struct span host, realm;
        bool served;
    } rows[] = {
        {SPAN_INIT("scscf.example.org"), SPAN_INIT("example.org"), true},
        {SPAN_INIT("SCSCF.example.org"), SPAN_INIT("example.org"), true},
        {SPAN_INIT("icscf.example.org"), SPAN_INIT("example.org"), false},    /* may not */
        {SPAN_INIT("stranger.example.org"), SPAN_INIT("example.org"), false}, /* is not known */
        {SPAN_INIT("scscf.example.org"), SPAN_INIT("example.net"), false}, /* nor in this realm */
        {SPAN_INIT("rogue.example.org"), SPAN_INIT("example.org"), false}, /* the agent itself */
    };
    struct fixture *f = *state;
    unsigned served = 0;
    put_an_agent_between(f);
    enter_as_agent(f);
    for (uint32_t i = 0; i < COUNT_OF(rows); i++) {
        f->rogue.envelope.origin_host = rows[i].host;
        f->rogue.envelope.origin_realm = rows[i].realm;
        begin_mar(f, i + 1);
        served += rows[i].served;
        expect(f, rows[i].served ? DIAMETER_ERROR_USER_UNKNOWN : DIAMETER_AUTHORIZATION_REJECTED,
               false, 0);
        assert_int_equal(f->hss.n_requests, served);
    }
    assert_int_equal(diameter_counters(f->hss.d)->refused_commands, COUNT_OF(rows) - served);
    rogue_end(&f->rogue);
}

static void who_is_bound_to_a_link_does_not_come_through_an_agent(void **state) {
    struct fixture *f = *state;
    put_an_agent_between(f);
    f->hss.peers[2].address = addr_v4(10, 0, 0, 4, 0);
    enter_as_agent(f);
    f->rogue.envelope.origin_host = SPAN("scscf.example.org");
    begin_mar(f, 1);
    expect(f, DIAMETER_AUTHORIZATION_REJECTED, false, 0);
    f->rogue.envelope.origin_host = SPAN("icscf.example.org");
    rogue_uar(&f->rogue, 2);
    expect_success(f);
    rogue_end(&f->rogue);
}

static void a_peer_asks_what_it_may(void **state) {
    struct fixture *f = *state;
    enter(f);
    begin_mar(f, 1);
    expect(f, DIAMETER_AUTHORIZATION_REJECTED, false, 0);
    assert_int_equal(diameter_counters(f->hss.d)->refused_commands, 1);
    assert_int_equal(f->hss.n_requests, 0);
    rogue_end(&f->rogue);
}

static void requests_for_others_are_sent_back(void **state) {
    struct fixture *f = *state;
    enter(f);
    struct rogue *r = &f->rogue;
    struct cx_lir lir = {.public_identity = SPAN("tel:+1")};
    cx_lir_encode(rogue_begin(r, DIAMETER_REQUEST, 399, CX_APPLICATION, 1), &lir);
    expect(f, DIAMETER_COMMAND_UNSUPPORTED, true, 0);
    cx_lir_encode(rogue_begin(r, DIAMETER_REQUEST, 302, 4, 2), &lir);
    expect(f, DIAMETER_APPLICATION_UNSUPPORTED, true, 0);
    lir.destination_realm = SPAN("example.com");
    cx_lir_encode(rogue_begin(r, DIAMETER_REQUEST, 302, CX_APPLICATION, 3), &lir);
    expect(f, DIAMETER_REALM_NOT_SERVED, true, 0);
    lir.destination_realm = SPAN("example.org");
    lir.destination_host = SPAN("hss2.example.org");
    cx_lir_encode(rogue_begin(r, DIAMETER_REQUEST, 302, CX_APPLICATION, 4), &lir);
    expect(f, DIAMETER_UNABLE_TO_DELIVER, true, 0);
    rogue_uar(r, 5);
    r->buf.p[4] |= DIAMETER_ERROR;
    expect(f, DIAMETER_INVALID_HDR_BITS, true, 0);
    /* A base command that does not exist. */
    const struct diameter_dwr dwr = {0};
    diameter_dwr_encode(rogue_begin(r, DIAMETER_REQUEST, 281, 0, 6), &dwr);
    unsigned before = r->n_messages;
    rogue_send(r);
    run_ms(f->sim, 10);
    assert_int_equal(r->n_messages, before + 1);
    assert_int_equal(r->last.result.code, DIAMETER_COMMAND_UNSUPPORTED);
    rogue_end(r);
}

static void malformed_requests_get_their_error(void **state) {
    struct fixture *f = *state;
    const uint32_t v = DIAMETER_VENDOR_3GPP;
    enter(f);
    struct rogue *r = &f->rogue;
    uint32_t id = 100;
    diameter_put(rogue_uar(r, id++), 61234, v, true, SPAN("x"));
    expect(f, DIAMETER_AVP_UNSUPPORTED, false, 61234);
    diameter_put(rogue_uar(r, id++), DIAMETER_AVP_USER_NAME, 0, true, SPAN("eve"));
    expect(f, DIAMETER_AVP_OCCURS_TOO_MANY_TIMES, false, DIAMETER_AVP_USER_NAME);
    diameter_put(rogue_uar(r, id++), CX_AVP_UAR_FLAGS, v, false, SPAN("12345"));
    expect(f, DIAMETER_INVALID_AVP_LENGTH, false, CX_AVP_UAR_FLAGS);
    diameter_put_u32(rogue_uar(r, id++), CX_AVP_USER_AUTHORIZATION_TYPE, v, true, 17);
    expect(f, DIAMETER_INVALID_AVP_VALUE, false, CX_AVP_USER_AUTHORIZATION_TYPE);
    rogue_end(r);
}

static void hopeless_lengths_and_depths_get_their_error(void **state) {
    struct fixture *f = *state;
    enter(f);
    struct rogue *r = &f->rogue;
    rogue_uar(r, 1);
    buf_bytes(&r->buf, "\0\0\0\31\100\0\0\5", 8);
    expect(f, DIAMETER_INVALID_AVP_LENGTH, false, DIAMETER_AVP_CLASS);
    rogue_uar(r, 2);
    for (uint32_t left = 8 * 10000; left; left -= 8) {
        uint32_t words[2] = {__builtin_bswap32(DIAMETER_AVP_FAILED_AVP),
                             __builtin_bswap32(0x40000000 | left)};
        buf_bytes(&r->buf, words, sizeof words);
    }
    expect(f, DIAMETER_INVALID_AVP_VALUE, false, DIAMETER_AVP_FAILED_AVP);
    /* After all this it still works. */
    rogue_uar(r, 3);
    expect_success(f);
    assert_int_equal(f->hss.n_up, 1);
    assert_int_equal(f->hss.n_down, 0);
    rogue_end(r);
}

static void streams_without_messages_are_closed(void **state) {
    struct fixture *f = *state;
    static const struct span rubbish[] = {
        SPAN_INIT("GET / HTTP/1.1\r\nHost: hss\r\n\r\n"),
        SPAN_INIT("\1\0\0\20\200\0\1\30\0\0\0\0\0\0\0\0\0\0\0\0"),
        SPAN_INIT("\1\0\0\0\200\0\1\30\0\0\0\0\0\0\0\0\0\0\0\0"),
        SPAN_INIT("\1\0\0\27\200\0\1\30\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"),
        SPAN_INIT("\1\377\377\374\200\0\1\30\0\0\0\0\0\0\0\0\0\0\0\0"),
        SPAN_INIT("\2\0\0\24\200\0\1\30\0\0\0\0\0\0\0\0\0\0\0\0"), /* 5011, then the door */
    };
    for (int entered = 0; entered < 2; entered++) {
        for (size_t i = 0; i < COUNT_OF(rubbish); i++) {
            if (entered) {
                enter(f);
            } else {
                rogue_connect(&f->rogue, f->sim, &f->hss, SPAN("rogue.example.org"));
            }
            assert_int_equal(stream_send(f->rogue.stream, rubbish[i]), OK);
            run_ms(f->sim, 10);
            assert_true(f->rogue.closed);
            rogue_end(&f->rogue);
            run_ms(f->sim, 10);
        }
    }
    assert_int_equal(diameter_counters(f->hss.d)->framing_lost, 10);
    enter(f);
    rogue_uar(&f->rogue, 1);
    expect_success(f);
    rogue_end(&f->rogue);
}

static void bytes_may_come_one_by_one(void **state) {
    struct fixture *f = *state;
    enter(f);
    rogue_uar(&f->rogue, 1);
    assert_int_equal(diameter_end(&f->rogue.b), OK);
    for (size_t i = 0; i < f->rogue.buf.n; i++) {
        assert_int_equal(stream_send(f->rogue.stream, span_of(f->rogue.room + i, 1)), OK);
        run_ms(f->sim, 1);
    }
    run_ms(f->sim, 10);
    assert_int_equal(f->rogue.n_messages, 2);
    assert_int_equal(f->rogue.last.result.code, DIAMETER_FIRST_REGISTRATION);
    rogue_end(&f->rogue);
}

static void who_talks_is_not_asked_whether_he_lives(void **state) {
    struct fixture *f = *state;
    enter(f);
    for (uint32_t id = 1; id <= 20; id++) {
        run_ms(f->sim, 3000);
        rogue_uar(&f->rogue, id);
        expect_success(f);
    }
    assert_int_equal(f->rogue.n_messages, 21);
    run_ms(f->sim, 7000);
    assert_int_equal(f->rogue.n_messages, 22);
    assert_int_equal(f->rogue.last.command, DIAMETER_COMMAND_DEVICE_WATCHDOG);
    rogue_end(&f->rogue);
}

static void answers_nobody_asked_for_are_dropped(void **state) {
    struct fixture *f = *state;
    enter(f);
    struct rogue *r = &f->rogue;
    const struct cx_uaa uaa = {.result = DIAMETER_RESULT(DIAMETER_SUCCESS)};
    for (uint32_t id = 0; id < 100; id++) {
        cx_uaa_encode(rogue_begin(r, 0, 300, CX_APPLICATION, id), &uaa);
        rogue_send(r);
    }
    const struct diameter_cea cea = {.result = DIAMETER_RESULT(DIAMETER_SUCCESS)};
    diameter_cea_encode(rogue_begin(r, 0, 257, 0, 1), &cea);
    rogue_send(r);
    const struct diameter_dwa dwa = {.result = DIAMETER_RESULT(DIAMETER_SUCCESS)};
    diameter_dwa_encode(rogue_begin(r, 0, 280, 0, 1), &dwa);
    rogue_send(r);
    run_ms(f->sim, 10);
    assert_int_equal(diameter_counters(f->hss.d)->stray_answers, 101);
    rogue_uar(r, 1);
    expect_success(f);
    rogue_end(r);
}

static void an_answer_must_fit_its_request(void **state) {
    struct fixture *f = *state;
    enter(f);
    struct rogue *r = &f->rogue;
    assert_int_equal(node_ask(&f->hss, "alice"), OK);
    run_ms(f->sim, 10);
    assert_true(r->last.flags & DIAMETER_REQUEST);
    uint32_t hop = r->last.hop_by_hop, id = r->last.end_to_end;
    char session[100];
    assert_true(span_to_cstr(r->last.session_id, session, sizeof session));
    struct cx_uaa uaa = {.session_id = span_from_cstr(session),
                         .result = DIAMETER_RESULT(DIAMETER_SUCCESS)};
    for (int wrong = 0; wrong < 5; wrong++) {
        uint32_t command = wrong == 0 ? 302 : 300, application = wrong == 1 ? 4 : CX_APPLICATION;
        r->envelope.origin_host = wrong == 3 ? SPAN("eve.example.org") : SPAN("rogue.example.org");
        r->buf = buf_init(r->room, sizeof r->room);
        diameter_begin(&r->b, &r->buf, &r->envelope, 0, command, application, hop,
                       wrong == 2 ? id + 1 : id);
        cx_uaa_encode(&r->b, &uaa);
        rogue_send(r);
        run_ms(f->sim, 10);
        assert_int_equal(f->hss.n_answers, wrong == 4);
    }
    assert_int_equal(diameter_counters(f->hss.d)->stray_answers, 3);
    assert_int_equal(diameter_counters(f->hss.d)->origin_mismatch, 1);
    rogue_end(r);
}

static void a_repeated_request_gets_the_same_answer(void **state) {
    struct fixture *f = *state;
    enter(f);
    struct rogue *r = &f->rogue;
    rogue_uar(r, 5);
    expect_success(f);
    rogue_uar(r, 5);
    r->buf.p[4] |= DIAMETER_RETRANSMITTED;
    r->buf.p[15] = 99; /* another hop-by-hop identifier */
    expect_success(f);
    assert_int_equal(r->last.hop_by_hop, 99);
    assert_int_equal(r->last.end_to_end, 5);
    assert_int_equal(f->hss.n_requests, 1);
    assert_int_equal(diameter_counters(f->hss.d)->duplicates, 1);
    /* Another session under the same identifier is another request. */
    r->envelope.session_id = SPAN("s;2");
    rogue_uar(r, 5);
    rogue_send(r);
    run_ms(f->sim, 10);
    assert_int_equal(f->hss.n_requests, 2);
    /* After its time it is done again. */
    r->envelope.session_id = SPAN("s;1");
    for (int i = 0; i < 12; i++) {
        const struct diameter_dwr dwr = {0};
        run_ms(f->sim, 5500);
        diameter_dwr_encode(rogue_begin(r, DIAMETER_REQUEST, 280, 0, 1), &dwr);
        rogue_send(r);
    }
    run_ms(f->sim, 10);
    rogue_uar(r, 5);
    expect_success(f);
    assert_int_equal(f->hss.n_requests, 3);
    rogue_end(r);
}

static void a_repetition_meanwhile_gets_the_answer_where_it_came_from(void **state) {
    struct fixture *f = *state;
    f->hss.silent = true;
    enter(f);
    rogue_uar(&f->rogue, 5);
    rogue_send(&f->rogue);
    run_ms(f->sim, 10);
    assert_int_equal(f->hss.n_kept, 1);
    rogue_end(&f->rogue);
    run_ms(f->sim, 10);
    assert_true(span_is_empty(diameter_request_peer(f->hss.kept[0])));
    enter(f);
    rogue_uar(&f->rogue, 5);
    f->rogue.buf.p[4] |= DIAMETER_RETRANSMITTED;
    rogue_send(&f->rogue);
    run_ms(f->sim, 10);
    assert_int_equal(f->hss.n_kept, 1);
    assert_true(span_eq(diameter_request_peer(f->hss.kept[0]), SPAN("rogue.example.org")));
    node_answer(&f->hss, f->hss.kept[0]);
    run_ms(f->sim, 10);
    assert_int_equal(f->rogue.last.result.code, DIAMETER_FIRST_REGISTRATION);
    assert_int_equal(f->hss.n_requests, 1);
    rogue_end(&f->rogue);
}

static void what_was_answered_to_nobody_is_kept(void **state) {
    struct fixture *f = *state;
    f->hss.silent = true;
    enter(f);
    rogue_uar(&f->rogue, 5);
    rogue_send(&f->rogue);
    run_ms(f->sim, 10);
    rogue_end(&f->rogue);
    run_ms(f->sim, 10);
    node_answer(&f->hss, f->hss.kept[0]);
    enter(f);
    rogue_uar(&f->rogue, 5);
    expect_success(f);
    assert_int_equal(f->hss.n_requests, 1);
    rogue_end(&f->rogue);
}

static void kept_answers_take_bounded_room(void **state) {
    struct fixture *f = *state;
    node_end(&f->hss);
    f->hss.config.duplicates_max_bytes = 8192;
    node_start(&f->hss);
    enter(f);
    for (uint32_t id = 1; id <= 500; id++) {
        rogue_uar(&f->rogue, id);
        if (id % 7 == 0) { /* answers of several sizes, so that gaps arise */
            diameter_put(&f->rogue.b, 61234, DIAMETER_VENDOR_3GPP, true,
                         span_of(f->rogue.last_bytes, id));
        }
        rogue_send(&f->rogue);
        run_ms(f->sim, 1);
    }
    assert_int_equal(f->rogue.n_messages, 501);
    /* The newest is there, the oldest is gone. */
    unsigned before = f->hss.n_requests;
    rogue_uar(&f->rogue, 500);
    expect_success(f);
    assert_int_equal(f->hss.n_requests, before);
    rogue_uar(&f->rogue, 1);
    expect_success(f);
    assert_int_equal(f->hss.n_requests, before + 1);
    rogue_end(&f->rogue);
}

static void a_reader_that_does_not_read_is_given_up(void **state) {
    struct fixture *f = *state;
    enter(f);
    struct sim_faults slow = {.delay_us = 3 * SEC_IN_US};
    assert_int_equal(sim_set_faults(f->sim, "hss", "rogue", &slow), OK);
    for (uint32_t id = 1; id <= 8000 && f->rogue.stream; id++) {
        rogue_uar(&f->rogue, id);
        rogue_send(&f->rogue);
        if (id % 100 == 0) {
            run_ms(f->sim, 1);
        }
    }
    run_ms(f->sim, 5000);
    assert_true(f->rogue.closed);
    assert_int_equal(f->hss.n_down, 1);
    rogue_end(&f->rogue);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(strangers_get_3010_and_the_door),
        TEST(a_peer_has_its_own_address),
        TEST(without_a_common_application_there_is_no_peer),
        TEST(who_does_not_introduce_himself_is_shown_out),
        TEST(a_peer_speaks_for_itself_alone),
        TEST(an_agent_speaks_for_others),
        TEST(an_agent_lends_nobody_its_rights),
        TEST(who_is_bound_to_a_link_does_not_come_through_an_agent),
        TEST(a_peer_asks_what_it_may),
        TEST(requests_for_others_are_sent_back),
        TEST(malformed_requests_get_their_error),
        TEST(hopeless_lengths_and_depths_get_their_error),
        TEST(streams_without_messages_are_closed),
        TEST(bytes_may_come_one_by_one),
        TEST(who_talks_is_not_asked_whether_he_lives),
        TEST(answers_nobody_asked_for_are_dropped),
        TEST(an_answer_must_fit_its_request),
        TEST(a_repeated_request_gets_the_same_answer),
        TEST(a_repetition_meanwhile_gets_the_answer_where_it_came_from),
        TEST(what_was_answered_to_nobody_is_kept),
        TEST(kept_answers_take_bounded_room),
        TEST(a_reader_that_does_not_read_is_given_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
