/* Base64 with the alphabet of RFC 4648 section 4, strictly: whole groups, padding where it is due,
 * unused bits zero, nothing else in between. So each sequence of bytes has exactly one text. */
#ifndef MUSTER_CRYPTO_BASE64_H
#define MUSTER_CRYPTO_BASE64_H

#include "base/buf.h"
#include "base/error.h"

/** Characters that n bytes become, padding included. */
#define BASE64_SIZE(n) (((n) + 2) / 3 * 4)

/** Appends n bytes as base64. */
void base64_put(struct buf *out, const void *p, size_t n);

/** Reads a whole text into out, which has room for cap bytes, and says in *n how many there were.
 * ERR_MALFORMED: not strict base64; ERR_TOO_BIG: more than cap bytes. After an error out may hold
 * anything and *n is untouched. */
MUST_CHECK enum error base64_decode(struct span text, uint8_t *out, size_t cap, size_t *n);

#endif
