/* Goodput: what becomes of a core that is offered more than it can serve.
 *
 *     as much as it takes -> R: the highest rate that it serves well -> R, a multiple of R, R, ...
 *     -> nine tenths of R
 *
 * "Well" is WELL_TEN_THOUSANDTHS of ten thousand registrations and WELL_US at 99 %. Registrations
 * begin by the clock, whatever becomes of others, and a terminal that is told to come again later
 * counts as failed. As the speed of a shared machine swings, the multiple is compared to what is
 * served at R just before, in several rounds, of which the median counts. */
#include "app/bench.h"

#include "rt/env.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    TRIES = 12,
    PROBE_S = 2,
    REST_S = 5,
    BUSY = 1000, /* under way at a time: so many that the core is never idle */
    WELL_US = 250000,
    WELL_TEN_THOUSANDTHS = 9990
};

static double done_per_s(const struct bench_window *w) {
    return w->length_us ? (double)w->done * 1e6 / (double)w->length_us : 0;
}

static bool is_well(const struct bench_window *w) {
    uint64_t ended = w->done + w->failed;
    return ended && w->done * 10000 >= ended * WELL_TEN_THOUSANDTHS &&
           histogram_quantile(&w->latency_us, 990) < WELL_US;
}

static void tell(const char *what, uint64_t rate, const struct bench_window *w) {
    fprintf(stderr, "  %-10s %6llu offered: %6.0f done a second, %llu failed, %.1f ms at 99 %%\n",
            what, (unsigned long long)rate, done_per_s(w), (unsigned long long)w->failed,
            (double)histogram_quantile(&w->latency_us, 990) / 1e3);
}

static enum error offer(const struct bench_options *options, const struct bench_core *core,
                        uint64_t rate, uint64_t warmup_s, uint64_t seconds,
                        struct bench_window *out) {
    struct bench_options o = *options;
    o.rate = rate;
    o.warmup_s = warmup_s;
    o.seconds = seconds;
    o.outstanding = rate || options->users < BUSY ? options->users : BUSY;
    return bench_registration(&o, core, false, out);
}

/* The highest rate that is served well: from what a closed loop gets, down or up in small steps. A
 * rate that fails gets a second chance: something else on this machine may have been in the way. */
static enum error find_rate(const struct bench_options *options, const struct bench_core *core,
                            struct bench_window *w, uint64_t *out) {
    enum error e = offer(options, core, 0, 1, PROBE_S, w);
    uint64_t rate = (uint64_t)done_per_s(w), well = 0;
    bool again = false;
    for (unsigned tries = 0; tries < TRIES && !e && rate; tries++) {
        e = offer(options, core, rate, 1, PROBE_S, w);
        tell("probe", rate, w);
        bool is = !e && is_well(w);
        if (is) {
            well = rate;
            rate += rate / 20;
        } else if (again && well) {
            break;
        } else if (again) {
            rate -= rate / 10;
        }
        again = !is && !again;
    }
    *out = well;
    return e;
}

static double share_of(const struct bench_overload_round *r) {
    double at_rate = done_per_s(&r->at_rate);
    return at_rate > 0 ? done_per_s(&r->over) / at_rate : 0;
}

static int by_share(const void *a, const void *b) {
    double x = share_of(a), y = share_of(b);
    return (x > y) - (x < y);
}

static enum error measure_round(const struct bench_options *options, const struct bench_core *core,
                                uint64_t rate, struct bench_overload_round *out) {
    uint64_t much = (uint64_t)(options->overload * (double)rate);
    enum error e = offer(options, core, rate, options->warmup_s, options->seconds, &out->at_rate);
    tell("R", rate, &out->at_rate);
    if (!e) {
        e = offer(options, core, much, options->warmup_s, options->seconds, &out->over);
        tell("overload", much, &out->over);
    }
    out->share = share_of(out);
    return e;
}

enum error bench_overload(const struct bench_options *options, const struct bench_core *core,
                          struct bench_overload *out) {
    enum error e = find_rate(options, core, &out->after, &out->rate);
    if (!e && out->rate == 0) {
        fprintf(stderr, "muster bench: no rate is served well on this machine now\n");
        return ERR_TIMEOUT;
    }
    for (size_t i = 0; i < BENCH_OVERLOAD_ROUNDS && !e; i++) {
        e = measure_round(options, core, out->rate, &out->rounds[i]);
    }
    if (!e) {
        uint64_t rate = out->rate - out->rate / 10;
        e = offer(options, core, rate, REST_S, PROBE_S, &out->after);
        tell("after", rate, &out->after);
    }
    out->well_after = !e && is_well(&out->after);
    qsort(out->rounds, BENCH_OVERLOAD_ROUNDS, sizeof *out->rounds, by_share);
    out->median = &out->rounds[BENCH_OVERLOAD_ROUNDS / 2];
    return e;
}
