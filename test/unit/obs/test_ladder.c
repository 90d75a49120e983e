/* Ladders: what they say and how they are drawn. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "obs/ladder.h"
#include "sample.h"

#include <libxml/parser.h>
#include <stdlib.h>

static void add(void *ctx, const struct trace_message *m) {
    assert_int_equal(ladder_add(ctx, m), OK);
}

static struct ladder *sample_ladder(void) {
    struct ladder *l = ladder_new();
    assert_non_null(l);
    assert_int_equal(ladder_set_title(l, SPAN("A terminal registers <with> IMS-AKA & more")), OK);
    assert_int_equal(ladder_add_note(l, 1000, SPAN("alice register")), OK);
    samples_each(add, l);
    return l;
}

static char *drawn(const struct ladder *l, unsigned width, bool ascii) {
    char *text = NULL;
    size_t n = 0;
    FILE *out = open_memstream(&text, &n);
    ladder_write_text(l, &(struct ladder_style){.width = width, .ascii = ascii}, out);
    fclose(out);
    return text;
}

static void labels_name_method_status_and_result(void **state) {
    (void)state;
    struct ladder *l = sample_ladder();
    static const char *const labels[][2] = {
        {"", ""}, /* the remark */
        {"REGISTER", ""},
        {"NAPTR home?", ""},
        {"NAPTR _sip._udp.home", ""},
        {"REGISTER", ""},
        {"UAR", "registration"},
        {"UAA 2001 first registration", ""},
        {"REGISTER", ""},
        {"MAR", ""},
        {"MAA 2001", ""},
        {"401 Unauthorized", ""},
        {"401 Unauthorized", ""},
        {"401 Unauthorized", ""},
        {"REGISTER", ""},
        {"403 Forbidden", ""},
        {"REGISTER", "response"},
        {"REGISTER", ""},
        {"SAR", "registration"},
        {"SAA 2001", ""},
        {"200 OK", "expires 600000"},
        {"200 OK", "expires 600000"},
    };
    assert_int_equal(ladder_count(l), COUNT_OF(labels));
    for (size_t i = 0; i < COUNT_OF(labels); i++) {
        const struct ladder_arrow *a = ladder_at(l, i);
        assert_true(span_eq(a->label, span_from_cstr(labels[i][0])));
        assert_true(span_eq(a->detail, span_from_cstr(labels[i][1])));
        assert_int_equal(a->failure, i == 14);
    }
    ladder_free(l);
}

static void the_summary_says_what_happened(void **state) {
    (void)state;
    struct ladder *l = sample_ladder();
    char text[512];
    struct buf b = buf_init(text, sizeof text);
    ladder_summary(l, &b);
    buf_char(&b, '\0');
    assert_string_equal(text, "sip:alice.mobile@home is registered for 600000 s, authenticated by "
                              "AKA: 12 SIP and 6 Diameter messages in 1.6 ms.");
    ladder_free(l);
}

static void an_identity_brings_all_that_belongs_to_it(void **state) {
    (void)state;
    static const struct {
        struct ladder_filter filter;
        size_t kept; /* the remark included */
    } cases[] = {
        {{.identity = SPAN_INIT("alice.mobile")}, 19},
        {{.identity = SPAN_INIT("alice.smith@home")}, 19},
        {{.identity = SPAN_INIT("alice")},
         19}, /* alice@127.0.0.1 in the contact, and its Call-ID */
        {{.identity = SPAN_INIT("lice.mobile")}, 1},
        {{.identity = SPAN_INIT("bob")}, 3}, /* bob.mobile */
        {{.identity = SPAN_INIT("bo")}, 1},
        {{.identity = SPAN_INIT("bob.mobile")}, 3},
        {{.call_id = SPAN_INIT("call-2")}, 3},
        {{.session_id = SPAN_INIT("scscf;2")}, 3},
        {{.icid = SPAN_INIT("icid-1")}, 19},
        {{.call_id = SPAN_INIT("call-1@alice")}, 19},
        {{.identity = SPAN_INIT("bob.mobile"), .call_id = SPAN_INIT("call-1@alice")}, 1},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct ladder *l = sample_ladder();
        assert_int_equal(ladder_filter(l, &cases[i].filter), OK);
        if (ladder_count(l) != cases[i].kept) {
            print_error("case %zu: %zu\n", i, ladder_count(l));
        }
        assert_int_equal(ladder_count(l), cases[i].kept);
        ladder_free(l);
    }
}

static void the_text_fits_the_terminal(void **state) {
    (void)state;
    struct ladder *l = sample_ladder();
    for (unsigned width = 84; width <= 200; width += 7) {
        char *text = drawn(l, width, true), *rest = text;
        for (char *line = strsep(&rest, "\n"); line; line = strsep(&rest, "\n")) {
            bool summary = strstr(line, "messages in") != NULL;
            if (strlen(line) > width && !summary) {
                print_error("%u: %s\n", width, line);
            }
            assert_true(summary || strlen(line) <= width);
        }
        free(text);
    }
    ladder_free(l);
}

static void the_text_is_as_it_was_read_by_eye(void **state) {
    (void)state;
    struct ladder *l = sample_ladder();
    char *text = drawn(l, 120, false);
    FILE *golden = fopen(TEST_SOURCE_DIR "/obs/ladder.golden", "re");
    const char *save = getenv("MUSTER_WRITE_GOLDEN");
    if (save) {
        FILE *out = fopen(save, "we");
        assert_non_null(out);
        fputs(text, out);
        fclose(out);
    }
    assert_non_null(golden);
    char expected[16384];
    size_t n = fread(expected, 1, sizeof expected - 1, golden);
    expected[n] = '\0';
    fclose(golden);
    assert_string_equal(text, expected);
    free(text);
    ladder_free(l);
}

static void foreign_bytes_stay_harmless(void **state) {
    (void)state;
    struct ladder *l = ladder_new();
    static const char nasty[] = "REGISTER sip:\x01\x1b[31m<script>alert(1)</script> SIP/2.0\r\n"
                                "Call-ID: ]]>&\"'\xff\xfe\xed\xa0\x80\r\n\r\n\x00\x7f";
    struct trace_message m = {
        .protocol = TRACE_SIP,
        .from_name = SPAN("\x1b[2J<b>\xc3\xa4\xff"),
        .to_name = SPAN("</svg>"),
        .bytes = span_of(nasty, sizeof nasty - 1),
    };
    assert_int_equal(ladder_add(l, &m), OK);
    m.protocol = TRACE_DIAMETER;
    assert_int_equal(ladder_add(l, &m), OK);
    m.bytes = SPAN("SIP/2.0 200 \x1b]0;owned\x07\r\n\r\n");
    m.protocol = TRACE_SIP;
    m.to_name = m.from_name;
    assert_int_equal(ladder_add(l, &m), OK);
    assert_int_equal(ladder_add_note(l, 0, SPAN("a note </text>\x1b[1m")), OK);
    char *text = drawn(l, 90, false);
    assert_null(strchr(text, '\x1b'));
    free(text);
    for (int html = 0; html < 2; html++) {
        size_t n = 0;
        FILE *out = open_memstream(&text, &n);
        (html ? ladder_write_html : ladder_write_svg)(l, out);
        fclose(out);
        assert_null(memchr(text, '\x1b', n));
        assert_null(strstr(text, "<script>alert"));
        free(text);
    }
    ladder_free(l);
}

static void the_drawing_is_well_formed(void **state) {
    (void)state;
    struct ladder *l = sample_ladder();
    char *text = NULL;
    size_t n = 0;
    FILE *out = open_memstream(&text, &n);
    ladder_write_svg(l, out);
    fclose(out);
    xmlDocPtr doc = xmlReadMemory(text, (int)n, "ladder.svg", NULL, XML_PARSE_NONET);
    assert_non_null(doc);
    xmlFreeDoc(doc);
    xmlCleanupParser();
    free(text);
    const char *folder = getenv("MUSTER_WRITE_DRAWINGS");
    if (folder) { /* for the eye */
        static const char *const names[] = {"ladder.svg", "ladder.html", "ladder.txt",
                                            "ladder.pcapng"};
        for (size_t i = 0; i < COUNT_OF(names); i++) {
            char path[512];
            struct buf b = buf_init(path, sizeof path);
            buf_printf(&b, "%s/%s", folder, names[i]);
            buf_char(&b, '\0');
            assert_int_equal(ladder_write_file(l, path), OK);
        }
    }
    ladder_free(l);
}

static void a_file_that_cannot_be_written_is_an_error(void **state) {
    (void)state;
    struct ladder *l = sample_ladder();
    assert_int_equal(ladder_write_file(l, "/nonexistent/ladder.svg"), ERR_NOT_FOUND);
    ladder_free(l);
    l = ladder_new();
    char *text = drawn(l, 0, false);
    assert_string_equal(text, "No message was seen.\n");
    free(text);
    ladder_free(l);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(labels_name_method_status_and_result),
        cmocka_unit_test(the_summary_says_what_happened),
        cmocka_unit_test(an_identity_brings_all_that_belongs_to_it),
        cmocka_unit_test(the_text_fits_the_terminal),
        cmocka_unit_test(the_text_is_as_it_was_read_by_eye),
        cmocka_unit_test(foreign_bytes_stay_harmless),
        cmocka_unit_test(the_drawing_is_well_formed),
        cmocka_unit_test(a_file_that_cannot_be_written_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
