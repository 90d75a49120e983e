/* Flows that run: the ladder of a registration as a golden file, and how a flow says what is wrong.
 * covers: A4 A5 A6 A7 A8 A10 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "app/flow/run.h"
#include "base/htab.h"

#include <stdio.h>
#include <stdlib.h>

#define HEAD "flow x\ntitle A title\n"

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

static char *file_text(const char *path) {
    char *bytes = calloc(1, 65536);
    FILE *in = fopen(path, "re");
    assert_non_null(in);
    assert_true(fread(bytes, 1, 65535, in) > 0);
    fclose(in);
    return bytes;
}

/* Takes out the times, which are not the standard's. */
static void forget_times(char *text) {
    for (char *line = text, *end; (end = strchr(line, '\n')); line = end + 1) {
        char *unit = strstr(line, " ms");
        if (unit && unit < end) {
            for (char *c = unit - 1; c >= line && strchr("0123456789.", *c); c--) {
                *c = ' ';
            }
            memset(unit, ' ', 3);
        }
    }
}

/* The golden file was read by eye: every message is where TS 24.228 has it. */
static void a_registration_looks_as_the_standard_draws_it(void **state) {
    (void)state;
    struct flow *f = NULL;
    struct flow_report report;
    char *faults = NULL, *message = NULL, *text = NULL;
    size_t n = 0;
    assert_int_equal(flow_load(TEST_SOURCE_DIR "/../../flows/registration.flow", &f, &faults), OK);
    assert_int_equal(flow_run(f, FLOW_SIMULATED, &report, &message), OK);
    if (!report.passed) {
        print_error("%s", report.text);
    }
    assert_true(report.passed);
    FILE *out = open_memstream(&text, &n);
    ladder_write_text(report.ladder, &(struct ladder_style){.width = 132}, out);
    fclose(out);
    forget_times(text);
    const char *save = getenv("MUSTER_WRITE_GOLDEN");
    if (save) {
        out = fopen(save, "we");
        fwrite(text, 1, n, out);
        fclose(out);
    }
    char *golden = file_text(TEST_SOURCE_DIR "/app/registration.golden");
    assert_string_equal(text, golden);
    free(golden);
    free(text);
    flow_report_free(&report);
    flow_free(f);
}

/* Runs a flow that ends badly; what it says must have these words in it. */
static void fails(const char *text, const char *words) {
    struct flow_report report;
    char *message = NULL;
    struct flow *f = parsed(text);
    enum error err = flow_run(f, FLOW_SIMULATED, &report, &message);
    const char *said = err ? message : report.text;
    if (!said || !strstr(said, words)) {
        print_error("%s\nsays: %s\n", text, said ? said : error_name(err));
    }
    assert_true(err || !report.passed);
    assert_non_null(said);
    assert_non_null(strstr(said, words));
    free(message);
    flow_report_free(&report);
    flow_free(f);
}

static void what_is_not_so_is_told(void **state) {
    (void)state;
    fails(HEAD "alice register\nexpect alice refused 403\n",
          "x.flow:4: expect alice refused 403: it is registered");
    fails(HEAD "alice register\nexpect hss sip:alice.mobile not registered\n",
          "it is registered at sip:scscf.");
    fails(HEAD "alice register\nexpect scscf 2 bindings\n", "it is 1 bindings");
    fails(HEAD "alice register\nexpect pcscf 0 registrations\n", "it is 1 registrations");
    fails(HEAD "alice register\nexpect alice expires 1\n", "it is expires 600000");
    fails(HEAD "alice register\nexpect alice associated sip:bob.mobile\n", "sip:alice.mobile@");
    fails(HEAD "alice register\nexpect alice delighted\n", "nobody can say that");
    fails(HEAD "alice register\n  nothing\n", "x.flow:3: alice register: not what was to be seen");
    fails(HEAD "alice register\n  alice pcscf REGISTER\n", "line 3: not expected");
    fails(HEAD "alice register\n  alice pcscf REGISTER  no Contact\n",
          "line 4: no Contact: it is there");
    fails(HEAD "wait 1 s\n  ue:alice pcscf REGISTER\n", "(not seen)");
}

static void what_does_not_exist_is_told(void **state) {
    (void)state;
    fails(HEAD "mallory register\n", "x.flow:3: there is no terminal \"mallory\"");
    fails(HEAD "terminal a nobody\na register\n", "there is no terminal \"a\"");
    fails(HEAD "terminal a alice.smith impu sip:bob.mobile\na register\n",
          "x.flow:3: the card has no sip:bob.mobile@");
    fails(HEAD "crash scscf-9\n", "x.flow:3: crash scscf-9: not found");
    fails(HEAD "start scscf\n", "x.flow:3: start scscf: exists already");
    fails(HEAD "set scscf.colour blue\nalice register\n", "x.flow:3:");
    fails(HEAD "set scscf.expires-min-s many\nalice register\n", "x.flow:3:");
    fails(HEAD "provision POST /subscriptions {}\n", "x.flow:3: the HSS answers 4");
    fails(HEAD "provision GET /nowhere/$else\n", "nothing is called $else");
    fails(HEAD "ask as.$domain RTR\n", "ask knows UAR, SAR, LIR, MAR, UDR, PUR and SNR");
    fails(HEAD "crash hss\nexpect hss sip:alice.mobile registered\n", "does not run");
}

static void equal_runs_are_equal(void **state) {
    (void)state;
    char *texts[2] = {NULL, NULL};
    for (int i = 0; i < 2; i++) {
        struct flow_report report;
        char *message = NULL;
        size_t n = 0;
        struct flow *f = parsed(HEAD "alice register\nwait 3 min\nalice deregister\n");
        assert_int_equal(flow_run(f, FLOW_SIMULATED, &report, &message), OK);
        assert_true(report.passed);
        assert_true(report.took_us > 180 * UINT64_C(1000000));
        FILE *out = open_memstream(&texts[i], &n);
        ladder_write_html(report.ladder, out); /* every byte of every message */
        fclose(out);
        flow_report_free(&report);
        flow_free(f);
    }
    assert_string_equal(texts[0], texts[1]);
    free(texts[0]);
    free(texts[1]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_registration_looks_as_the_standard_draws_it),
        cmocka_unit_test(what_is_not_so_is_told),
        cmocka_unit_test(what_does_not_exist_is_told),
        cmocka_unit_test(equal_runs_are_equal),
    };
    hash_seed(1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
