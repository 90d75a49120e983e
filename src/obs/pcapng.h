/* Writes captures that Wireshark reads: pcapng with raw IP packets, one for each traced message
 * (more for one that outgrows a segment). IP, UDP and TCP headers are made up around the bytes,
 * with correct checksums; a TCP connection opens with its handshake and counts its sequence numbers
 * through. */
#ifndef MUSTER_OBS_PCAPNG_H
#define MUSTER_OBS_PCAPNG_H

#include "obs/trace.h"

#include <stdio.h>

struct pcapng;

/** Begins a capture: writes the section header and one interface. `out` stays the caller's and must
 * outlive the writer. ERR_NO_MEMORY, ERR_IO. */
MUST_CHECK enum error pcapng_new(FILE *out, struct pcapng **result);

/** Says which node stands at an address: a name resolution record. Wireshark takes one name for a
 * host, so nodes that share an address are told apart by the comments of their packets only. */
enum error pcapng_name(struct pcapng *p, const struct addr *a, struct span name);

/** Appends a message, with "from -> to" as the packet's comment. What was told of DNS in words
 * becomes a comment of the next packet. ERR_NO_MEMORY, ERR_IO; ERR_INVALID for addresses of
 * different families or none. */
MUST_CHECK enum error pcapng_message(struct pcapng *p, const struct trace_message *m);

/** Frees the writer and says whether everything was written. NULL is allowed and OK. */
enum error pcapng_free(struct pcapng *p);

/** Writes all that a trace holds into a file. ERR_IO, ERR_PERMISSION, ERR_NO_MEMORY. */
MUST_CHECK enum error pcapng_write_trace(const struct trace *t, const char *path);

#endif
