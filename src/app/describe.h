/* Messages in words, for whoever reads a ladder. */
#ifndef MUSTER_APP_DESCRIBE_H
#define MUSTER_APP_DESCRIBE_H

#include "base/buf.h"
#include "obs/trace.h"

/** Puts a Diameter message into words, an AVP a line, with names from the dictionary; bytes are
 * masked already. False for other protocols and for what is no message. A ladder_describe_fn. */
bool describe_message(void *ctx, enum trace_protocol protocol, struct span bytes, struct buf *out);

#endif
