/* Where a message ends in a stream: RFC 3261 18.3. */
#ifndef MUSTER_CODEC_SIP_FRAME_H
#define MUSTER_CODEC_SIP_FRAME_H

#include "codec/sip/sip.h"

/** How far a message has been looked at while more of it comes; zero at its beginning. */
struct sip_framing {
    size_t scanned; /* bytes in which its header does not end */
};

/** Finds the end of the message that begins at bytes, leading empty lines not allowed. Called again
 * with more bytes of the same message, it goes on where it was, so its cost is linear.
 *
 * OK: *length is that of the message. ERR_INCOMPLETE: more bytes are needed. ERR_MALFORMED: no
 * Content-Length, two that differ, one that is no number or is folded; *length is that of the
 * header, its empty line included. ERR_TOO_BIG: header or whole message are beyond
 * limits->message_max, or the body beyond body_max; *length is that of the header, or n if its end
 * has not been seen. After the latter two nobody knows where the next message begins. */
MUST_CHECK enum error sip_frame(struct sip_framing *framing, const char *bytes, size_t n,
                                const struct sip_limits *limits, size_t *length);

#endif
