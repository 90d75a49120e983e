#include "base/log.h"

#include "base/buf.h"

#include <stdio.h>
#include <time.h>

static const char *const level_names[] = {"debug", "info", "notice", "warning", "error"};

static void write_stderr(void *ctx, struct span line) {
    (void)ctx;
    fwrite(line.p, 1, line.n, stderr);
}

static int64_t system_wall_us(void *clock) {
    (void)clock;
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

struct log log_to_stderr(const char *source, enum log_level level) {
    return (struct log){
        .level = level, .source = source, .write = write_stderr, .wall_us = system_wall_us};
}

static void put_time(struct buf *line, int64_t wall_us) {
    time_t seconds = (time_t)(wall_us / 1000000);
    struct tm tm;
    gmtime_r(&seconds, &tm);
    buf_printf(line, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ ", tm.tm_year + 1900, tm.tm_mon + 1,
               tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, (int)(wall_us / 1000 % 1000));
}

void log_event(struct log *log, enum log_level level, const char *event,
               const struct log_field *fields, size_t n) {
    if (level < log->level) {
        return;
    }
    char text[4096];
    static const char cut[] = "...\n";
    struct buf line = buf_init(text, sizeof text - sizeof cut);
    if (log->wall_us) {
        put_time(&line, log->wall_us(log->clock));
    }
    buf_printf(&line, "%s %s %s", level_names[level], log->source ? log->source : "-", event);
    for (size_t i = 0; i < n; i++) {
        buf_printf(&line, " %s=", fields[i].name);
        if (fields[i].kind == LOG_FIELD_U64) {
            buf_u64(&line, fields[i].u64);
        } else {
            buf_char(&line, '"');
            buf_escaped(&line, fields[i].span);
            buf_char(&line, '"');
        }
    }
    struct span end = line.overflow ? span_from_cstr(cut) : SPAN("\n");
    memcpy(text + line.n, end.p, end.n);
    log->written[level]++;
    log->write(log->ctx, span_of(text, line.n + end.n));
}

bool log_level_parse(struct span name, enum log_level *out) {
    for (size_t i = 0; i < COUNT_OF(level_names); i++) {
        if (span_eq(name, span_from_cstr(level_names[i]))) {
            *out = (enum log_level)i;
            return true;
        }
    }
    return false;
}
