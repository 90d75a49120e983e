/* covers: HA12 A11 A12
 *
 * De-registration races: a terminal has a REGISTER and a de-REGISTER under way at once, each with
 * its own challenge, through a network that delays, reorders and repeats; P-CSCF and terminals
 * subscribe, so that NOTIFYs overtake answers. Whatever overtakes what: the one with the higher
 * CSeq decides, and S-CSCF, P-CSCF and HSS agree on it.
 *
 * $MUSTER_RACES says how many; the default is what a test run has time for under sanitizers. */
#include "app/network.h"
#include "node/hss/hss.h"
#include "node/pcscf/pcscf.h"
#include "node/scscf/scscf.h"
#include "script.h"

#include <stdio.h>

enum { USERS = 25, RACES = 10000, ENDINGS = 1000, ID = 96 };

#define K   "465b5ce8b199b49faa5f0a2ee238a6bc"
#define OPC "cd63cb71954a9f4e48a5994e37a02baf"

/* One REGISTER's second half: the answer to its challenge. */
struct move {
    bool leaves;
    unsigned cseq;
    char nonce[128];
    char text[2048]; /* the request */
    size_t n;
    unsigned status;
};

struct racer {
    struct world *world;
    struct peer peer;
    struct addr at;
    char name[16], impi[ID], impu[ID];
    unsigned cseq;
    struct move moves[2];
};

struct world {
    struct sim *sim;
    struct config config;
    struct network *network;
    struct addr pcscf;
    struct aka_key key;
    struct milenage milenage;
    struct racer racers[USERS];
    unsigned web_status, branch;
    enum hss_registration seen;
    /* what happened */
    unsigned overtaken, refused, crossed, stayed, left;
};

static struct world world;

static void on_web(void *ctx, const struct web_answer *answer) {
    ((struct world *)ctx)->web_status = answer->status;
}

static void pass(struct world *w, uint64_t us) {
    sim_run_until(w->sim, sim_now_us(w->sim) + us);
}

/* A request to the HSS's provisioning, whose answer comes later. */
static void ask_web(struct world *w, const char *method, const char *path, struct span body) {
    const struct web_request request = {.method = span_from_cstr(method),
                                        .path = span_from_cstr(path),
                                        .content_type =
                                            body.n ? SPAN("application/json") : SPAN_NONE,
                                        .body = body};
    network_web(w->network, &request, on_web, w);
}

static void provision(struct world *w) {
    for (unsigned i = 0; i < USERS; i++) {
        char one[512];
        struct buf o = buf_init(one, sizeof one);
        buf_printf(&o,
                   "{\"name\": \"u%u\", \"impis\": [{\"identity\": \"u%u@" HOME "\", \"k\": \"" K
                   "\", \"opc\": \"" OPC "\"}], \"impus\": [{\"identity\": \"sip:u%u@" HOME
                   "\", \"default\": true}]}",
                   i, i, i);
        ask_web(w, "POST", "/subscriptions", buf_span(&o));
        pass(w, 20 * MS_IN_US);
        assert_int_equal(w->web_status, 201);
    }
}

static void make_racer(struct world *w, unsigned i) {
    struct racer *r = &w->racers[i];
    r->world = w;
    r->at = addr_v4(127, 0, 2, (uint8_t)(i + 1), 5070);
    snprintf(r->name, sizeof r->name, "ue-%u", i);
    snprintf(r->impi, sizeof r->impi, "u%u@" HOME, i);
    snprintf(r->impu, sizeof r->impu, "sip:u%u@" HOME, i);
    peer_open(&r->peer, w->sim, r->name, r->at);
}

static int set_up(void **state) {
    struct world *w = &world;
    char *message = NULL;
    *w = (struct world){0};
    assert_int_equal(sim_new(12, &w->sim), OK);
    assert_int_equal(config_load(NULL, &w->config, &message), OK);

    w->config.n_subscribers = 0;
    const struct network_options options = {.sim = w->sim, .memory_store = true};
    assert_int_equal(network_new(&w->config, &options, &w->network, &message), OK);
    pass(w, 5 * SEC_IN_US);
    network_set_log_level(w->network, LOG_ERROR);
    assert_true(network_is_ready(w->network));
    assert_int_equal(milenage_init(&w->milenage), OK);
    assert_true(span_to_bytes(SPAN(K), w->key.k, 16));
    assert_true(span_to_bytes(SPAN(OPC), w->key.opc, 16));
    w->pcscf = *pcscf_address(network_pcscf(w->network, SPAN_NONE));
    provision(w);
    for (unsigned i = 0; i < USERS; i++) {
        make_racer(w, i);
    }
    *state = w;
    return 0;
}

static int tear_down(void **state) {
    struct world *w = (struct world *)*state;
    for (unsigned i = 0; i < USERS; i++) {
        peer_close(&w->racers[i].peer);
    }
    milenage_free(&w->milenage);
    network_free(w->network);
    config_free(&w->config);
    sim_free(w->sim);
    return 0;
}

/* Writes a REGISTER; without a nonce it asks for a challenge. */
static void write_register(struct racer *r, struct move *m, unsigned cseq) {
    struct buf b = buf_init(m->text, sizeof m->text);
    buf_printf(&b,
               "REGISTER sip:" HOME " SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.2.%u:5070;branch=z9hG4bK%u;"
               "rport\r\nMax-Forwards: 70\r\nFrom: <%s>;tag=t\r\nTo: <%s>\r\nCall-ID: %s\r\n",
               r->at.ip[3], ++r->world->branch, r->impu, r->impu, r->name);
    buf_printf(&b, "CSeq: %u REGISTER\r\nContact: <sip:%s@127.0.2.%u:5070>;expires=%u\r\n", cseq,
               r->name, r->at.ip[3], m->leaves ? 0 : 3600);
    buf_printf(&b,
               "Authorization: Digest username=\"%s\", realm=\"" HOME "\", uri=\"sip:" HOME "\", ",
               r->impi);
    if (m->nonce[0]) {
        uint8_t rand[16], autn[16];
        struct aka_answer aka;
        assert_int_equal(nonce_parse(span_from_cstr(m->nonce), rand, autn), OK);
        assert_int_equal(aka_challenge_check(&r->world->milenage, &r->world->key, rand, autn, &aka),
                         OK);
        buf_printf(&b,
                   "nonce=\"%s\", response=\"%s\", algorithm=AKAv1-MD5, qop=auth, cnonce=\"c\", "
                   "nc=00000001\r\n",
                   m->nonce, script_response(r->impi, m->nonce, aka.res, aka.res_n));
    } else {
        buf_cstr(&b, "nonce=\"\", response=\"\", algorithm=AKAv1-MD5\r\n");
    }
    buf_cstr(&b, "Supported: path\r\nContent-Length: 0\r\n\r\n");
    assert_false(b.overflow);
    m->n = b.n;
}

static void send_move(struct racer *r, struct move *m) {
    peer_send(&r->peer, r->world->pcscf, span_of(m->text, m->n));
}

static void send_later(void *ctx) {
    struct racer *r = (struct racer *)ctx;
    send_move(r, &r->moves[1]);
}

static void send_again(void *ctx) { /* as timers do */
    struct racer *r = (struct racer *)ctx;
    for (size_t i = 0; i < COUNT_OF(r->moves); i++) {
        if (r->moves[i].status < 200) {
            send_move(r, &r->moves[i]);
        }
    }
}

/* What was heard: statuses by CSeq, nonces of challenges. */
static void listen(struct racer *r) {
    for (size_t i = 0; i < r->peer.n; i++) {
        const struct sip_msg *m = r->peer.heard[i].msg;
        assert_non_null(m);
        for (size_t k = 0; !m->is_request && k < COUNT_OF(r->moves); k++) {
            struct move *move = &r->moves[k];
            struct sip_auth auth;
            if (m->cseq != move->cseq || m->status < 200) {
                continue;
            }
            move->status = m->status;
            if (m->status == 401 &&
                sip_auth_parse(sip_value(m, SIP_H_WWW_AUTHENTICATE), &auth) == OK) {
                assert_true(span_to_cstr(auth.nonce, move->nonce, sizeof move->nonce));
            }
        }
    }
    r->peer.n = 0;
    arena_release(&r->peer.arena);
    r->peer.arena = arena_init(r->peer.env->chunks);
}

/* One whole registration for each, so that there is something to leave. */
static void enrol_all(struct world *w) {
    for (unsigned half = 0; half < 2; half++) {
        for (unsigned i = 0; i < USERS; i++) {
            struct racer *r = &w->racers[i];
            if (half == 0) {
                r->moves[0] = r->moves[1] = (struct move){0};
            }
            r->moves[0].status = 0;
            r->moves[0].cseq = ++r->cseq;
            write_register(r, &r->moves[0], r->cseq);
            send_move(r, &r->moves[0]);
        }
        pass(w, 100 * MS_IN_US);
        for (unsigned i = 0; i < USERS; i++) {
            listen(&w->racers[i]);
            assert_int_equal(w->racers[i].moves[0].status, half ? 200 : 401);
        }
    }
}

/* Both ask for challenges; then their answers race. */
static void begin(struct racer *r) {
    struct world *w = r->world;
    bool leaves_first = sim_random(w->sim) & 1;
    for (size_t i = 0; i < COUNT_OF(r->moves); i++) {
        r->moves[i] = (struct move){.leaves = (i == 0) == leaves_first, .cseq = ++r->cseq};
        write_register(r, &r->moves[i], r->cseq);
        send_move(r, &r->moves[i]);
    }
}

static void race(struct racer *r) {
    struct world *w = r->world;
    bool swapped = sim_random(w->sim) & 1; /* the one that is sent first has the higher CSeq */
    listen(r);
    for (size_t i = 0; i < COUNT_OF(r->moves); i++) {
        assert_int_equal(r->moves[i].status, 401);
        r->moves[i].status = 0;
        r->moves[i].cseq = r->cseq + (swapped ? 2 - (unsigned)i : 1 + (unsigned)i);
        write_register(r, &r->moves[i], r->moves[i].cseq);
    }
    r->cseq += 2;
    send_move(r, &r->moves[0]);
    uint64_t at = sim_now_us(w->sim) + sim_random_below(w->sim, 8000);
    assert_int_equal(sim_at(w->sim, at, send_later, r), OK);
}

static void on_seen(void *ctx, enum hss_registration state, struct span scscf) {
    (void)scscf;
    ((struct world *)ctx)->seen = state;
}

static void count_binding(void *ctx, const struct scscf_binding_view *view) {
    (void)view;
    ++*(size_t *)ctx;
}

struct at_pcscf {
    struct span impu;
    size_t n;
};

static void count_registration(void *ctx, const struct pcscf_registration_view *view) {
    struct at_pcscf *c = (struct at_pcscf *)ctx;
    c->n += span_eq(view->impu, c->impu);
}

/* The last one decides, unless it was refused; then the other. */
static void judge(struct racer *r) {
    struct world *w = r->world;
    const struct move *a = &r->moves[0], *b = &r->moves[1];
    const struct move *last = a->cseq > b->cseq ? a : b, *other = last == a ? b : a;
    struct span impu = span_from_cstr(r->impu);
    size_t bindings = 0;
    struct at_pcscf at = {.impu = impu};
    w->refused += other->status != 200;
    w->overtaken += last == a;
    if (last->status != 200) { /* it was told so, and comes again */
        w->crossed++;
        last = other;
        assert_int_equal(last->status, 200);
    }
    w->stayed += !last->leaves;
    w->left += last->leaves;
    scscf_each_binding_of(network_scscf(w->network, SPAN_NONE), impu, count_binding, &bindings);
    pcscf_each_registration(network_pcscf(w->network, SPAN_NONE), count_registration, &at);
    w->seen = HSS_UNKNOWN;
    hss_inspect(network_hss(w->network, SPAN_NONE), impu, on_seen, w);
    pass(w, MS_IN_US);
    size_t wanted = last->leaves ? 0 : 1;
    bool agreed = bindings == wanted && at.n == wanted &&
                  w->seen == (wanted ? HSS_REGISTERED : HSS_NOT_REGISTERED);
    if (!agreed) {
        fail_msg(
            "%s after %u races: CSeq %u %s: %u, CSeq %u %s: %u; S-CSCF %zu, P-CSCF %zu, HSS %d",
            r->impu, w->stayed + w->left, a->cseq, a->leaves ? "leaves" : "stays", a->status,
            b->cseq, b->leaves ? "leaves" : "stays", b->status, bindings, at.n, (int)w->seen);
    }
}

static void races(struct world *w, unsigned n) {
    const struct sim_faults calm = {.delay_us = 100};
    const struct sim_faults rough = {.delay_us = 500, .jitter_us = 6000, .duplicate_ppm = 100000};
    for (unsigned done = 0; done < n; done += USERS) {
        assert_int_equal(sim_set_faults(w->sim, "*", "*", &calm), OK);
        enrol_all(w);
        for (unsigned i = 0; i < USERS; i++) {
            begin(&w->racers[i]);
        }
        pass(w, 100 * MS_IN_US);
        assert_int_equal(sim_set_faults(w->sim, "*", "*", &rough), OK);
        for (unsigned i = 0; i < USERS; i++) {
            race(&w->racers[i]);
        }
        pass(w, 450 * MS_IN_US);
        assert_int_equal(sim_set_faults(w->sim, "*", "*", &calm), OK);
        for (unsigned i = 0; i < USERS; i++) {
            listen(&w->racers[i]);
            send_again(&w->racers[i]);
        }
        pass(w, 2 * SEC_IN_US);
        for (unsigned i = 0; i < USERS; i++) {
            listen(&w->racers[i]);
            judge(&w->racers[i]);
        }
    }
}

static void the_last_cseq_decides(void **state) {
    struct world *w = (struct world *)*state;
    const char *text = getenv("MUSTER_RACES");
    uint32_t n = RACES;
    if (text) {
        assert_true(span_to_u32(span_from_cstr(text), 10000000, &n));
    }
    races(w, n);
    print_message("%u races: %u stayed, %u left; the later one was sent first in %u; %u of the "
                  "earlier ones were refused, %u of the later ones\n",
                  n, w->stayed, w->left, w->overtaken, w->refused, w->crossed);
    assert_int_equal(w->crossed, 0);
    assert_true(w->stayed > n / 4 && w->left > n / 4 && w->overtaken > n / 4);
}

static void delete_subscription(void *ctx) {
    struct racer *r = (struct racer *)ctx;
    char path[64];
    snprintf(path, sizeof path, "/subscriptions/u%s", r->name + 3);
    ask_web(r->world, "DELETE", path, SPAN_NONE);
}

/* The operator deletes the subscription while a REGISTER of it is somewhere on its way: nobody
 * keeps anything of it. */
static void an_rtr_during_a_register_leaves_nothing_behind(void **state) {
    struct world *w = (struct world *)*state;
    const struct sim_faults calm = {.delay_us = 100};
    const struct sim_faults rough = {.delay_us = 500, .jitter_us = 6000, .duplicate_ppm = 100000};
    unsigned granted = 0;
    for (unsigned done = 0; done < ENDINGS; done += USERS) {
        assert_int_equal(sim_set_faults(w->sim, "*", "*", &calm), OK);
        enrol_all(w);
        for (unsigned i = 0; i < USERS; i++) {
            begin(&w->racers[i]);
        }
        pass(w, 100 * MS_IN_US);
        assert_int_equal(sim_set_faults(w->sim, "*", "*", &rough), OK);
        for (unsigned i = 0; i < USERS; i++) {
            struct racer *r = &w->racers[i];
            listen(r);
            r->moves[0].leaves = r->moves[1].leaves = false;
            race(r);
            uint64_t at = sim_now_us(w->sim) + sim_random_below(w->sim, 40000);
            assert_int_equal(sim_at(w->sim, at, delete_subscription, r), OK);
        }
        pass(w, 450 * MS_IN_US);
        assert_int_equal(sim_set_faults(w->sim, "*", "*", &calm), OK);
        pass(w, 3 * SEC_IN_US);
        for (unsigned i = 0; i < USERS; i++) {
            struct racer *r = &w->racers[i];
            listen(r);
            granted += r->moves[0].status == 200;
            size_t bindings = 0;
            struct at_pcscf at = {.impu = span_from_cstr(r->impu)};
            scscf_each_binding_of(network_scscf(w->network, SPAN_NONE), at.impu, count_binding,
                                  &bindings);
            pcscf_each_registration(network_pcscf(w->network, SPAN_NONE), count_registration, &at);
            if (bindings || at.n) {
                fail_msg("%s, after %u: answered %u and %u; S-CSCF %zu, P-CSCF %zu", r->impu, done,
                         r->moves[0].status, r->moves[1].status, bindings, at.n);
            }
        }
        provision(w);
    }
    print_message("%u deletions, %u behind a 200\n", (unsigned)ENDINGS, granted);
    assert_true(granted > ENDINGS / 10 && granted < ENDINGS);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_last_cseq_decides, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_rtr_during_a_register_leaves_nothing_behind, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
