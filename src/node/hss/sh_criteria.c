/* Filter criteria that a service profile has: when its content changes, the application servers
 * that have subscribed to them hear of it (TS 29.328 6.1.4, 7.6.5). The courier, which tells
 * S-CSCFs, walks over all subscriptions; here each of them gets its marks. */
#include "node/hss/sh.h"

#include <stdlib.h>

struct marking {
    void (*done)(void *ctx);
    void *ctx;
    struct arena arena;
    struct span identity, profile; /* into bytes */
    char bytes[];
};

bool sh_watches_criteria(const struct store_subscription *read, struct span profile) {
    struct rec_subscription s = rec_subscription_of(read->data);
    struct rec_impu impu;

    if (!read->watchers.n) {
        return false;
    }
    struct rec_watchers r = rec_watchers_of(read->watchers);
    for (size_t i = 0, n = rec_watchers_n_watchers(r); i < n; i++) {
        struct rec_watcher w = rec_watchers_watchers(r, i);
        if (rec_watcher_reference(w) == SH_DATA_REFERENCE_InitialFilterCriteria &&
            subscription_impu(s, rec_watcher_identity(w), &impu) &&
            span_eq(rec_impu_profile(impu), profile)) {
            return true;
        }
    }
    return false;
}

static void drop(struct job *job) {
    struct marking *m = job->ctx;

    arena_release(&m->arena);
    free(m);
}

static void end(struct job *job) {
    struct marking *m = job->ctx;
    void (*done)(void *ctx) = m->done;
    void *ctx = m->ctx;

    drop(job);
    job->drop = NULL;
    job_end(job);
    done(ctx);
}

static void on_saved(struct store_op *op) {
    struct job *job = CONTAINER_OF(op, struct job, op);
    struct subscriber *s = job->subscriber;

    if (op->error == ERR_CONFLICT) {
        job_again(job);
        return;
    }
    if (op->error) {
        LOG(&job->hss->env->log, LOG_ERROR, "application servers are not told of filter criteria",
            LOG_SPAN("impu", job->identity), LOG_CSTR("why", error_text(op->error)));
    } else {
        s->version = op->subscription.version;
        if (sh_set_watchers(s, job->watchers) != OK) {
            s->stale = true;
        }
        sh_notify(job->hss, s->id, job->watchers);
    }
    end(job);
}

static void run(struct job *job) {
    struct marking *m = job->ctx;
    struct subscriber *s = job->subscriber;
    size_t n;

    arena_release(&m->arena);
    struct rec_watcher_data *list =
        s && !job->error && s->watchers ? sh_watchers(s, &m->arena, &n) : NULL;
    if (!list || !sh_mark_criteria(list, n, s->s.data, m->profile)) {
        end(job);
        return;
    }
    job->watchers = sh_watchers_record(list, n, &m->arena);
    if (!job->watchers.p) {
        end(job);
        return;
    }
    job->op.done = on_saved;
    store_save(
        job->hss->store, &job->op,
        &(struct store_change){.id = s->id, .version = s->version, .watchers = job->watchers});
}

bool sh_criteria_changed(struct hss *h, const struct store_subscription *read, struct span profile,
                         void (*done)(void *ctx), void *ctx) {
    struct span name = rec_subscription_name(rec_subscription_of(read->data));
    struct marking *m = malloc(sizeof *m + name.n + profile.n + 1);
    struct job *job = m ? job_new(h, run) : NULL;

    if (!job) {
        free(m);
        return false;
    }
    *m = (struct marking){.done = done, .ctx = ctx, .arena = arena_init(h->env->chunks)};
    memcpy(m->bytes, name.p, name.n);
    memcpy(m->bytes + name.n, profile.p, profile.n);
    m->identity = span_of(m->bytes, name.n);
    m->profile = span_of(m->bytes + name.n, profile.n);
    job->ctx = m;
    job->drop = drop;
    job_find(job, STORE_NAME, m->identity);
    return true;
}
