/* Making faults, for the files of this folder. */
#ifndef MUSTER_CODEC_DIAMETER_FAULT_H
#define MUSTER_CODEC_DIAMETER_FAULT_H

#include "codec/diameter/diameter.h"

/** Fewest bytes that a value of this type can have. */
size_t diameter_type_size_min(enum diameter_type type);

/** A fault about an AVP that has to be made up: header, and a payload of zeros of the least size.
 */
void diameter_fault_make(struct diameter_fault *f, uint32_t result_code, uint32_t code,
                         uint32_t vendor, uint8_t flags, const char *text);

/** 5014 for the AVP at which an iterator stopped (RFC 6733 7.1.5). */
void diameter_fault_length(struct diameter_fault *f, const struct diameter_iter *it);

#endif
