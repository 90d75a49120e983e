/* covers: HF4
 * Sh over Diameter: what application servers may ask, change and hear of, what comes of bad
 * requests, and what a crash leaves. Two application servers; the second one listens only. */
#include "bench.h"

#include "spec/sh.h"

#define AS_1 "as." HOME
#define AS_2 "as-2." HOME
#define BOX  "<ServiceIndication>box</ServiceIndication><SequenceNumber>"
#define DOC(number, data)                                                                          \
    "<Sh-Data><RepositoryData>" BOX number "</SequenceNumber>" data "</RepositoryData></Sh-Data>"
#define DATA(inside) "<ServiceData>" inside "</ServiceData>"

enum { HEARD_MAX = 16, TEXT_MAX = 4096 };

struct listener_as {
    struct client c;
    char heard[HEARD_MAX][TEXT_MAX]; /* User-Data of the PNRs */
    char who[HEARD_MAX][64];
    size_t n;
    struct diameter_result answer;
    bool silent;
};

struct script {
    struct bench *b;
    struct listener_as as[2];
    struct hss_application_server servers[2];
    struct reply reply;
    char text[ANSWER_BYTES]; /* User-Data of the last answer */
};

static void on_request(void *ctx, struct diameter_request *rq, const struct diameter_msg *msg) {
    struct listener_as *as = CONTAINER_OF((struct client *)ctx, struct listener_as, c);
    struct diameter_fault fault;
    struct sh_pnr pnr;
    assert_int_equal(msg->command, SH_COMMAND_PUSH_NOTIFICATION);
    assert_true(as->n < HEARD_MAX);
    assert_int_equal(sh_pnr_decode(diameter_request_arena(rq), msg, &pnr, &fault), OK);
    assert_true(span_to_cstr(pnr.sh_user_data, as->heard[as->n], TEXT_MAX));
    assert_true(span_to_cstr(pnr.user_identity.public_identity, as->who[as->n], 64));
    as->n++;
    if (!as->silent) {
        struct sh_pna pna = {.result = as->answer};
        sh_pna_encode(diameter_answer_begin(rq), &pna);
        diameter_answer_send(rq);
    }
}

static const struct diameter_handler scripted = {on_request, bench_note_peer};
static const struct diameter_application sh_application = {SH_APPLICATION, DIAMETER_VENDOR_3GPP};

static bool both_up(void *ctx) {
    struct script *s = ctx;
    return s->as[0].c.up && s->as[1].c.up;
}

static void connect(struct script *s, size_t i) {
    struct client *c = &s->as[i].c;
    *c = (struct client){0};
    assert_int_equal(sim_env_new(s->b->sim, i ? "as-2" : "as", &c->env), OK);
    c->peer = (struct diameter_peer_config){
        .host = SPAN("hss." HOME), .address = s->b->config.listen, .connect = true};
    c->config = (struct diameter_config){.host = i ? SPAN(AS_2) : SPAN(AS_1),
                                         .realm = SPAN(HOME),
                                         .applications = &sh_application,
                                         .n_applications = 1,
                                         .peers = &c->peer,
                                         .n_peers = 1,
                                         .reconnect_min_us = 10 * MS_IN_US};
    assert_int_equal(diameter_new(c->env, &c->config, &scripted, c, &c->d), OK);
}

static void wait_up(struct script *s) {
    assert_true(sim_run(s->b->sim, both_up, s, sim_now_us(s->b->sim) + 60 * SEC_IN_US));
}

static void pass(struct script *s, uint64_t seconds) {
    sim_run_until(s->b->sim, sim_now_us(s->b->sim) + seconds * SEC_IN_US);
}

static void restart(struct script *s) {
    bench_crash_hss(s->b);
    s->as[0].c.up = s->as[1].c.up = s->b->icscf.up = s->b->scscf.up = false;
    bench_start_hss(s->b);
    wait_up(s);
    bench_wait_up(s->b);
}

static int setup(void **state) {
    struct script *s = calloc(1, sizeof *s);
    struct bench *b = s->b = bench_new(11, 3000, 0);
    hss_free(b->hss);
    env_close(b->hss_env);
    b->peers[2] = (struct hss_peer){.host = SPAN(AS_1), .roles = HSS_PEER_AS};
    b->peers[3] = (struct hss_peer){.host = SPAN(AS_2), .roles = HSS_PEER_AS};
    b->config.n_peers = 4;
    for (size_t i = 0; i < 2; i++) {
        s->servers[i] = (struct hss_application_server){
            .host = i ? SPAN(AS_2) : SPAN(AS_1),
            .permissions = {sh_references_of(SH_PULL), sh_references_of(SH_UPDATE),
                            sh_references_of(SH_NOTIFY)}};
        s->as[i].answer = DIAMETER_RESULT(DIAMETER_SUCCESS);
    }
    b->config.application_servers = s->servers;
    b->config.n_application_servers = 2;
    b->config.repository_bytes_max = 100;
    b->config.repository_services_max = 3;
    bench_start_hss(b);
    connect(s, 0);
    connect(s, 1);
    wait_up(s);
    bench_wait_up(b);
    bench_add_sim(b);
    *state = s;
    return 0;
}

static int teardown(void **state) {
    struct script *s = *state;
    bench_disconnect(&s->as[0].c);
    bench_disconnect(&s->as[1].c);
    bench_free(s->b);
    free(s);
    return 0;
}

/* Requests. */

static struct diameter_builder *begin(struct client *c, uint32_t command) {
    const struct diameter_route route = {
        .application = SH_APPLICATION, .command = command, .realm = SPAN(HOME)};
    return diameter_request_begin(c->d, &route);
}

static unsigned finish(struct script *s, size_t i) {
    bench_send(s->b, &s->as[i].c, &s->reply);
    bench_wait(s->b, &s->reply);
    assert_int_equal(s->reply.error, OK);
    return s->reply.result.code;
}

static unsigned take_data(struct script *s, struct span user_data) {
    assert_true(span_to_cstr(user_data, s->text, sizeof s->text));
    return s->reply.result.code;
}

static unsigned udr(struct script *s, const struct sh_udr *udr) {
    struct diameter_fault fault;
    struct sh_uda uda;
    sh_udr_encode(begin(&s->as[0].c, SH_COMMAND_USER_DATA), udr);
    unsigned code = finish(s, 0);
    assert_int_equal(sh_uda_decode(&s->b->arena, &s->reply.msg, &uda, &fault), OK);
    (void)take_data(s, uda.sh_user_data);
    return code;
}

static unsigned pull(struct script *s, const char *impu, enum sh_data_reference reference) {
    struct span box = SPAN("box");
    return udr(s, &(struct sh_udr){.user_identity = {.public_identity = span_from_cstr(impu)},
                                   .server_name = SPAN("sip:as.example"),
                                   .service_indication = &box,
                                   .n_service_indication = 1,
                                   .data_reference = &reference,
                                   .n_data_reference = 1});
}

static unsigned change_by(struct script *s, size_t i, const char *impu,
                          enum sh_data_reference reference, const char *document) {
    const struct sh_pur pur = {.user_identity = {.public_identity = span_from_cstr(impu)},
                               .data_reference = &reference,
                               .n_data_reference = 1,
                               .sh_user_data = span_from_cstr(document)};
    sh_pur_encode(begin(&s->as[i].c, SH_COMMAND_PROFILE_UPDATE), &pur);
    return finish(s, i);
}

static unsigned change(struct script *s, const char *impu, const char *document) {
    return change_by(s, 0, impu, SH_DATA_REFERENCE_RepositoryData, document);
}

static unsigned subscribe(struct script *s, size_t i, const char *impu,
                          enum sh_data_reference reference, struct sh_snr snr) {
    struct span box = SPAN("box");
    struct diameter_fault fault;
    struct sh_sna sna;
    snr.user_identity.public_identity = span_from_cstr(impu);
    snr.data_reference = &reference;
    snr.n_data_reference = 1;
    snr.server_name = snr.server_name.n ? snr.server_name : SPAN("sip:as.example");
    snr.service_indication = &box;
    snr.n_service_indication = 1;
    sh_snr_encode(begin(&s->as[i].c, SH_COMMAND_SUBSCRIBE_NOTIFICATIONS), &snr);
    unsigned code = finish(s, i);
    assert_int_equal(sh_sna_decode(&s->b->arena, &s->reply.msg, &sna, &fault), OK);
    (void)take_data(s, sna.sh_user_data);
    assert_int_equal(sna.has_expiry_time, snr.has_expiry_time && code == 2001);
    return code;
}

static void registers(struct script *s, unsigned type) {
    struct reply r;
    bench_sar(s->b, &s->b->scscf, type, IMPI, IMPU, SCSCF_1, &r);
    bench_wait(s->b, &r);
    assert_int_equal(r.result.code, DIAMETER_SUCCESS);
}

static bool says(const struct script *s, const char *text) {
    return strstr(s->text, text) != NULL;
}

/* Tests. */

static void user_data_is_what_the_subscription_has(void **state) {
    struct script *s = *state;
    assert_int_equal(pull(s, IMPU, SH_DATA_REFERENCE_IMSUserState), 2001);
    assert_true(says(s, "<IMSUserState>0</IMSUserState>"));
    registers(s, CX_SERVER_ASSIGNMENT_TYPE_REGISTRATION);
    assert_int_equal(pull(s, IMPU, SH_DATA_REFERENCE_IMSUserState), 2001);
    assert_true(says(s, "<IMSUserState>1</IMSUserState>"));
    assert_int_equal(pull(s, IMPU, SH_DATA_REFERENCE_S_CSCFName), 2001);
    assert_true(says(s, "<SCSCFName>" SCSCF_1 "</SCSCFName>"));
    assert_int_equal(pull(s, TEL, SH_DATA_REFERENCE_IMSPublicIdentity), 2001);
    assert_true(says(s, "<PublicIdentifiers><IMSPublicIdentity>" IMPU));
    assert_false(says(s, TEMP)); /* barred */
    assert_int_equal(pull(s, IMPU, SH_DATA_REFERENCE_MSISDN), 2001);
    assert_true(says(s, "<MSISDN>447700900101</MSISDN>"));
    assert_int_equal(pull(s, IMPU, SH_DATA_REFERENCE_ChargingInformation), 2001);
    assert_true(says(s, ">aaa://ccf." HOME "<"));
    assert_int_equal(pull(s, IMPU, SH_DATA_REFERENCE_InitialFilterCriteria), 2001);
    assert_true(says(s, "<IFCs></IFCs>"));
    assert_int_equal(pull(s, IMPU, SH_DATA_REFERENCE_ServiceLevelTraceInfo), 2001);
    assert_string_equal(s->text, "");
    assert_int_equal(pull(s, IMPU, SH_DATA_REFERENCE_LocationInformation), 4100);
    assert_int_equal(pull(s, IMPU, SH_DATA_REFERENCE_PSIActivation), 5101);
    assert_int_equal(pull(s, IMPU, SH_DATA_REFERENCE_DSAI), 5108);
    assert_int_equal(pull(s, "sip:nobody@h", SH_DATA_REFERENCE_IMSUserState), 5001);
}

static void filter_criteria_are_those_of_the_server_that_asks(void **state) {
    struct script *s = *state;
    assert_int_equal(
        bench_web(s->b, "PUT", "/profiles/default",
                  "{\"filter_criteria\":[{\"priority\":1,\"server_name\":\"sip:as.example\"},"
                  "{\"priority\":2,\"server_name\":\"sip:other.example\"}]}"),
        200);
    assert_int_equal(pull(s, IMPU, SH_DATA_REFERENCE_InitialFilterCriteria), 2001);
    assert_true(says(s, "<ServerName>sip:as.example</ServerName>"));
    assert_false(says(s, "other.example"));
}

static void changes_of_filter_criteria_are_told(void **state) {
    struct script *s = *state;
    assert_int_equal(
        subscribe(s, 0, IMPU, SH_DATA_REFERENCE_InitialFilterCriteria, (struct sh_snr){0}), 2001);
    registers(s, CX_SERVER_ASSIGNMENT_TYPE_REGISTRATION);
    assert_int_equal(
        bench_web(s->b, "PUT", "/profiles/default",
                  "{\"filter_criteria\":[{\"priority\":1,\"server_name\":\"sip:as.example\"}]}"),
        200);
    pass(s, 2);
    assert_int_equal(s->as[0].n, 1);
    assert_non_null(strstr(s->as[0].heard[0], "<ServerName>sip:as.example</ServerName>"));
    assert_true(hss_counters(s->b->hss)->ppr > 0); /* the S-CSCF as well */
}

static void an_msisdn_stands_for_its_tel_uri(void **state) {
    struct script *s = *state;
    const enum sh_data_reference references[] = {SH_DATA_REFERENCE_MSISDN,
                                                 SH_DATA_REFERENCE_IMSPublicIdentity},
                                 by_impu_only = SH_DATA_REFERENCE_IMSUserState;
    const enum sh_identity_set sets[] = {SH_IDENTITY_SET_IMPLICIT_IDENTITIES,
                                         SH_IDENTITY_SET_ALIAS_IDENTITIES};
    static const char packed[] = {0x44, 0x77, 0x00, 0x09, 0x10, 0x10};
    struct sh_udr u = {.user_identity = {.msisdn = span_of(packed, sizeof packed)},
                       .data_reference = references,
                       .n_data_reference = 2,
                       .identity_set = sets,
                       .n_identity_set = 2};
    assert_int_equal(udr(s, &u), 2001);
    assert_true(says(s, "<PublicIdentifiers><MSISDN>447700900101</MSISDN></PublicIdentifiers>"
                        "<Extension><ImplicitIdentities><IMSPublicIdentity>" IMPU));
    assert_true(says(s, "<AliasIdentities>"));
    u.data_reference = &by_impu_only;
    u.n_data_reference = 1;
    assert_int_equal(udr(s, &u), 5101);
    u.user_identity.msisdn = SPAN("\xff");
    assert_int_equal(udr(s, &u), 5001);
    u.user_identity.msisdn = SPAN_NONE;
    assert_int_equal(udr(s, &u), 5005);
    u.user_identity.public_identity = SPAN(IMPU);
    u.data_reference = &(const enum sh_data_reference){SH_DATA_REFERENCE_RepositoryData};
    assert_int_equal(udr(s, &u), 5005); /* of which service? */
}

static void repository_data_follows_its_sequence_number(void **state) {
    struct script *s = *state;
    assert_int_equal(pull(s, IMPU, SH_DATA_REFERENCE_RepositoryData), 2001);
    assert_string_equal(s->text, "");
    assert_int_equal(change(s, IMPU, DOC("1", DATA("x"))), 5105);
    assert_int_equal(change(s, IMPU, DOC("0", "")), 5101);
    assert_int_equal(change(s, IMPU, DOC("0", DATA("<a>1</a>"))), 2001);
    assert_int_equal(change(s, IMPU, DOC("0", DATA("<a>2</a>"))), 5105);
    assert_int_equal(change(s, IMPU, DOC("2", DATA("<a>2</a>"))), 5105);
    assert_int_equal(pull(s, IMPU, SH_DATA_REFERENCE_RepositoryData), 2001);
    assert_true(says(s, &DOC("0", DATA("<a>1</a>"))[9]));
    assert_int_equal(change(s, IMPU, DOC("1", DATA("<a>2</a>"))), 2001);
    restart(s);
    assert_int_equal(pull(s, IMPU, SH_DATA_REFERENCE_RepositoryData), 2001);
    assert_true(says(s, &DOC("1", DATA("<a>2</a>"))[9]));
    assert_int_equal(pull(s, TEL, SH_DATA_REFERENCE_RepositoryData), 2001);
    assert_string_equal(s->text, ""); /* no alias */
    assert_int_equal(change(s, IMPU, DOC("2", "")), 2001);
    assert_int_equal(pull(s, IMPU, SH_DATA_REFERENCE_RepositoryData), 2001);
    assert_string_equal(s->text, "");
}

static void bad_updates_change_nothing(void **state) {
    struct script *s = *state;
    static const struct {
        enum sh_data_reference reference;
        const char *document;
        unsigned code;
    } rows[] = {
        {0, "", 5100},
        {0, "<Sh-Data>", 5100},
        {0, "<!DOCTYPE x [<!ENTITY e \"f\">]>" DOC("1", DATA("&e;")), 5100},
        {0, "<!DOCTYPE x SYSTEM \"http://x/\">" DOC("1", DATA("x")), 5100},
        {0, "<Sh-Data/>", 5100},
        {0, "<Sh-Data><Sh-IMS-Data><SCSCFName>sip:x</SCSCFName></Sh-IMS-Data></Sh-Data>", 5100},
        {SH_DATA_REFERENCE_AliasesRepositoryData, DOC("1", DATA("x")), 5100},
        {0, DOC("70000", DATA("x")), 5100},
        {0, DOC("7", DATA("x")), 5105},
        {0,
         DOC("1", DATA("0123456789012345678901234567890123456789012345678901234567890123456789"
                       "0123456789012345678901234567890")),
         5008},
        {SH_DATA_REFERENCE_IMSUserState, DOC("1", DATA("x")), 5103},
        {SH_DATA_REFERENCE_PSIActivation, "<Sh-Data/>", 5101},
        {SH_DATA_REFERENCE_DSAI, "<Sh-Data/>", 5108},
        {99, DOC("1", DATA("x")), 5004},
    };
    assert_int_equal(change(s, IMPU, DOC("0", DATA("first"))), 2001);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        unsigned code = change_by(s, 0, IMPU, rows[i].reference, rows[i].document);
        if (code != rows[i].code) {
            print_message("%zu: %u instead of %u\n", i, code, rows[i].code);
        }
        assert_int_equal(code, rows[i].code);
    }
    assert_int_equal(change(s, "sip:nobody@h", DOC("0", DATA("x"))), 5001);
    assert_int_equal(pull(s, IMPU, SH_DATA_REFERENCE_RepositoryData), 2001);
    assert_true(says(s, &DOC("0", DATA("first"))[9]));
    assert_true(hss_counters(s->b->hss)->refused_sh >= COUNT_OF(rows));
}

static void an_identity_has_data_of_so_many_services(void **state) {
    struct script *s = *state;
    char document[512];
    for (unsigned i = 0; i < 5; i++) {
        snprintf(document, sizeof document,
                 "<Sh-Data><RepositoryData><ServiceIndication>s%u</ServiceIndication>"
                 "<SequenceNumber>0</SequenceNumber><ServiceData/></RepositoryData></Sh-Data>",
                 i);
        assert_int_equal(change(s, IMPU, document), i < 3 ? 2001 : 5008);
    }
    assert_int_equal(change(s, TEL, document), 2001);
}

static void nobody_may_what_is_not_permitted(void **state) {
    struct script *s = *state;
    s->servers[0].permissions = (struct sh_permissions){.pull = 1};
    assert_int_equal(pull(s, IMPU, SH_DATA_REFERENCE_IMSUserState), 5102);
    assert_int_equal(pull(s, "sip:nobody@h", SH_DATA_REFERENCE_IMSUserState), 5102);
    assert_int_equal(pull(s, IMPU, SH_DATA_REFERENCE_RepositoryData), 2001);
    assert_int_equal(change(s, IMPU, DOC("0", DATA("x"))), 5103);
    assert_int_equal(subscribe(s, 0, IMPU, SH_DATA_REFERENCE_IMSUserState, (struct sh_snr){0}),
                     5104);
    assert_int_equal(
        subscribe(s, 1, IMPU, SH_DATA_REFERENCE_ChargingInformation, (struct sh_snr){0}), 5104);
    s->b->config.n_application_servers = 1;
    restart(s);
    assert_int_equal(subscribe(s, 1, IMPU, SH_DATA_REFERENCE_IMSUserState, (struct sh_snr){0}),
                     5104);
}

/* Others are told, not the one that made the change; also after a crash. */
static void changes_of_repository_data_are_told(void **state) {
    struct script *s = *state;
    const struct sh_snr with_data = {.has_send_data_indication = true, .send_data_indication = 1};
    assert_int_equal(subscribe(s, 1, IMPU, SH_DATA_REFERENCE_RepositoryData, (struct sh_snr){0}),
                     5106);
    assert_int_equal(change(s, IMPU, DOC("0", DATA("one"))), 2001);
    assert_int_equal(subscribe(s, 1, IMPU, SH_DATA_REFERENCE_RepositoryData, with_data), 2001);
    assert_true(says(s, DATA("one")));
    assert_int_equal(subscribe(s, 0, IMPU, SH_DATA_REFERENCE_RepositoryData, (struct sh_snr){0}),
                     2001);
    assert_string_equal(s->text, "");
    assert_int_equal(change(s, IMPU, DOC("1", DATA("two"))), 2001);
    pass(s, 1);
    assert_int_equal(s->as[0].n, 0);
    assert_int_equal(s->as[1].n, 1);
    assert_non_null(strstr(s->as[1].heard[0], DATA("two")));
    assert_string_equal(s->as[1].who[0], IMPU);
    assert_int_equal(change_by(s, 1, IMPU, 0, DOC("2", "")), 2001);
    pass(s, 1);
    assert_int_equal(s->as[0].n, 1);
    assert_non_null(strstr(s->as[0].heard[0], BOX "2</SequenceNumber></RepositoryData>"));
    assert_int_equal(s->as[1].n, 1);
}

static void a_notification_survives_a_crash(void **state) {
    struct script *s = *state;
    assert_int_equal(change(s, IMPU, DOC("0", DATA("one"))), 2001);
    assert_int_equal(subscribe(s, 1, IMPU, SH_DATA_REFERENCE_RepositoryData, (struct sh_snr){0}),
                     2001);
    s->as[1].silent = true;
    assert_int_equal(change(s, IMPU, DOC("1", DATA("two"))), 2001);
    assert_int_equal(change(s, IMPU, DOC("2", DATA("three"))), 2001);
    pass(s, 2);
    assert_int_equal(s->as[1].n, 1);
    s->as[1].silent = false;
    restart(s);
    pass(s, 5);
    assert_int_equal(s->as[1].n, 2); /* one for both, with what is there now */
    assert_non_null(strstr(s->as[1].heard[1], DATA("three")));
    restart(s);
    pass(s, 5);
    assert_int_equal(s->as[1].n, 2);
}

static void registration_state_is_told(void **state) {
    struct script *s = *state;
    assert_int_equal(subscribe(s, 0, IMPU, SH_DATA_REFERENCE_IMSUserState, (struct sh_snr){0}),
                     2001);
    assert_int_equal(subscribe(s, 0, TEL, SH_DATA_REFERENCE_S_CSCFName, (struct sh_snr){0}), 2001);
    assert_int_equal(subscribe(s, 1, IMPU, SH_DATA_REFERENCE_IMSUserState,
                               (struct sh_snr){.has_one_time_notification = true}),
                     2001);
    registers(s, CX_SERVER_ASSIGNMENT_TYPE_REGISTRATION);
    pass(s, 1);
    assert_int_equal(s->as[0].n, 2);
    assert_non_null(strstr(s->as[0].heard[0], "<IMSUserState>1</IMSUserState>"));
    assert_non_null(strstr(s->as[0].heard[1], "<SCSCFName>" SCSCF_1));
    assert_int_equal(s->as[1].n, 1);
    registers(s, CX_SERVER_ASSIGNMENT_TYPE_RE_REGISTRATION);
    pass(s, 1);
    assert_int_equal(s->as[0].n, 2);
    registers(s, CX_SERVER_ASSIGNMENT_TYPE_USER_DEREGISTRATION);
    pass(s, 1);
    assert_int_equal(s->as[0].n, 4);
    assert_non_null(strstr(s->as[0].heard[2], "<IMSUserState>0</IMSUserState>"));
    assert_int_equal(s->as[1].n, 1); /* once */
    assert_int_equal(
        subscribe(s, 0, IMPU, SH_DATA_REFERENCE_IMSUserState, (struct sh_snr){.subs_req_type = 1}),
        2001);
    registers(s, CX_SERVER_ASSIGNMENT_TYPE_REGISTRATION);
    pass(s, 1);
    assert_int_equal(s->as[0].n, 5);
    assert_non_null(strstr(s->as[0].heard[4], "SCSCFName"));
}

static const char without_tel[] =
    "{\"impis\":[{\"identity\":\"" IMPI "\"}],\"impus\":[{\"identity\":\"" IMPU "\",\"set\":1,"
    "\"default\":true}]}";

static void provisioned_changes_are_told(void **state) {
    struct script *s = *state;
    assert_int_equal(subscribe(s, 0, IMPU, SH_DATA_REFERENCE_IMSPublicIdentity, (struct sh_snr){0}),
                     2001);
    assert_int_equal(subscribe(s, 0, TEL, SH_DATA_REFERENCE_IMSUserState, (struct sh_snr){0}),
                     2001);
    assert_int_equal(change(s, TEL, DOC("0", DATA("goes"))), 2001);
    assert_int_equal(bench_web(s->b, "PUT", "/subscriptions/" IMSI, without_tel), 200);
    pass(s, 1);
    assert_int_equal(s->as[0].n, 1);
    assert_non_null(strstr(s->as[0].heard[0], IMPU));
    assert_null(strstr(s->as[0].heard[0], TEL));
    assert_int_equal(bench_web(s->b, "DELETE", "/subscriptions/" IMSI, NULL), 204);
    pass(s, 100);
    assert_int_equal(s->as[0].n, 1);
    bench_add_sim(s->b);
    assert_int_equal(pull(s, TEL, SH_DATA_REFERENCE_RepositoryData), 2001);
    assert_string_equal(s->text, "");
}

static void answers_end_subscriptions_or_are_waited_for(void **state) {
    struct script *s = *state;
    assert_int_equal(subscribe(s, 1, IMPU, SH_DATA_REFERENCE_IMSUserState, (struct sh_snr){0}),
                     2001);
    s->as[1].answer = DIAMETER_RESULT(DIAMETER_UNABLE_TO_COMPLY);
    registers(s, CX_SERVER_ASSIGNMENT_TYPE_REGISTRATION);
    pass(s, 10);
    assert_int_equal(s->as[1].n, 4); /* at 0, 1, 3, 7 seconds */
    s->as[1].answer = DIAMETER_3GPP_RESULT(DIAMETER_ERROR_USER_DATA_NOT_RECOGNIZED);
    pass(s, 10);
    assert_int_equal(s->as[1].n, 5);
    assert_int_equal(hss_counters(s->b->hss)->pnr_given_up, 1);
    s->as[1].answer = DIAMETER_3GPP_RESULT(DIAMETER_ERROR_NO_SUBSCRIPTION_TO_DATA);
    registers(s, CX_SERVER_ASSIGNMENT_TYPE_USER_DEREGISTRATION);
    pass(s, 10);
    assert_int_equal(s->as[1].n, 6);
    registers(s, CX_SERVER_ASSIGNMENT_TYPE_REGISTRATION);
    pass(s, 10);
    assert_int_equal(s->as[1].n, 6);
}

static void who_is_away_is_told_later_or_given_up(void **state) {
    struct script *s = *state;
    assert_int_equal(subscribe(s, 1, IMPU, SH_DATA_REFERENCE_IMSUserState, (struct sh_snr){0}),
                     2001);
    bench_disconnect(&s->as[1].c);
    registers(s, CX_SERVER_ASSIGNMENT_TYPE_REGISTRATION);
    pass(s, 600);
    connect(s, 1);
    wait_up(s);
    pass(s, 61);
    assert_int_equal(s->as[1].n, 1);
    bench_disconnect(&s->as[1].c);
    registers(s, CX_SERVER_ASSIGNMENT_TYPE_USER_DEREGISTRATION);
    pass(s, 25 * 3600);
    assert_int_equal(hss_counters(s->b->hss)->pnr_given_up, 1);
    connect(s, 1);
    wait_up(s);
    pass(s, 61);
    assert_int_equal(s->as[1].n, 1);
}

/* The identity by which it was being told has gone. */
static void what_else_is_due_is_told_when_an_identity_goes(void **state) {
    struct script *s = *state;
    assert_int_equal(subscribe(s, 1, TEL, SH_DATA_REFERENCE_IMSUserState, (struct sh_snr){0}),
                     2001);
    assert_int_equal(subscribe(s, 1, IMPU, SH_DATA_REFERENCE_IMSPublicIdentity, (struct sh_snr){0}),
                     2001);
    bench_disconnect(&s->as[1].c);
    registers(s, CX_SERVER_ASSIGNMENT_TYPE_REGISTRATION);
    pass(s, 5);
    assert_int_equal(bench_web(s->b, "PUT", "/subscriptions/" IMSI, without_tel), 200);
    pass(s, 61);
    connect(s, 1);
    wait_up(s);
    pass(s, 61);
    assert_int_equal(s->as[1].n, 1);
    assert_string_equal(s->as[1].who[0], IMPU);
}

static void who_is_not_permitted_any_more_hears_nothing(void **state) {
    struct script *s = *state;
    assert_int_equal(subscribe(s, 1, IMPU, SH_DATA_REFERENCE_IMSUserState, (struct sh_snr){0}),
                     2001);
    s->servers[1].permissions.notify = 0;
    restart(s);
    registers(s, CX_SERVER_ASSIGNMENT_TYPE_REGISTRATION);
    pass(s, 10);
    assert_int_equal(s->as[1].n, 0);
    s->servers[1].permissions.notify = sh_references_of(SH_NOTIFY);
    restart(s);
    registers(s, CX_SERVER_ASSIGNMENT_TYPE_USER_DEREGISTRATION);
    pass(s, 10);
    assert_int_equal(s->as[1].n, 1);
}

static void a_server_name_that_nobody_can_have_is_not_kept(void **state) {
    static char name[1025];
    struct script *s = *state;
    memset(name, 'a', sizeof name);
    struct sh_snr snr = {.server_name = span_of(name, sizeof name)};
    assert_int_equal(subscribe(s, 1, IMPU, SH_DATA_REFERENCE_InitialFilterCriteria, snr),
                     DIAMETER_INVALID_AVP_VALUE);
    snr.server_name.n--;
    assert_int_equal(subscribe(s, 1, IMPU, SH_DATA_REFERENCE_InitialFilterCriteria, snr), 2001);
}

static void a_subscription_ends_with_its_time(void **state) {
    struct script *s = *state;
    int64_t now = env_wall_us(s->b->hss_env) / 1000000;
    assert_int_equal(subscribe(s, 1, IMPU, SH_DATA_REFERENCE_IMSUserState,
                               (struct sh_snr){.has_expiry_time = true, .expiry_time = now + 60}),
                     2001);
    registers(s, CX_SERVER_ASSIGNMENT_TYPE_REGISTRATION);
    pass(s, 61);
    assert_int_equal(s->as[1].n, 1);
    registers(s, CX_SERVER_ASSIGNMENT_TYPE_USER_DEREGISTRATION);
    pass(s, 10);
    assert_int_equal(s->as[1].n, 1);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(user_data_is_what_the_subscription_has),
        TEST(filter_criteria_are_those_of_the_server_that_asks),
        TEST(changes_of_filter_criteria_are_told),
        TEST(an_msisdn_stands_for_its_tel_uri),
        TEST(repository_data_follows_its_sequence_number),
        TEST(bad_updates_change_nothing),
        TEST(an_identity_has_data_of_so_many_services),
        TEST(nobody_may_what_is_not_permitted),
        TEST(changes_of_repository_data_are_told),
        TEST(a_notification_survives_a_crash),
        TEST(registration_state_is_told),
        TEST(provisioned_changes_are_told),
        TEST(answers_end_subscriptions_or_are_waited_for),
        TEST(who_is_away_is_told_later_or_given_up),
        TEST(what_else_is_due_is_told_when_an_identity_goes),
        TEST(who_is_not_permitted_any_more_hears_nothing),
        TEST(a_server_name_that_nobody_can_have_is_not_kept),
        TEST(a_subscription_ends_with_its_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
