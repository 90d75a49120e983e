#include "obs/journal.h"

#include <stdlib.h>

struct journal {
    size_t cap, n, next; /* entries: room, kept, where the next one goes */
    uint64_t reasons[REASONS];
    struct journal_entry entries[];
};

struct journal *journal_new(size_t max_bytes) {
    size_t cap = max_bytes / sizeof(struct journal_entry);
    cap = cap ? cap : 1;
    struct journal *j = calloc(1, sizeof *j + cap * sizeof *j->entries);
    if (j) {
        j->cap = cap;
    }
    return j;
}

void journal_free(struct journal *j) {
    free(j);
}

static void keep(char *out, size_t cap, struct span text) {
    size_t n = text.n < cap ? text.n : cap - 1;
    if (n) {
        memcpy(out, text.p, n);
    }
    out[n] = '\0';
}

void journal_add(struct env *env, const struct journal_note *note) {
    struct journal *j = env->journal;
    if (!j) {
        return;
    }
    struct journal_entry *e = &j->entries[j->next];
    j->next = j->next + 1 == j->cap ? 0 : j->next + 1;
    j->n += j->n < j->cap;
    j->reasons[note->reason]++;
    e->at_us = env_clock_us(env);
    e->wall_us = env_wall_us(env);
    e->step = note->step;
    e->reason = note->reason;
    e->status = note->status;
    keep(e->node, sizeof e->node, span_from_cstr(env->name));
    keep(e->impi, sizeof e->impi, note->impi);
    keep(e->impu, sizeof e->impu, note->impu);
    keep(e->call_id, sizeof e->call_id, note->call_id);
    keep(e->detail, sizeof e->detail, note->detail);
}

void journal_each(const struct journal *j, void (*each)(void *ctx, const struct journal_entry *e),
                  void *ctx) {
    for (size_t i = 0; j && i < j->n; i++) {
        each(ctx, &j->entries[(j->next + j->cap - j->n + i) % j->cap]);
    }
}

const uint64_t *journal_reasons(const struct journal *j) {
    return j->reasons;
}
