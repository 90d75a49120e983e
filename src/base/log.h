/* The structured log: one event, one line, fields by name.
 *
 *     LOG(env->log, LOG_NOTICE, "registration refused", LOG_SPAN("impi", impi), LOG_U64("status",
 * 403));
 *
 * gives  2026-11-21T00:40:04.123Z notice scscf registration refused impi="alice" status=403
 * Foreign bytes are escaped (buf_escaped), so one event is always one line. Secrets are never
 * logged: no field type takes a key, and callers do not pass credentials. */
#ifndef MUSTER_BASE_LOG_H
#define MUSTER_BASE_LOG_H

#include "base/span.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_NOTICE, LOG_WARNING, LOG_ERROR };

struct log_field {
    const char *name;
    enum { LOG_FIELD_SPAN, LOG_FIELD_U64 } kind;
    union {
        struct span span;
        uint64_t u64;
    };
};

#define LOG_SPAN(field, value)                                                                     \
    ((struct log_field){.name = (field), .kind = LOG_FIELD_SPAN, .span = (value)})
#define LOG_CSTR(field, value) LOG_SPAN(field, span_from_cstr(value))
#define LOG_U64(field, value)                                                                      \
    ((struct log_field){.name = (field), .kind = LOG_FIELD_U64, .u64 = (uint64_t)(value)})

struct log {
    enum log_level level;                       /* less important events are dropped */
    const char *source;                         /* name of the node instance */
    void (*write)(void *ctx, struct span line); /* gets one whole line, newline included */
    int64_t (*wall_us)(void *clock);            /* microseconds since 1970, or NULL for no time */
    void *ctx, *clock;
    uint64_t written[LOG_ERROR + 1]; /* lines by level, for metrics and tests */
};

/** A log of everything at `level` and above to stderr. source must outlive the log. */
struct log log_to_stderr(const char *source, enum log_level level);

/** Writes one event. A line that outgrows 4096 bytes is cut and ends in "...". */
void log_event(struct log *log, enum log_level level, const char *event,
               const struct log_field *fields, size_t n);

/** The level that a name stands for ("debug" to "error"); false for other names. */
MUST_CHECK bool log_level_parse(struct span name, enum log_level *out);

#define LOG(log_, level_, event_, ...)                                                             \
    do {                                                                                           \
        if ((log_)->level <= (level_)) {                                                           \
            const struct log_field fields_[] = {__VA_ARGS__};                                      \
            log_event((log_), (level_), (event_), fields_, sizeof fields_ / sizeof fields_[0]);    \
        }                                                                                          \
    } while (0)

#endif
