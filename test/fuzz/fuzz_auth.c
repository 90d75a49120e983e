/* Fuzzes credentials and challenges of Digest: the header, and what stands in its parameters. What
 * is taken points into the text, and the right response is the only right one. */
#include "codec/sip/headers.h"
#include "crypto/digest.h"
#include "model/aka/nonce.h"
#include "model/registration/algorithm.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void respond(struct digest *d, const struct sip_auth *a, bool sha256) {
    struct digest_request rq = {.hash = sha256 ? DIGEST_SHA256 : DIGEST_MD5,
                                .method = SPAN("REGISTER"),
                                .uri = a->uri,
                                .nonce = a->nonce,
                                .nc = a->nc,
                                .cnonce = a->cnonce};
    struct digest_hex ha1, response;
    if (a->qop.p && !digest_qop_parse(a->qop, &rq.qop) && !digest_qop_choose(a->qop, &rq.qop)) {
        return;
    }
    if (digest_ha1(d, rq.hash, a->username, a->realm, SPAN("password"), &ha1) != OK ||
        digest_response(d, &ha1, &rq, &response) != OK ||
        digest_check(d, &ha1, &rq, digest_hex_span(&response)) != OK) {
        abort();
    }
    response.text[0] = response.text[0] == '0' ? '1' : '0';
    if (digest_check(d, &ha1, &rq, digest_hex_span(&response)) == OK) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct digest d;
    uint8_t rand[16], autn[16], auts[14];
    enum auth_algorithm algorithm;
    struct sip_auth a;
    if (!d.context && digest_init(&d) != OK) {
        abort();
    }
    (void)!sip_auth_info_parse(span_of(data, size), &a);
    if (sip_auth_parse(span_of(data, size), &a) != OK) {
        return 0;
    }
    (void)!nonce_parse(a.nonce, rand, autn);
    (void)!nonce_parse_auts(a.auts, auts);
    if (auth_algorithm_parse(a.algorithm, &algorithm)) {
        respond(&d, &a, auth_algorithm_is_sha256(algorithm));
    }
    return 0;
}
