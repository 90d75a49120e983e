/* Who may ask what over HTTP: bearer tokens (RFC 6750), of which only hashes are kept. */
#ifndef MUSTER_STACK_HTTP_ACCESS_H
#define MUSTER_STACK_HTTP_ACCESS_H

#include "base/error.h"
#include "base/span.h"

/** What somebody may do; each right includes those before it. */
enum web_right {
    WEB_READ = 1, /* look at what is no secret */
    WEB_WRITE,    /* change subscriptions */
    WEB_ADMIN,    /* take secrets out, reload the configuration */
};

enum { WEB_TOKEN_NAME_MAX = 64, WEB_TOKEN_HASH = 32, WEB_TOKENS_MAX = 256, WEB_TOKEN_TEXT = 48 };

struct web_token {
    char name[WEB_TOKEN_NAME_MAX + 1]; /* who has it: stands in the log, is no secret */
    enum web_right right;
    uint8_t hash[WEB_TOKEN_HASH]; /* SHA-256 of the token */
};

/** "read", "write", "admin". */
const char *web_right_name(enum web_right right);

/** Its reverse; false for other words. */
MUST_CHECK bool web_right_parse(struct span word, enum web_right *out);

/** May a token have this name? Letters, digits, and -._@ inside. */
bool web_token_name_ok(struct span name);

/** The hash of a token. ERR_INTERNAL: the library refused. */
MUST_CHECK enum error web_token_hash(struct span token, uint8_t out[WEB_TOKEN_HASH]);

/** Makes a token of 256 random bits as text ("muster_..."). */
MUST_CHECK enum error web_token_new(char out[WEB_TOKEN_TEXT + 8]);

/** The token that an Authorization field shows ("Bearer TOKEN"); NULL: none of these. Takes the
 * same time for each that it is compared with. */
const struct web_token *web_token_find(const struct web_token *tokens, size_t n,
                                       struct span authorization);

#endif
