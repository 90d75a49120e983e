/* Goodput: what becomes of a core that is offered more than it can serve.
 *
 *     as much as it takes -> R: the highest rate that it serves well -> a multiple of R -> R again
 *
 * "Well" is WELL_THOUSANDTHS of a thousand registrations and WELL_US at 99 %. Registrations begin
 * by the clock, whatever becomes of others, and a terminal that is told to come again later counts
 * as failed. */
#include "app/bench.h"

#include "rt/env.h"

#include <stdio.h>

enum { TRIES = 12, PROBE_S = 2, REST_S = 5, WELL_US = 250000, WELL_TEN_THOUSANDTHS = 9990 };

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
    o.outstanding = rate ? options->users : 64;
    return bench_registration(&o, core, false, out);
}

/* The highest rate that is served well: down from what a closed loop gets, then up in small steps.
 */
static enum error find_rate(const struct bench_options *options, const struct bench_core *core,
                            struct bench_overload *out) {
    struct bench_window *w = &out->at_rate;
    enum error e = offer(options, core, 0, 1, PROBE_S, w);
    uint64_t rate = (uint64_t)done_per_s(w), well = 0;
    for (unsigned tries = 0; tries < TRIES && !e && rate; tries++) {
        e = offer(options, core, rate, 1, PROBE_S, w);
        tell("probe", rate, w);
        if (!e && is_well(w)) {
            well = rate;
            rate += rate / 10;
        } else if (well) {
            break;
        } else {
            rate -= rate / 8;
        }
    }
    out->rate = well;
    return e;
}

enum error bench_overload(const struct bench_options *options, const struct bench_core *core,
                          struct bench_overload *out) {
    enum error e = find_rate(options, core, out);
    if (!e && out->rate == 0) {
        fprintf(stderr, "muster bench: no rate is served well on this machine now\n");
        return ERR_TIMEOUT;
    }
    if (!e) {
        e = offer(options, core, out->rate, 1, options->seconds, &out->at_rate);
        tell("R", out->rate, &out->at_rate);
    }
    if (!e) {
        uint64_t rate = (uint64_t)(options->overload * (double)out->rate);
        e = offer(options, core, rate, options->warmup_s, options->seconds, &out->over);
        tell("overload", rate, &out->over);
    }
    if (!e) {
        uint64_t rate = out->rate - out->rate / 10;
        e = offer(options, core, rate, REST_S, PROBE_S, &out->after);
        tell("after", rate, &out->after);
    }
    out->well_after = !e && is_well(&out->after);
    return e;
}
