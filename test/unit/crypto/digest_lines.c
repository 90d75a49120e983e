/* Digest responses for test_digest_python.py: a line on standard input is hash, qop, and then in
 * hexadecimal user, realm, password, method, URI, nonce, cnonce, body, divided by blanks ("-":
 * empty); nc is 0000002a. A line on standard output is HA1 and response. */
#include "crypto/digest.h"

#include <stdio.h>
#include <string.h>

enum { FIELDS = 8, FIELD_MAX = 1200 };

static bool read_field(struct span hex, char *out, struct span *field) {
    *field = span_of(out, 0);
    if (span_eq(hex, SPAN("-"))) {
        return true;
    }
    field->n = hex.n / 2;
    return hex.n % 2 == 0 && field->n <= FIELD_MAX && span_to_bytes(hex, (uint8_t *)out, field->n);
}

static bool answer(struct digest *d, struct span line) {
    static char bytes[FIELDS][FIELD_MAX];
    struct span field[FIELDS], hash = span_cut(&line, ' '), qop = span_cut(&line, ' ');
    struct digest_hex ha1, response;
    for (size_t i = 0; i < FIELDS; i++) {
        if (!read_field(span_cut(&line, ' '), bytes[i], &field[i])) {
            return false;
        }
    }
    struct digest_request r = {.hash = span_eq(hash, SPAN("sha256")) ? DIGEST_SHA256 : DIGEST_MD5,
                               .method = field[3],
                               .uri = field[4],
                               .nonce = field[5],
                               .nc = SPAN("0000002a"),
                               .cnonce = field[6],
                               .body = field[7]};
    if (!digest_qop_parse(span_eq(qop, SPAN("none")) ? SPAN_NONE : qop, &r.qop) ||
        digest_ha1(d, r.hash, field[0], field[1], field[2], &ha1) != OK ||
        digest_response(d, &ha1, &r, &response) != OK ||
        digest_check(d, &ha1, &r, digest_hex_span(&response)) != OK) {
        return false;
    }
    printf("%.*s %.*s\n", SPAN_ARG(digest_hex_span(&ha1)), SPAN_ARG(digest_hex_span(&response)));
    return true;
}

int main(void) {
    static char line[FIELDS * 2 * FIELD_MAX + 64];
    struct digest d;
    bool good = digest_init(&d) == OK;
    while (good && fgets(line, sizeof line, stdin)) {
        good = answer(&d, span_of(line, strcspn(line, "\n")));
    }
    digest_free(&d);
    return good ? 0 : 1;
}
