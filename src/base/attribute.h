/* Contracts that the compiler checks. */
#ifndef MUSTER_BASE_ATTRIBUTE_H
#define MUSTER_BASE_ATTRIBUTE_H

/** The result must be looked at: it is an error, or memory that somebody must free. */
#define MUST_CHECK __attribute__((warn_unused_result))

/** The arguments at positions fmt and first are a printf format and its values. */
#define PRINTF_LIKE(fmt, first) __attribute__((format(printf, fmt, first)))

#define LIKELY(x)   __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)

/** Number of elements of an array (not of a pointer). */
#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/** The structure of TYPE whose member MEMBER is at ptr. */
#define CONTAINER_OF(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

#endif
