/* covers: HA4 HF1
 * An HSS with its store on disk, killed with SIGKILL again and again while two S-CSCFs ask it for
 * vectors and assign themselves, many requests for a subscription at a time. The HSS is this same
 * program, started anew as a process of its own. */
#include "bench.h"
#include "model/aka/sqn.h"
#include "rt/loop.h"
#include "store/lmdb.h"

#include <ftw.h>
#include <signal.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    SUBSCRIBERS = 16,
    ITEMS = 5,        /* vectors that a MAR asks for */
    WINDOW = 96,      /* requests under way */
    KILLS = 20,       /* lives of the HSS, each but the last ended by SIGKILL */
    ANSWERS = 1500,   /* in a life, at the least; its end comes some random answers later */
    SEQ_MAX = 1 << 18 /* of a subscriber, here */
};

static const char *const hosts[] = {"scscf." HOME, "scscf-2." HOME};
static const char *const names[] = {SCSCF_1, SCSCF_2};
static const uint64_t patience_us = 30 * SEC_IN_US;

static struct addr listen_at(void) {
    return addr_v4(127, 0, 77, 1, 3868);
}

/* The process that is killed. */

static void note_web(void *ctx, const struct web_answer *answer) {
    *(unsigned *)ctx = answer->status;
}

static bool web_came(void *ctx) {
    return *(unsigned *)ctx != 0;
}

static void add_subscriber(struct loop *loop, struct hss *hss, unsigned i) {
    char body[256];
    unsigned status = 0;
    struct web_request r = {.method = SPAN("POST"),
                            .path = SPAN("/subscriptions/sim"),
                            .content_type = SPAN("application/json")};
    snprintf(body, sizeof body,
             "{\"imsi\":\"0010100000000%02u\",\"k\":\"" K_HEX "\",\"opc\":\"" OPC_HEX "\"}", i);
    r.body = span_from_cstr(body);
    hss_web(hss, &r, note_web, &status);
    if (!loop_run_until(loop, web_came, &status, loop_now_us(loop) + patience_us) ||
        status != 201) {
        _exit(3);
    }
}

/* Role "provision": adds the subscribers and ends. Else runs until the end that comes from outside.
 */
static int run_hss(const char *role, const char *folder) {
    struct hss_peer peers[COUNT_OF(hosts)];
    struct hss_config config = {.host = SPAN("hss." HOME),
                                .realm = SPAN(HOME),
                                .home_domain = SPAN(HOME),
                                .listen = listen_at(),
                                .peers = peers,
                                .n_peers = COUNT_OF(peers)};
    struct store_lmdb_config store_config = {.path = folder, .map_size = 1 << 26};
    char message[256];
    struct loop *loop;
    struct env *env;
    struct store *store;
    struct hss *hss;

    for (size_t i = 0; i < COUNT_OF(hosts); i++) {
        peers[i] = (struct hss_peer){.host = span_from_cstr(hosts[i]), .roles = HSS_PEER_SCSCF};
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* nor does it outlive a test that failed */
    if (loop_new(&loop) != OK || loop_env_new(loop, "hss", &env) != OK ||
        store_lmdb_open(loop, &store_config, message, sizeof message, &store) != OK) {
        return 2;
    }
    env->log.level = LOG_ERROR;
    if (hss_new(env, &config, store, &hss) != OK) {
        return 2;
    }
    if (strcmp(role, "serve") == 0) {
        loop_run(loop);
        return 2;
    }
    for (unsigned i = 0; i < SUBSCRIBERS; i++) {
        add_subscriber(loop, hss, i);
    }
    hss_free(hss);
    store_free(store);
    env_close(env);
    loop_free(loop);
    return 0;
}

/* Those who ask. */

struct request {
    struct world *w;
    unsigned subscriber, scscf;
    bool assigns; /* SAR; else MAR */
    bool under_way;
};

struct world {
    struct loop *loop;
    struct client clients[COUNT_OF(hosts)];
    struct chunk_pool pool;
    struct arena arena;
    struct milenage milenage;
    struct aka_key key;
    struct request requests[WINDOW];
    uint8_t seen[SUBSCRIBERS][SEQ_MAX / 8]; /* a bit for each SEQ */
    int serves[SUBSCRIBERS]; /* the S-CSCF that was told that it does; -1: nobody was */
    bool taking;             /* requests go out */
    unsigned answers, wanted, under_way;
    unsigned vectors, failed, assigned, checked;
    pid_t hss;
};

static void impi_of(unsigned subscriber, char text[128]) {
    snprintf(text, 128, "0010100000000%02u@" HOME, subscriber);
}

static void take_vectors(struct request *rq, const struct diameter_msg *msg) {
    struct world *w = rq->w;
    struct cx_maa maa;
    struct diameter_fault fault;

    assert_int_equal(cx_maa_decode(&w->arena, msg, &maa, &fault), OK);
    assert_int_equal(maa.n_sip_auth_data_item, ITEMS);
    for (size_t i = 0; i < maa.n_sip_auth_data_item; i++) {
        const uint8_t *rand = (const uint8_t *)maa.sip_auth_data_item[i].sip_authenticate.p;
        struct aka_answer answer;
        assert_int_equal(aka_challenge_check(&w->milenage, &w->key, rand, rand + 16, &answer), OK);
        uint64_t seq = sqn_seq(answer.sqn);
        assert_true(seq < SEQ_MAX);
        uint8_t *place = &w->seen[rq->subscriber][seq / 8], bit = (uint8_t)(1 << seq % 8);
        assert_false(*place & bit);
        *place |= bit;
        w->vectors++;
    }
    arena_release(&w->arena);
    w->arena = arena_init(&w->pool);
}

static uint64_t random_number(struct world *w) {
    uint64_t number;
    env_random(w->clients[0].env, &number, sizeof number);
    return number;
}

static void send_one(struct request *rq);

static void over(struct request *rq) {
    struct world *w = rq->w;
    rq->under_way = false;
    w->under_way--;
    if (w->taking) {
        send_one(rq);
    }
}

static void on_answer(void *ctx, const struct diameter_msg *msg) {
    struct request *rq = ctx;
    struct world *w = rq->w;

    w->answers++;
    if (msg->result.code != DIAMETER_SUCCESS) {
        fail_msg("%s: %u", rq->assigns ? "SAR" : "MAR", msg->result.code);
    } else if (rq->assigns) {
        w->serves[rq->subscriber] = (int)rq->scscf;
        w->assigned++;
    } else {
        take_vectors(rq, msg);
    }
    over(rq);
}

static void on_failure(void *ctx, enum error why) {
    struct request *rq = ctx;
    (void)why;
    rq->w->failed++;
    rq->w->taking = false;
    over(rq);
}

static const struct diameter_answer_handler handler = {on_answer, on_failure};

static void put_mar(struct request *rq, const char *impi, const char *impu) {
    struct cx_mar mar = {
        .user_name = span_from_cstr(impi),
        .public_identity = span_from_cstr(impu),
        .sip_auth_data_item = {.sip_authentication_scheme = SPAN("Digest-AKAv1-MD5")},
        .sip_number_auth_items = ITEMS,
        .server_name = span_from_cstr(names[rq->scscf])};
    cx_mar_encode(bench_begin(&rq->w->clients[rq->scscf], CX_COMMAND_MULTIMEDIA_AUTH), &mar);
}

static void put_sar(struct request *rq, const char *impi, const char *impu) {
    struct span identity = span_from_cstr(impu);
    struct cx_sar sar = {.user_name = span_from_cstr(impi),
                         .public_identity = &identity,
                         .n_public_identity = 1,
                         .server_name = span_from_cstr(names[rq->scscf]),
                         .server_assignment_type = CX_SERVER_ASSIGNMENT_TYPE_REGISTRATION};
    cx_sar_encode(bench_begin(&rq->w->clients[rq->scscf], CX_COMMAND_SERVER_ASSIGNMENT), &sar);
}

/* The subscribers with even numbers are assigned, by the first S-CSCF, and no vector is taken for
 * them, since a MAR may name another S-CSCF; those with odd ones get vectors, from both. */
static void send_one(struct request *rq) {
    struct world *w = rq->w;
    char impi[128], impu[160];
    uint64_t random = random_number(w);

    rq->subscriber = (unsigned)(random % SUBSCRIBERS);
    rq->assigns = rq->subscriber % 2 == 0;
    rq->scscf = rq->assigns ? 0 : (unsigned)(random >> 32) % 2;
    impi_of(rq->subscriber, impi);
    snprintf(impu, sizeof impu, "sip:%s", impi);
    if (rq->assigns) {
        put_sar(rq, impi, impu);
    } else {
        put_mar(rq, impi, impu);
    }
    rq->under_way = true;
    w->under_way++;
    if (diameter_request_send(w->clients[rq->scscf].d, &handler, rq, NULL) != OK) {
        rq->under_way = false;
        w->under_way--;
    }
}

static void connect_client(struct world *w, size_t i) {
    struct client *c = &w->clients[i];
    assert_int_equal(loop_env_new(w->loop, names[i], &c->env), OK);
    c->env->log.level = LOG_ERROR + 1;
    c->peer = (struct diameter_peer_config){
        .host = SPAN("hss." HOME), .address = listen_at(), .connect = true};
    c->config = (struct diameter_config){.host = span_from_cstr(hosts[i]),
                                         .realm = SPAN(HOME),
                                         .applications = &bench_cx,
                                         .n_applications = 1,
                                         .peers = &c->peer,
                                         .n_peers = 1,
                                         .reconnect_min_us = 10 * MS_IN_US,
                                         .reconnect_max_us = 20 * MS_IN_US};
    assert_int_equal(diameter_new(c->env, &c->config, &bench_client, c, &c->d), OK);
}

static void start_hss(struct world *w, const char *does, char *folder) {
    char program[] = "test_kill", role[16], *nothing[] = {NULL};
    char *arguments[] = {program, role, folder, NULL};
    snprintf(role, sizeof role, "%s", does);
    assert_int_equal(posix_spawn(&w->hss, "/proc/self/exe", NULL, NULL, arguments, nothing), 0);
}

static void provision(struct world *w, char *folder) {
    int status;
    start_hss(w, "provision", folder);
    assert_int_equal(waitpid(w->hss, &status, 0), w->hss);
    assert_int_equal(status, 0);
}

static void kill_hss(struct world *w) {
    int status;
    assert_int_equal(kill(w->hss, SIGKILL), 0);
    assert_int_equal(waitpid(w->hss, &status, 0), w->hss);
    assert_true(WIFSIGNALED(status)); /* and not by a fault of its own */
}

static bool all_up(void *ctx) {
    const struct world *w = ctx;
    return w->clients[0].up && w->clients[1].up;
}

/* Else the next life would seem to have begun before it has. */
static bool all_down(void *ctx) {
    const struct world *w = ctx;
    return !w->clients[0].up && !w->clients[1].up;
}

static bool enough(void *ctx) {
    const struct world *w = ctx;
    return w->answers >= w->wanted || (!w->taking && w->under_way == 0);
}

static bool quiet(void *ctx) {
    return ((struct world *)ctx)->under_way == 0;
}

static void note_location(void *ctx, const struct diameter_msg *msg) {
    struct world *w = ctx;
    struct diameter_fault fault;
    struct cx_lia lia;
    assert_int_equal(msg->result.code, DIAMETER_SUCCESS);
    assert_int_equal(cx_lia_decode(&w->arena, msg, &lia, &fault), OK);
    assert_true(span_eq(lia.server_name, SPAN(SCSCF_1)));
    w->checked++;
    w->under_way--;
}

static void note_no_location(void *ctx, enum error why) {
    (void)ctx;
    fail_msg("LIR: %s", error_text(why));
}

static const struct diameter_answer_handler location_handler = {note_location, note_no_location};

/* What was answered before the kill holds after it. */
static void check_assignments(struct world *w) {
    for (unsigned i = 0; i < SUBSCRIBERS; i++) {
        char impi[128], impu[160];
        if (w->serves[i] < 0) {
            continue;
        }
        impi_of(i, impi);
        snprintf(impu, sizeof impu, "sip:%s", impi);
        struct cx_lir lir = {.public_identity = span_from_cstr(impu)};
        cx_lir_encode(bench_begin(&w->clients[0], CX_COMMAND_LOCATION_INFO), &lir);
        w->under_way++;
        assert_int_equal(diameter_request_send(w->clients[0].d, &location_handler, w, NULL), OK);
    }
    assert_true(loop_run_until(w->loop, quiet, w, loop_now_us(w->loop) + patience_us));
}

static void live_and_die(struct world *w, char *folder) {
    start_hss(w, "serve", folder);
    assert_true(loop_run_until(w->loop, all_up, w, loop_now_us(w->loop) + patience_us));
    check_assignments(w);
    w->wanted = w->answers + ANSWERS + (unsigned)(random_number(w) % 400);
    w->taking = true;
    for (size_t i = 0; i < WINDOW; i++) {
        send_one(&w->requests[i]);
    }
    assert_true(loop_run_until(w->loop, enough, w, loop_now_us(w->loop) + patience_us));
    kill_hss(w);
    w->taking = false;
    assert_true(loop_run_until(w->loop, all_down, w, loop_now_us(w->loop) + patience_us));
    assert_true(loop_run_until(w->loop, quiet, w, loop_now_us(w->loop) + patience_us));
}

static int remove_entry(const char *path, const struct stat *st, int kind, struct FTW *walk) {
    (void)st;
    (void)kind;
    (void)walk;
    return remove(path);
}

static void killed_again_and_again_it_repeats_nothing_and_forgets_nothing(void **state) {
    (void)state;
    char folder[] = "/tmp/muster-kill-XXXXXX";
    struct world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    assert_non_null(mkdtemp(folder));
    chunk_pool_init(&w->pool, 8192, 8);
    w->arena = arena_init(&w->pool);
    w->key = bench_key();
    assert_int_equal(milenage_init(&w->milenage), OK);
    assert_int_equal(loop_new(&w->loop), OK);
    for (size_t i = 0; i < SUBSCRIBERS; i++) {
        w->serves[i] = -1;
    }
    for (size_t i = 0; i < WINDOW; i++) {
        w->requests[i].w = w;
    }
    provision(w, folder);
    for (size_t i = 0; i < COUNT_OF(hosts); i++) {
        connect_client(w, i);
    }
    for (unsigned life = 0; life < KILLS; life++) {
        live_and_die(w, folder);
    }
    print_message("%u kills: %u vectors, none twice; %u assignments acknowledged, %u times found "
                  "again; %u requests failed\n",
                  KILLS, w->vectors, w->assigned, w->checked, w->failed);
    assert_true(w->vectors > KILLS * ANSWERS / 2 * ITEMS / 2);
    assert_true(w->checked >= (KILLS - 1) * SUBSCRIBERS / 2);
    assert_true(w->failed > 0);
    for (size_t i = 0; i < COUNT_OF(hosts); i++) {
        diameter_free(w->clients[i].d);
        env_close(w->clients[i].env);
    }
    loop_free(w->loop);
    milenage_free(&w->milenage);
    arena_release(&w->arena);
    chunk_pool_free(&w->pool);
    free(w);
    assert_int_equal(nftw(folder, remove_entry, 8, FTW_DEPTH | FTW_PHYS), 0);
}

int main(int n_arguments, char **arguments) {
    if (n_arguments == 3) {
        return run_hss(arguments[1], arguments[2]);
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(killed_again_and_again_it_repeats_nothing_and_forgets_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
