#include "app/bench.h"

#include <sys/resource.h>
#include <sys/time.h>

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
