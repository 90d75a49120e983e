/* covers: B1 B3 B4 B5
 * The HSS tells an S-CSCF of changes: what it does with each answer, with none, and after a crash.
 * The S-CSCF is scripted. */
#include "bench.h"

enum { HEARD_MAX = 32 };

/* What the S-CSCF heard, and how it answers. */
struct heard {
    uint32_t command;
    uint32_t reason;
    uint64_t at_us;
    char impi[64], others[256], text[64];
    size_t n_impus;
    bool user_data, charging, credentials;
};

struct script {
    struct bench *b;
    struct client c;
    struct heard heard[HEARD_MAX];
    size_t n;
    struct diameter_result answers[8]; /* of the first requests; then 2001 */
    size_t n_answers;
    bool silent, counting; /* counting: what comes is only counted, and answered */
    const char *gone;      /* what RTAs name as Associated-Identities; NULL: nothing */
};

static void put_others(struct heard *h, const struct cx_associated_identities *others) {
    struct buf text = buf_init(h->others, sizeof h->others - 1);
    for (size_t i = 0; others && i < others->n_user_name; i++) {
        buf_put(&text,
                span_slice(others->user_name[i], 0, span_find_char(others->user_name[i], '@')));
        buf_char(&text, ' ');
    }
}

static void answer(struct script *s, struct diameter_request *rq, struct diameter_result result) {
    struct span gone = span_from_cstr(s->gone);
    struct cx_associated_identities associated = {.user_name = &gone, .n_user_name = 1};
    struct cx_rta rta = {.result = result, .associated_identities = s->gone ? &associated : NULL};
    if (diameter_request_msg(rq)->command == CX_COMMAND_REGISTRATION_TERMINATION) {
        cx_rta_encode(diameter_answer_begin(rq), &rta);
        diameter_answer_send(rq);
    } else {
        diameter_answer_result(rq, result, SPAN_NONE);
    }
}

static void on_request(void *ctx, struct diameter_request *rq, const struct diameter_msg *msg) {
    struct script *s = CONTAINER_OF((struct client *)ctx, struct script, c);
    struct diameter_fault fault;
    if (s->counting) {
        s->n++;
        if (!s->silent) {
            answer(s, rq, DIAMETER_RESULT(DIAMETER_SUCCESS));
        }
        return;
    }
    assert_true(s->n < HEARD_MAX);
    struct heard *h = &s->heard[s->n++];
    h->command = msg->command;
    h->at_us = sim_now_us(s->b->sim);
    if (msg->command == CX_COMMAND_PUSH_PROFILE) {
        struct cx_ppr ppr;
        assert_int_equal(cx_ppr_decode(diameter_request_arena(rq), msg, &ppr, &fault), OK);
        assert_true(span_to_cstr(ppr.user_name, h->impi, sizeof h->impi));
        h->user_data = ppr.user_data.n > 0;
        h->charging = ppr.charging_information;
        h->credentials = ppr.sip_auth_data_item;
    } else {
        struct cx_rtr rtr;
        assert_int_equal(cx_rtr_decode(diameter_request_arena(rq), msg, &rtr, &fault), OK);
        assert_true(span_to_cstr(rtr.user_name, h->impi, sizeof h->impi));
        h->reason = rtr.deregistration_reason.reason_code;
        h->n_impus = rtr.n_public_identity;
        assert_true(span_to_cstr(rtr.deregistration_reason.reason_info, h->text, sizeof h->text));
        put_others(h, rtr.associated_identities);
    }
    if (s->silent) {
        return; /* the stack frees it with the client */
    }
    answer(s, rq, s->n <= s->n_answers ? s->answers[s->n - 1] : DIAMETER_RESULT(DIAMETER_SUCCESS));
}

static const struct diameter_handler scripted = {on_request, bench_note_peer};

static bool is_up(void *ctx) {
    return ((struct script *)ctx)->c.up;
}

/* The S-CSCF of the bench makes way for the scripted one. */
static void connect_as(struct script *s, const char *name, const char *host) {
    s->c = (struct client){0};
    assert_int_equal(sim_env_new(s->b->sim, name, &s->c.env), OK);
    s->c.peer = s->b->scscf.peer;
    s->c.config = s->b->scscf.config;
    s->c.config.host = span_from_cstr(host);
    s->c.config.peers = &s->c.peer;
    assert_int_equal(diameter_new(s->c.env, &s->c.config, &scripted, &s->c, &s->c.d), OK);
    assert_true(sim_run(s->b->sim, is_up, s, sim_now_us(s->b->sim) + 60 * SEC_IN_US));
}

static void connect(struct script *s) {
    connect_as(s, "scscf", "scscf." HOME);
}

static void disconnect(struct script *s) {
    if (s->c.env) {
        bench_disconnect(&s->c);
        s->c.env = NULL;
    }
}

/* Two terminals of a family, and a third that is not registered. */
static const char family[] =
    "{\"name\":\"f\",\"charging\":{\"primary_ccf\":\"aaa://one.example\"},\"impis\":["
    "{\"identity\":\"a@h\",\"k\":\"" K_HEX "\",\"opc\":\"" OPC_HEX "\"},"
    "{\"identity\":\"b@h\",\"k\":\"" K_HEX "\",\"opc\":\"" OPC_HEX "\"},"
    "{\"identity\":\"c@h\",\"k\":\"" K_HEX "\",\"opc\":\"" OPC_HEX "\"}],\"impus\":["
    "{\"identity\":\"sip:both@h\",\"set\":1,\"default\":true},"
    "{\"identity\":\"sip:c@h\",\"impi\":\"c@h\",\"set\":2,\"default\":true}]}";

/* The same with another charging function, and a display name. */
static const char *family_with(const char *ccf, const char *name) {
    static char text[1024];
    snprintf(text, sizeof text,
             "{\"charging\":{\"primary_ccf\":\"aaa://%s.example\"},\"impis\":["
             "{\"identity\":\"a@h\"},{\"identity\":\"b@h\"},{\"identity\":\"c@h\"}],\"impus\":["
             "{\"identity\":\"sip:both@h\",\"set\":1,\"default\":true,\"display_name\":\"%s\"},"
             "{\"identity\":\"sip:c@h\",\"impi\":\"c@h\",\"set\":2,\"default\":true}]}",
             ccf, name);
    return text;
}

/* The same without charging functions; with a key of a@h's that is new; with a capability. */
static const char *family_without(const char *what) {
    static char text[1024];
    bool key = strncmp(what, "key", 3) == 0, capability = strcmp(what, "capability") == 0;
    snprintf(text, sizeof text,
             "{%s%s\"impis\":[{\"identity\":\"a@h\"%s%s%s},"
             "{\"identity\":\"b@h\"},{\"identity\":\"c@h\"}],\"impus\":["
             "{\"identity\":\"sip:both@h\",\"set\":1,\"default\":true},"
             "{\"identity\":\"sip:c@h\",\"impi\":\"c@h\",\"set\":2,\"default\":true}]}",
             strcmp(what, "charging") == 0
                 ? ""
                 : "\"charging\":{\"primary_ccf\":\"aaa://one.example\"},",
             capability ? "\"capabilities\":{\"mandatory\":[7]}," : "",
             key ? ",\"k\":\"000000000000000000000000000000" : "",
             key ? strlen(what) > 3 ? "02\"" : "01\"" : "", key ? ",\"opc\":\"" OPC_HEX "\"" : "");
    return text;
}

static void register_all(struct script *s) {
    static const char *const impis[] = {"a@h", "b@h"};
    for (size_t i = 0; i < COUNT_OF(impis); i++) {
        struct reply r;
        bench_sar(s->b, &s->c, CX_SERVER_ASSIGNMENT_TYPE_REGISTRATION, impis[i], "sip:both@h",
                  SCSCF_1, &r);
        bench_wait(s->b, &r);
        assert_result(&r, BASE, DIAMETER_SUCCESS);
    }
}

static int setup(void **state) {
    struct script *s = calloc(1, sizeof *s);
    s->b = bench_new(7, 3000, 0);
    bench_disconnect(&s->b->scscf);
    struct client old = s->b->scscf;
    s->b->scscf.env = NULL;
    s->b->scscf.peer = old.peer;
    connect(s);
    assert_int_equal(bench_web(s->b, "POST", "/subscriptions", family), 201);
    register_all(s);
    *state = s;
    return 0;
}

static int teardown(void **state) {
    struct script *s = *state;
    disconnect(s);
    bench_free(s->b);
    free(s);
    return 0;
}

static void pass(struct script *s, uint64_t seconds) {
    sim_run_until(s->b->sim, sim_now_us(s->b->sim) + seconds * SEC_IN_US);
}

static void change(struct script *s, const char *body) {
    assert_int_equal(bench_web(s->b, "PUT", "/subscriptions/f", body), 200);
    pass(s, 1);
}

/* UAR of who was registered: the HSS says which capabilities an S-CSCF must have, and no name. */
static void expect_selection(struct script *s, const char *impi, const char *impu) {
    struct reply r;
    struct diameter_fault fault;
    struct cx_uaa uaa;
    bench_uar(s->b, &s->b->icscf, impi, impu, -1, &r);
    bench_wait(s->b, &r);
    assert_int_equal(cx_uaa_decode(&s->b->arena, &r.msg, &uaa, &fault), OK);
    assert_int_equal(uaa.server_name.n, 0);
    assert_int_equal(r.result.code, DIAMETER_FIRST_REGISTRATION);
}

static const struct diameter_result unknown = DIAMETER_3GPP_RESULT(DIAMETER_ERROR_USER_UNKNOWN);

static void charging_goes_to_each_that_is_known(void **state) {
    struct script *s = *state;
    change(s, family_with("two", ""));
    assert_int_equal(s->n, 2);
    assert_string_equal(s->heard[0].impi, "a@h");
    assert_string_equal(s->heard[1].impi, "b@h");
    assert_true(s->heard[1].charging && !s->heard[1].user_data);
    pass(s, 120);
    assert_int_equal(s->n, 2);
}

static void another_identity_is_tried_when_one_is_unknown(void **state) {
    struct script *s = *state;
    s->answers[0] = unknown;
    s->n_answers = 1;
    change(s, family_with("one", "Both"));
    assert_int_equal(s->n, 2);
    assert_string_equal(s->heard[1].impi, "b@h");
    assert_true(s->heard[1].user_data && !s->heard[1].charging);
    s->n = 0;
    s->answers[1] = unknown;
    s->n_answers = 2;
    change(s, family_with("one", "Nobody"));
    pass(s, 120);
    assert_int_equal(s->n, 2);
    assert_int_equal(hss_counters(s->b->hss)->news_given_up, 0);
}

static void too_much_data_ends_in_a_change_of_server(void **state) {
    struct script *s = *state;
    s->answers[0] = DIAMETER_3GPP_RESULT(DIAMETER_ERROR_TOO_MUCH_DATA);
    s->n_answers = 1;
    s->gone = "a@h"; /* b was missed: it gets a RTR of its own */
    change(s, family_with("one", "Long"));
    assert_int_equal(s->n, 3);
    assert_int_equal(s->heard[1].command, CX_COMMAND_REGISTRATION_TERMINATION);
    assert_int_equal(s->heard[1].reason, CX_REASON_CODE_SERVER_CHANGE);
    assert_string_equal(s->heard[1].impi, "a@h");
    assert_string_equal(s->heard[1].others, "b ");
    assert_int_equal(s->heard[1].n_impus, 0);
    assert_string_equal(s->heard[2].impi, "b@h");
    assert_string_equal(s->heard[2].others, "");
    expect_selection(s, "a@h", "sip:both@h"); /* it is not registered any more: 6.1.3 */
    pass(s, 120);
    assert_int_equal(s->n, 3);
}

static void trouble_is_waited_for_and_refusals_are_told_loudly(void **state) {
    struct script *s = *state;
    s->answers[0] = DIAMETER_RESULT(DIAMETER_UNABLE_TO_COMPLY);
    s->answers[1] = DIAMETER_RESULT(DIAMETER_TOO_BUSY);
    s->answers[2] = DIAMETER_3GPP_RESULT(DIAMETER_ERROR_NOT_SUPPORTED_USER_DATA);
    s->n_answers = 3;
    change(s, family_with("one", "X"));
    pass(s, 10);
    assert_int_equal(s->n, 3);
    assert_in_range(s->heard[1].at_us - s->heard[0].at_us, 1000 * MS_IN_US, 1100 * MS_IN_US);
    assert_in_range(s->heard[2].at_us - s->heard[1].at_us, 2000 * MS_IN_US, 2100 * MS_IN_US);
    assert_int_equal(hss_counters(s->b->hss)->news_given_up, 1);
}

static void what_came_later_waits_for_its_turn(void **state) {
    struct script *s = *state;
    s->answers[0] = DIAMETER_RESULT(DIAMETER_TOO_BUSY);
    s->n_answers = 1;
    assert_int_equal(bench_web(s->b, "PUT", "/subscriptions/f", family_with("one", "X")), 200);
    sim_run_until(s->b->sim, sim_now_us(s->b->sim) + 100 * MS_IN_US);
    assert_int_equal(bench_web(s->b, "DELETE", "/subscriptions/f", NULL), 204);
    pass(s, 10);
    assert_int_equal(s->heard[0].command, CX_COMMAND_PUSH_PROFILE);
    const struct heard *last = &s->heard[s->n - 1];
    assert_int_equal(last->command, CX_COMMAND_REGISTRATION_TERMINATION);
    assert_int_equal(last->reason, CX_REASON_CODE_PERMANENT_TERMINATION);
    assert_string_equal(last->impi, "a@h");
    assert_string_equal(last->others, "b ");
    assert_int_equal(last->n_impus, 1);
    for (size_t i = 0; i + 1 < s->n; i++) {
        assert_int_equal(s->heard[i].command, CX_COMMAND_PUSH_PROFILE);
    }
}

static void a_crash_forgets_nothing(void **state) {
    struct script *s = *state;
    s->silent = true;
    change(s, family_with("one", "X"));
    assert_int_equal(s->n, 1);
    bench_crash_hss(s->b);
    s->silent = false;
    bench_start_hss(s->b);
    pass(s, 40);
    assert_true(s->n >= 2);
    assert_true(s->heard[s->n - 1].user_data);
    size_t n = s->n;
    bench_crash_hss(s->b); /* it has been confirmed: nobody is told again */
    bench_start_hss(s->b);
    pass(s, 120);
    assert_int_equal(s->n, n);
}

static void who_came_back_is_not_ended(void **state) {
    struct script *s = *state;
    struct reply r;
    disconnect(s);
    assert_int_equal(bench_web(s->b, "DELETE", "/subscriptions/f", NULL), 204);
    pass(s, 5);
    assert_int_equal(bench_web(s->b, "POST", "/subscriptions", family), 201);
    pass(s, 1);
    /* It registers at the same S-CSCF before that one has heard of the end. */
    s->silent = true;
    connect(s);
    bench_sar(s->b, &s->c, CX_SERVER_ASSIGNMENT_TYPE_REGISTRATION, "a@h", "sip:both@h", SCSCF_1,
              &r);
    bench_wait(s->b, &r);
    size_t before = s->n;
    s->silent = false;
    pass(s, 120);
    /* The other one, who is not back, ends; and what the S-CSCF has may be old. */
    assert_int_equal(s->n, before + 2);
    assert_int_equal(s->heard[before].command, CX_COMMAND_REGISTRATION_TERMINATION);
    assert_string_equal(s->heard[before].impi, "b@h");
    assert_string_equal(s->heard[before].others, "");
    assert_string_equal(s->heard[before + 1].impi, "a@h");
    assert_true(s->heard[before + 1].user_data);
}

static void functions_that_are_taken_away_end_in_a_change_of_server(void **state) {
    struct script *s = *state;
    s->b->config.charging = (struct hss_charging){0};
    bench_crash_hss(s->b);
    bench_start_hss(s->b);
    assert_true(sim_run(s->b->sim, is_up, s, sim_now_us(s->b->sim) + 60 * SEC_IN_US));
    pass(s, 60);
    change(s, family_without("charging"));
    assert_int_equal(s->n, 1);
    assert_int_equal(s->heard[0].reason, CX_REASON_CODE_SERVER_CHANGE);
    assert_string_equal(s->heard[0].others, "b ");
}

static void an_operator_ends_what_he_names(void **state) {
    struct script *s = *state;
    assert_int_equal(bench_web(s->b, "POST", "/subscriptions/f/deregister",
                               "{\"identities\":[\"b@h\"],\"text\":\"unpaid\"}"),
                     200);
    assert_non_null(strstr(s->b->body, "permanent-termination"));
    assert_non_null(strstr(s->b->body, "sip:both@h"));
    pass(s, 1);
    assert_int_equal(s->n, 1);
    assert_int_equal(s->heard[0].reason, CX_REASON_CODE_PERMANENT_TERMINATION);
    assert_string_equal(s->heard[0].impi, "b@h");
    assert_string_equal(s->heard[0].text, "unpaid");
    assert_int_equal(bench_web(s->b, "GET", "/subscriptions/f", NULL), 200);
    assert_non_null(strstr(s->b->body, "\"registered\""));
    assert_int_equal(
        bench_web(s->b, "POST", "/subscriptions/f/deregister", "{\"reason\":\"server-change\"}"),
        200);
    pass(s, 1);
    assert_int_equal(s->n, 2);
    assert_int_equal(s->heard[1].reason, CX_REASON_CODE_SERVER_CHANGE);
    assert_string_equal(s->heard[1].impi, "a@h");
    assert_int_equal(s->heard[1].n_impus, 0);
    expect_selection(s, "a@h", "sip:both@h");
    assert_int_equal(bench_web(s->b, "POST", "/subscriptions/f/deregister", "{}"), 409);
}

static void wrong_wishes_are_refused(void **state) {
    static const struct {
        const char *body, *pointer;
    } cases[] = {
        {"{\"reason\":\"new-server-assigned\"}", "/reason"},
        {"{\"identities\":[\"sip:x@h\"]}", "/identities/0"},
        {"{\"reason\":\"server-change\",\"identities\":[\"a@h\"]}", "/identities"},
        {"{\"text\":\"a\\u0001\"}", "/text"},
        {"{\"texts\":\"\"}", "/texts"},
    };
    struct script *s = *state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        assert_int_equal(bench_web(s->b, "POST", "/subscriptions/f/deregister", cases[i].body),
                         422);
        assert_non_null(strstr(s->b->body, cases[i].pointer));
    }
    assert_int_equal(bench_web(s->b, "POST", "/subscriptions/g/deregister", "{}"), 404);
    assert_int_equal(bench_web(s->b, "GET", "/subscriptions/f/deregister", NULL), 405);
    assert_int_equal(bench_web(s->b, "POST", "/subscriptions/f/other", "{}"), 404);
    assert_int_equal(
        bench_web(s->b, "POST", "/subscriptions/f/deregister", "{\"reason\":\"remove-scscf\"}"),
        409);
    pass(s, 10);
    assert_int_equal(s->n, 0);
}

/* A new key and new capabilities, by policy. */
static void keys_and_capabilities_end_registrations_by_policy(void **state) {
    struct script *s = *state;
    change(s, family_without("key"));
    assert_int_equal(s->n, 0);
    s->b->config.policy.key_ends = true;
    bench_crash_hss(s->b);
    bench_start_hss(s->b);
    pass(s, 60);
    change(s, family_without("key again"));
    assert_int_equal(s->n, 1);
    assert_int_equal(s->heard[0].reason, CX_REASON_CODE_PERMANENT_TERMINATION);
    assert_string_equal(s->heard[0].impi, "a@h");
    assert_string_equal(s->heard[0].others, "");
    change(s, family_without("capability"));
    assert_int_equal(s->n, 2);
    assert_int_equal(s->heard[1].reason, CX_REASON_CODE_SERVER_CHANGE);
    assert_string_equal(s->heard[1].impi, "b@h");
}

/* The HSS starts anew with a fixed private identity for each subscription. */
static void fix_impi(struct script *s) {
    s->b->config.fixed_impi = true;
    bench_crash_hss(s->b);
    bench_start_hss(s->b);
    pass(s, 60);
}

#define FIXED "f@subscription." HOME

static void a_fixed_identity_stands_for_the_subscription(void **state) {
    struct script *s = *state;
    fix_impi(s);
    change(s, family_with("two", "Both"));
    pass(s, 120);
    assert_int_equal(s->n, 2);
    assert_string_equal(s->heard[0].impi, FIXED);
    assert_true(s->heard[0].user_data);
    assert_string_equal(s->heard[1].impi, FIXED);
    assert_true(s->heard[1].charging);
    /* The whole subscription ends: those whom the RTA does not name are told by their own names. */
    s->gone = "a@h";
    change(s, family_without("capability"));
    assert_int_equal(s->n, 4);
    assert_string_equal(s->heard[2].impi, FIXED);
    assert_string_equal(s->heard[2].others, "a b ");
    assert_int_equal(s->heard[2].n_impus, 0);
    assert_string_equal(s->heard[3].impi, "b@h");
    assert_string_equal(s->heard[3].others, "");
}

static void who_does_not_know_the_fixed_identity_is_told_by_others(void **state) {
    struct script *s = *state;
    fix_impi(s);
    s->answers[0] = unknown;
    s->n_answers = 1;
    change(s, family_with("two", ""));
    assert_int_equal(s->n, 3);
    assert_string_equal(s->heard[0].impi, FIXED);
    assert_string_equal(s->heard[1].impi, "a@h");
    assert_string_equal(s->heard[2].impi, "b@h");
    s->n = 0;
    change(s, family_without("capability"));
    assert_int_equal(s->n, 2);
    assert_string_equal(s->heard[0].impi, FIXED);
    assert_string_equal(s->heard[1].impi, "a@h");
    assert_string_equal(s->heard[1].others, "b ");
}

/* A part of a subscription ends, or its whole while somebody has come back. */
static void a_part_is_ended_by_its_own_identities(void **state) {
    struct script *s = *state;
    struct reply r;
    fix_impi(s);
    assert_int_equal(bench_web(s->b, "POST", "/subscriptions/f/deregister", "{}"), 200);
    pass(s, 1);
    assert_int_equal(s->n, 1);
    assert_string_equal(s->heard[0].impi, "a@h");
    register_all(s);
    disconnect(s);
    change(s, family_without("capability"));
    connect(s);
    bench_sar(s->b, &s->c, CX_SERVER_ASSIGNMENT_TYPE_REGISTRATION, "c@h", "sip:c@h", SCSCF_1, &r);
    bench_wait(s->b, &r);
    assert_result(&r, BASE, DIAMETER_SUCCESS);
    pass(s, 120);
    assert_int_equal(s->n, 2);
    assert_string_equal(s->heard[1].impi, "a@h");
    assert_int_equal(s->heard[1].reason, CX_REASON_CODE_SERVER_CHANGE);
}

static void note_done(struct store_op *op) {
    (void)op;
}

/* As a disk may leave it. */
static void a_damaged_entry_does_not_keep_others_waiting(void **state) {
    struct script *s = *state;
    struct store_op op = {.done = note_done};
    assert_int_equal(bench_web(s->b, "POST", "/subscriptions",
                               "{\"name\":\"x\",\"impis\":[{\"identity\":\"x@h\"}],\"impus\":["
                               "{\"identity\":\"sip:x@h\"}]}"),
                     201);
    store_find(s->b->store, &op, STORE_NAME, SPAN("x"));
    assert_int_equal(op.error, OK);
    store_delete(s->b->store, &op, op.subscription.id, op.subscription.version, SPAN("junk"));
    pass(s, 1);
    assert_int_equal(op.error, OK);
    change(s, family_with("one", "Both"));
    assert_int_equal(s->n, 1);
    bench_crash_hss(s->b);
    bench_start_hss(s->b);
    pass(s, 60);
    change(s, family_with("one", "Nobody"));
    assert_int_equal(s->n, 2);
}

enum { CROWD = 9000 };

static void add_crowd(struct script *s) {
    char *text = malloc(CROWD * 160);
    struct buf b = buf_init(text, CROWD * 160);
    buf_char(&b, '[');
    for (unsigned i = 0; i < CROWD; i++) {
        buf_printf(&b,
                   "%s{\"name\":\"n%u\",\"impis\":[{\"identity\":\"n%u@h\"}],\"impus\":["
                   "{\"identity\":\"sip:n%u@h\"}]}",
                   i ? "," : "", i, i, i);
    }
    buf_char(&b, ']');
    assert_false(b.overflow);
    text[b.n] = '\0';
    assert_int_equal(bench_web(s->b, "POST", "/subscriptions", text), 201);
    free(text);
    for (unsigned i = 0; i < CROWD; i++) {
        char impi[16], impu[24];
        struct reply r;
        snprintf(impi, sizeof impi, "n%u@h", i);
        snprintf(impu, sizeof impu, "sip:n%u@h", i);
        bench_sar(s->b, &s->c, CX_SERVER_ASSIGNMENT_TYPE_REGISTRATION, impi, impu, SCSCF_1, &r);
        bench_wait(s->b, &r);
    }
}

/* A crowd is registered at an S-CSCF that goes away while thousands of them wait to be told of a
 * profile, and all of them are to be told of the next one: more than are kept in memory. Another
 * S-CSCF hears of its subscriber at once, and the crowd's is told when it is back. */
static void who_cannot_be_told_does_not_keep_others_waiting(void **state) {
    struct script *s = *state, other = {.b = s->b};
    struct reply r;
    s->b->peers[2] = (struct hss_peer){.host = SPAN("scscf-2." HOME), .roles = HSS_PEER_SCSCF};
    s->b->config.n_peers = 3;
    bench_crash_hss(s->b);
    bench_start_hss(s->b);
    pass(s, 60);
    add_crowd(s);
    s->counting = s->silent = true;
    assert_int_equal(bench_web(s->b, "PUT", "/profiles/default", "{\"service_ids\":[\"urn:y\"]}"),
                     200);
    pass(s, 2);
    disconnect(s);
    s->silent = false;
    connect_as(&other, "scscf-2", "scscf-2." HOME);
    assert_int_equal(bench_web(s->b, "POST", "/subscriptions",
                               "{\"name\":\"m\",\"impis\":[{\"identity\":\"m@h\"}],\"impus\":["
                               "{\"identity\":\"sip:m@h\",\"profile\":\"default\"}]}"),
                     201);
    bench_sar(s->b, &other.c, CX_SERVER_ASSIGNMENT_TYPE_REGISTRATION, "m@h", "sip:m@h", SCSCF_2,
              &r);
    bench_wait(s->b, &r);
    assert_result(&r, BASE, DIAMETER_SUCCESS);
    assert_int_equal(bench_web(s->b, "PUT", "/profiles/default", "{\"service_ids\":[\"urn:x\"]}"),
                     200);
    pass(s, 120);
    assert_int_equal(other.n, 1);
    assert_int_equal(bench_web(s->b, "PUT", "/subscriptions/m",
                               "{\"impis\":[{\"identity\":\"m@h\"}],\"impus\":["
                               "{\"identity\":\"sip:m@h\",\"display_name\":\"M\"}]}"),
                     200);
    pass(s, 1);
    assert_int_equal(other.n, 2);
    s->counting = true;
    s->n = 0;
    connect(s);
    pass(s, 300);
    assert_true(s->n >= CROWD);
    s->n = 0;
    pass(s, 300);
    assert_int_equal(s->n, 0);
    disconnect(&other);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(charging_goes_to_each_that_is_known, setup, teardown),
        cmocka_unit_test_setup_teardown(another_identity_is_tried_when_one_is_unknown, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(too_much_data_ends_in_a_change_of_server, setup, teardown),
        cmocka_unit_test_setup_teardown(trouble_is_waited_for_and_refusals_are_told_loudly, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(what_came_later_waits_for_its_turn, setup, teardown),
        cmocka_unit_test_setup_teardown(a_crash_forgets_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(who_came_back_is_not_ended, setup, teardown),
        cmocka_unit_test_setup_teardown(functions_that_are_taken_away_end_in_a_change_of_server,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(a_damaged_entry_does_not_keep_others_waiting, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(who_cannot_be_told_does_not_keep_others_waiting, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(an_operator_ends_what_he_names, setup, teardown),
        cmocka_unit_test_setup_teardown(wrong_wishes_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(keys_and_capabilities_end_registrations_by_policy, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_fixed_identity_stands_for_the_subscription, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(who_does_not_know_the_fixed_identity_is_told_by_others,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(a_part_is_ended_by_its_own_identities, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
