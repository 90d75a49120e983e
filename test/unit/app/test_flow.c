/* The flow language: what is read, what is refused, and what a ladder is compared with. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "app/flow/match.h"

#include "../obs/sample.h"

#include <stdlib.h>

#define HEAD "flow x\ntitle A title\ncovers A4 A10\n"

static struct flow *parsed(const char *text) {
    struct flow *f = NULL;
    char *faults = NULL;
    enum error err = flow_parse("x.flow", span_from_cstr(text), &f, &faults);
    if (err) {
        print_error("%s", faults ? faults : error_name(err));
    }
    assert_int_equal(err, OK);
    return f;
}

static void a_flow_is_read_whole(void **state) {
    (void)state;
    struct flow *f = parsed(
        "# a comment\n" HEAD "set scscf.expires-min-s 60 # behind\nnode scscf-2\n"
        "terminal tablet alice.smith impu sip:alice.work expires 3600 at pcscf no refresh\n"
        "show dns peers\nonly simulated it takes an hour\n\n"
        "alice register impu sip:x impi y expires 600 with wrong response 3 times, "
        "header \"Require: a, b\", without CSeq, card ahead\n"
        "  ue:alice pcscf REGISTER   no Path; Contact expires > 0; nonce as n1; uri = sip:$domain\n"
        "  | icscf  hss  UAA DIAMETER_FIRST_REGISTRATION   Server-Capabilities; 2 x Via\n"
        "  ? pcscf  ue:alice 401     Authorization without response; "
        "SIP-Auth-Data-Item.SIP-Authentication-Scheme = \"Digest; x\"\n"
        "alice deregister all\n"
        "  nothing\n"
        "wait at most 3 s\n"
        "provision PATCH /a 404 \\\n    {\"a\": 1}\n"
        "ask as.$domain LIR Public-Identity = sip:x\n"
        "expect hss sip:alice.mobile registered at scscf\n"
        "crash hss\nstart hss\nrestart scscf\nalice vanishes\n");
    assert_true(span_eq(f->name, SPAN("x")));
    assert_true(span_eq(f->title, SPAN("A title")));
    assert_int_equal(f->n_covers, 2);
    assert_int_equal(f->n_settings, 2);
    assert_true(span_eq(f->settings[0].value, SPAN("60")));
    assert_true(span_is_empty(f->settings[1].key));
    assert_int_equal(f->terminals[0].expires_s, 3600);
    assert_true(f->terminals[0].no_refresh && f->show_dns && f->show_peers);
    assert_int_equal(f->n_steps, 10);
    const struct flow_step *s = &f->steps[0];
    assert_int_equal(s->action, FLOW_REGISTER);
    assert_true(s->has_expires && s->expires_s == 600);
    assert_int_equal(s->n_faults, 4);
    assert_int_equal(s->faults[0].times, 3);
    assert_true(span_eq(s->faults[1].value, SPAN("a, b")));
    assert_int_equal(s->n_lines, 3);
    const struct flow_line *l = s->lines;
    assert_int_equal(l[0].n_conditions, 4);
    assert_int_equal(l[0].conditions[0].kind, FLOW_ABSENT);
    assert_int_equal(l[0].conditions[1].kind, FLOW_GREATER);
    assert_true(span_eq(l[0].conditions[1].param, SPAN("expires")));
    assert_int_equal(l[0].conditions[2].kind, FLOW_BIND);
    assert_int_equal(l[1].presence, FLOW_UNORDERED);
    assert_true(span_eq(l[1].result, SPAN("DIAMETER_FIRST_REGISTRATION")));
    assert_int_equal(l[1].conditions[1].kind, FLOW_COUNT);
    assert_int_equal(l[2].conditions[0].kind, FLOW_ABSENT);
    assert_true(span_eq(l[2].conditions[1].value, SPAN("Digest; x")));
    assert_true(f->steps[1].all && f->steps[1].compared && f->steps[1].n_lines == 0);
    assert_true(f->steps[2].all && f->steps[2].delay_us == 3000000);
    assert_int_equal(f->steps[3].status, 404);
    assert_true(span_eq(f->steps[3].body, SPAN("{\"a\": 1}")));
    assert_int_equal(f->steps[3].line, 18);
    assert_int_equal(f->steps[4].line, 20);
    assert_int_equal(f->steps[5].n_words, 4);
    flow_free(f);
}

static void faults_name_line_and_remedy(void **state) {
    (void)state;
    static const struct {
        const char *text, *fault;
    } cases[] = {
        {"title x\nalice register\n", "x.flow:1: the heading flow NAME is missing"},
        {HEAD, "x.flow:1: nothing happens in it"},
        {"flow X\ntitle x\nalice register\n", "x.flow:1: a flow's name has small letters"},
        {HEAD "  a b REGISTER\nalice register\n", "x.flow:4: a line of the ladder stands under"},
        {HEAD "alice dances\n", "x.flow:4: \"alice dances\" is neither a heading nor an action"},
        {HEAD "alice register\nset a.b c\n", "x.flow:5: headings stand before"},
        {HEAD "set ab c\nalice register\n", "x.flow:4: set needs a node's setting"},
        {HEAD "alice register\n  a b\n", "x.flow:5: a line of the ladder needs a sender"},
        {HEAD "alice register\n  a b 99\n", "x.flow:5: \"99\" is no SIP status"},
        {HEAD "alice register\n  a b REGISTER no Identty\n", "called \"Identty\""},
        {HEAD "alice register\n  a b REGISTER Via = \n", "x.flow:5: \"Via =\" is no condition"},
        {HEAD "alice register\n  a b REGISTER Expires > x\n", "is no condition"},
        {HEAD "alice register with magic\n", "x.flow:4: \"magic\" is nothing that a terminal does"},
        {HEAD "wait long\nalice register\n", "x.flow:4: wait needs a time"},
        {HEAD "expect alice\nalice register\n", "x.flow:4: expect needs who and what"},
        {HEAD "alice register\nexpect a b\n  a b REGISTER\n", "an expectation has no ladder"},
        {"covers 4A\n" HEAD "alice register\n", "\"4A\" is no requirement"},
        {HEAD "alice register\x01\n", "a control character (0x01)"},
        {HEAD "ask as MAA\n", "ask needs who asks"},
        {HEAD "provision GET x\n", "provision needs a method and a path"},
        {"flow a\n" HEAD "alice register\n", "x.flow:2: a second flow"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct flow *f = NULL;
        char *faults = NULL;
        enum error err = flow_parse("x.flow", span_from_cstr(cases[i].text), &f, &faults);
        if (err != ERR_INVALID || !strstr(faults, cases[i].fault)) {
            print_error("%s\n-> %s", cases[i].text, faults ? faults : "(none)\n");
        }
        assert_int_equal(err, ERR_INVALID);
        assert_non_null(strstr(faults, cases[i].fault));
        free(faults);
    }
}

static void faults_are_bounded(void **state) {
    (void)state;
    char *text = malloc(FLOW_FILE_MAX + 2), *faults = NULL;
    struct flow *f = NULL;
    memset(text, '\n', FLOW_FILE_MAX + 1);
    assert_int_equal(flow_parse("x", span_of(text, FLOW_FILE_MAX + 1), &f, &faults), ERR_INVALID);
    free(faults);
    for (size_t i = 0; i < FLOW_FILE_MAX; i += 2) {
        text[i] = 'x';
    }
    assert_int_equal(flow_parse("x", span_of(text, FLOW_FILE_MAX), &f, &faults), ERR_INVALID);
    assert_non_null(strstr(faults, " more\n"));
    assert_true(strlen(faults) < 16 * 1024);
    free(faults);
    free(text);
}

/* A valid flow with bytes changed, taken away, doubled: a fault or a flow, never a crash. */
static void mangled_flows_are_harmless(void **state) {
    (void)state;
    static const char source[] = HEAD
        "set a.b c\nterminal t x impu y expires 5\nalice register expires 5 with wrong response 2 "
        "times, header \"A: b\"\n  | a b REGISTER  Via; no To; Contact expires > 0; 2 x Via\n"
        "wait at most 3 s\nask x LIR Public-Identity = a; SIP-Auth-Data-Item.User-Name = b\n"
        "provision GET /a 200 {}\nexpect hss x registered at scscf\n";
    uint32_t x = 7;
    for (int round = 0; round < 3000; round++) {
        size_t n = sizeof source - 1;
        char *text = malloc(n + 1);
        memcpy(text, source, n);
        for (int k = 0; k < 3; k++) {
            x = x * 1664525 + 1013904223;
            size_t at = (x >> 8) % n;
            text[at] = " \n\t;=\"$|*x0\xff:{"[x >> 28 & 15 ? (x >> 28) - 1 : 0];
        }
        n -= (x >> 4) % 40;
        struct flow *f = NULL;
        char *faults = NULL;
        char *exact = malloc(n);
        memcpy(exact, text, n);
        enum error err = flow_parse("x", span_of(exact, n), &f, &faults);
        assert_true(err == OK || (err == ERR_INVALID && faults));
        free(exact);
        free(text);
        free(faults);
        flow_free(err == OK ? f : NULL);
    }
}

/* Comparing. */

static void add(void *ctx, const struct trace_message *m) {
    if (m->protocol != TRACE_DNS && !span_eq(m->from_name, SPAN("ue:bob")) &&
        !span_eq(m->to_name, SPAN("ue:bob"))) {
        assert_int_equal(ladder_add(ctx, m), OK);
    }
}

struct compared {
    bool complete;
    char text[8192];
};

static struct compared *compare(const char *lines) {
    char source[4096];
    struct buf b = buf_init(source, sizeof source - 1);
    buf_printf(&b, "%salice register\n%s", HEAD, lines);
    source[b.n] = '\0';
    struct flow *f = parsed(source);
    struct chunk_pool chunks;
    chunk_pool_init(&chunks, 4096, 0);
    struct arena arena = arena_init(&chunks);
    struct flow_vars vars = {.arena = &arena};
    assert_int_equal(flow_vars_set(&vars, SPAN("domain"), SPAN("home")), OK);
    struct flow_match *m = malloc(sizeof *m);
    struct ladder *l = ladder_new();
    samples_each(add, l);
    flow_match_init(m, &f->steps[0], &vars);
    for (size_t i = 0; i < ladder_count(l) && flow_match_take(m, ladder_at(l, i)); i++) {
    }
    struct compared *c = calloc(1, sizeof *c);
    struct buf out = buf_init(c->text, sizeof c->text - 1);
    c->complete = flow_match_is_complete(m);
    flow_match_explain(m, l, 0, &out);
    assert_false(out.overflow);
    ladder_free(l);
    free(m);
    arena_release(&arena);
    chunk_pool_free(&chunks);
    flow_free(f);
    return c;
}

#define FIRST                                                                                      \
    " alice pcscf REGISTER  Authorization without response; no Path; To ~ alice.mobile@$domain; "  \
    "To !~ bob\n"                                                                                  \
    " pcscf icscf REGISTER  Path; icid-value as icid; P-Charging-Vector icid-value = icid-1\n"     \
    " icscf hss UAR User-Authorization-Type REGISTRATION; Session-Id = \"icscf;1\"\n"
#define SECOND                                                                                     \
    " hss icscf UAA 2001  Experimental-Result-Code = 2001; no Server-Name\n"                       \
    " icscf scscf REGISTER  icid-value = $icid\n"                                                  \
    " scscf hss MAR\n hss scscf MAA DIAMETER_SUCCESS\n"                                            \
    " scscf icscf 401\n icscf pcscf 401\n pcscf ue:alice 401 reason ~ Unauth\n"
#define THIRD                                                                                      \
    " alice pcscf REGISTER  Authorization with response; 0 x Via; 1 x Authorization\n"             \
    " pcscf scscf REGISTER\n scscf hss SAR Server-Assignment-Type = REGISTRATION\n"                \
    " hss scscf SAA 2001\n scscf pcscf 200\n pcscf alice 200 Contact expires >= 600000\n"

static void the_right_ladder_is_accepted(void **state) {
    (void)state;
    static const char *const ladders[] = {
        FIRST SECOND THIRD,
        FIRST " ? hss icscf UAA 5001\n" SECOND THIRD,
        FIRST " * icscf hss UAR\n" SECOND THIRD " ? pcscf alice 200\n * pcscf alice 500\n",
        FIRST " | icscf scscf REGISTER\n | hss icscf UAA 2001\n | scscf hss MAR\n"
              " hss scscf MAA\n * scscf icscf 401\n * icscf pcscf 401\n pcscf alice 401\n" THIRD,
    };
    for (size_t i = 0; i < COUNT_OF(ladders); i++) {
        struct compared *c = compare(ladders[i]);
        if (!c->complete) {
            print_error("%s", c->text);
        }
        assert_true(c->complete);
        free(c);
    }
}

static void a_wrong_ladder_is_told_where_and_why(void **state) {
    (void)state;
    static const struct {
        const char *lines, *text;
    } cases[] = {
        {FIRST SECOND, "+ (nothing)"},
        {FIRST SECOND THIRD " pcscf alice 200\n", "- pcscf alice 200"},
        {FIRST " hss icscf UAA 5001\n", "line 8: its result is 2001 DIAMETER_FIRST_REGISTRATION"},
        {" alice pcscf REGISTER  Path\n", "line 5: Path: it is not there"},
        {" alice pcscf REGISTER  To !~ mobile\n", "line 5: To !~ mobile: it is \"<sip:alice"},
        {" alice pcscf REGISTER  no To\n", "line 5: no To: it is there"},
        {" alice pcscf REGISTER  CSeq = 2 REGISTER\n", "CSeq = 2 REGISTER: it is \"1 REGISTER\""},
        {" alice pcscf REGISTER  2 x To\n", "2 x To: there are 1"},
        {" alice pcscf REGISTER  To = $who\n", "nothing is called $who"},
        {" alice pcscf INVITE\n", "! alice pcscf INVITE"},
        {FIRST " | hss icscf UAA 5001\n | a b MAR\n", "line 8: its result is 2001"},
        {" nothing\n", "+ (nothing)"},
        {FIRST SECOND " alice pcscf REGISTER  username != alice.smith@home\n",
         "username != alice.smith@home: it is \"alice.smith@home\""},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct compared *c = compare(cases[i].lines);
        if (c->complete || !strstr(c->text, cases[i].text)) {
            print_error("case %zu\n%s", i, c->text);
        }
        assert_false(c->complete);
        assert_non_null(strstr(c->text, cases[i].text));
        free(c);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_flow_is_read_whole),
        cmocka_unit_test(faults_name_line_and_remedy),
        cmocka_unit_test(faults_are_bounded),
        cmocka_unit_test(mangled_flows_are_harmless),
        cmocka_unit_test(the_right_ladder_is_accepted),
        cmocka_unit_test(a_wrong_ladder_is_told_where_and_why),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
