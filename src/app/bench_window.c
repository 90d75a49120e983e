#include "app/bench.h"

#include "rt/loop.h"

#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum { SLICE_US = 100000, DATAGRAMS = 20000, DATAGRAM_BYTES = 500 };

static uint64_t own_cpu_us(void) {
    struct rusage r;
    if (getrusage(RUSAGE_SELF, &r)) {
        return 0;
    }
    return (uint64_t)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) * 1000000 +
           (uint64_t)(r.ru_utime.tv_usec + r.ru_stime.tv_usec);
}

void bench_window_open(struct bench_window *w, const struct bench_core *core, uint64_t now_us) {
    *w = (struct bench_window){.core = core, .open = true, .opened_us = now_us};
    w->cpu_us = bench_core_cpu_us(core);
    w->own_cpu_us = own_cpu_us();
}

void bench_window_close(struct bench_window *w, uint64_t now_us) {
    w->open = false;
    w->length_us = now_us - w->opened_us;
    w->cpu_us = bench_core_cpu_us(w->core) - w->cpu_us;
    w->own_cpu_us = own_cpu_us() - w->own_cpu_us;
    w->rss_bytes = bench_core_rss_bytes(w->core);
}

void bench_window_done(struct bench_window *w, uint64_t begun_us, uint64_t now_us) {
    if (w->open) {
        w->done++;
        histogram_add(&w->latency_us, now_us - begun_us);
    }
}

static bool never(void *ctx) {
    (void)ctx;
    return false;
}

enum error bench_run_until(struct loop *loop, const struct bench_core *core,
                           bool (*done)(void *ctx), void *ctx, uint64_t until_us) {
    for (;;) {
        uint64_t now_us = loop_now_us(loop), slice_us = now_us + SLICE_US;
        if (now_us >= until_us) {
            return OK;
        }
        if (loop_run_until(loop, done ? done : never, ctx,
                           slice_us < until_us ? slice_us : until_us)) {
            return OK;
        }
        if (bench_interrupted() || bench_core_has_died(core)) {
            return ERR_CLOSED;
        }
    }
}

static bool send_to_itself(int fd, const struct sockaddr_in *at) {
    char bytes[DATAGRAM_BYTES] = {0};
    return sendto(fd, bytes, sizeof bytes, 0, (const struct sockaddr *)at, sizeof *at) ==
               sizeof bytes &&
           recv(fd, bytes, sizeof bytes, 0) == sizeof bytes;
}

uint64_t bench_datagram_cpu_ns(void) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof at;
    struct timespec before, after;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bool ok = fd >= 0 && !bind(fd, (const struct sockaddr *)&at, sizeof at) &&
              !getsockname(fd, (struct sockaddr *)&at, &n) &&
              !clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
    for (size_t i = 0; ok && i < DATAGRAMS; i++) {
        ok = send_to_itself(fd, &at);
    }
    ok = ok && !clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
    if (fd >= 0) {
        close(fd);
    }
    if (!ok) {
        return 0;
    }
    int64_t ns = (after.tv_sec - before.tv_sec) * 1000000000LL + after.tv_nsec - before.tv_nsec;
    return (uint64_t)ns / DATAGRAMS;
}
