#include "obs/trace.h"

#include "base/htab.h"
#include "obs/mask.h"

#include <stdlib.h>

/* What is known of an address: whose it is, and how many links have it as their end. */
struct place {
    struct htab_node node;
    struct addr addr;
    size_t n_local;
    char *name;
    size_t n_name;
};

/* In the ring: a record, and behind it both names and the bytes. */
struct record {
    size_t size; /* all of it, rounded up to the alignment of the next one */
    struct trace_message m;
};

/* Records lie whole and in order from begin to end; when the ring has wrapped, from begin to limit
 * and then from 0 to end. */
struct trace {
    struct trace_tap tap;
    char *ring;
    size_t cap, begin, end, limit, count;
    bool wrapped;
    struct htab places;
    void (*listener)(void *ctx, const struct trace_message *m);
    void *listener_ctx;
    void (*witness)(void *ctx, const struct trace_message *m);
    void *witness_ctx;
};

struct trace *trace_new(void) {
    return calloc(1, sizeof(struct trace));
}

static void place_free(struct htab_node *node, void *ctx) {
    (void)ctx;
    struct place *p = CONTAINER_OF(node, struct place, node);
    free(p->name);
    free(p);
}

void trace_free(struct trace *t) {
    if (!t) {
        return;
    }
    trace_disable(t);
    htab_each(&t->places, place_free, NULL);
    htab_free(&t->places);
    free(t);
}

enum error trace_enable(struct trace *t, size_t max_bytes) {
    trace_disable(t);
    t->ring = malloc(max_bytes ? max_bytes : 1);
    if (!t->ring) {
        return ERR_NO_MEMORY;
    }
    t->cap = max_bytes;
    t->tap.on = true;
    return OK;
}

void trace_disable(struct trace *t) {
    t->tap.on = t->witness != NULL;
    free(t->ring);
    t->ring = NULL;
    t->cap = t->begin = t->end = t->limit = t->count = 0;
    t->wrapped = false;
}

static struct place *place_find(const struct trace *t, const struct addr *a) {
    for (struct htab_node *node = htab_first(&t->places, addr_hash(a)); node;
         node = htab_next(node)) {
        struct place *p = CONTAINER_OF(node, struct place, node);
        if (addr_eq(&p->addr, a)) {
            return p;
        }
    }
    return NULL;
}

static struct place *place_get(struct trace *t, const struct addr *a) {
    struct place *p = place_find(t, a);
    if (p) {
        return p;
    }
    p = calloc(1, sizeof *p);
    if (!p) {
        return NULL;
    }
    p->addr = *a;
    if (htab_insert(&t->places, &p->node, addr_hash(a)) != OK) {
        free(p);
        return NULL;
    }
    return p;
}

static void place_drop_if_unused(struct trace *t, struct place *p) {
    if (p->n_local == 0 && !p->name) {
        htab_remove(&t->places, &p->node);
        free(p);
    }
}

static void forget_name(struct trace *t, const struct addr *a) {
    struct place *p = place_find(t, a);
    if (p) {
        free(p->name);
        p->name = NULL;
        place_drop_if_unused(t, p);
    }
}

struct span trace_name_of(const struct trace *t, const struct addr *a) {
    const struct place *p = place_find(t, a);
    return p && p->name ? span_of(p->name, p->n_name) : SPAN_NONE;
}

enum error trace_name_address(struct trace *t, const struct addr *a, struct span name) {
    if (name.n == 0) {
        forget_name(t, a);
        return OK;
    }
    struct place *p = place_get(t, a);
    char *copy = p ? malloc(name.n) : NULL;
    if (!copy) {
        if (p) {
            place_drop_if_unused(t, p);
        }
        return ERR_NO_MEMORY;
    }
    struct buf b = buf_init(copy, name.n);
    buf_put(&b, name);
    free(p->name);
    p->name = copy;
    p->n_name = name.n;
    return OK;
}

bool trace_is_local(const struct trace *t, const struct addr *a) {
    const struct place *p = place_find(t, a);
    return p && p->n_local > 0;
}

enum error trace_add_local(struct trace *t, const struct addr *a) {
    struct place *p = place_get(t, a);
    if (!p) {
        return ERR_NO_MEMORY;
    }
    p->n_local++;
    return OK;
}

void trace_remove_local(struct trace *t, const struct addr *a) {
    struct place *p = place_find(t, a);
    if (p && p->n_local > 0) {
        p->n_local--;
        place_drop_if_unused(t, p);
    }
}

static const struct record *record_at(const struct trace *t, size_t offset) {
    return (const struct record *)(const void *)(t->ring + offset);
}

static void forget_oldest(struct trace *t) {
    t->begin += record_at(t, t->begin)->size;
    t->count--;
    if (t->wrapped && t->begin == t->limit) {
        t->begin = 0;
        t->wrapped = false;
    }
}

/* Room for a record at the end of the ring, at the cost of the oldest ones; NULL if it is larger
 * than the ring. */
static struct record *ring_room(struct trace *t, size_t size) {
    if (size > t->cap) {
        return NULL;
    }
    for (;;) {
        if (t->count == 0) {
            t->begin = t->end = 0;
            t->wrapped = false;
        }
        size_t free_here = (t->wrapped ? t->begin : t->cap) - t->end;
        if (size <= free_here) {
            break;
        }
        if (t->wrapped) {
            forget_oldest(t);
        } else {
            t->limit = t->end;
            t->end = 0;
            t->wrapped = true;
        }
    }
    struct record *r = (struct record *)(void *)(t->ring + t->end);
    t->end += size;
    t->count++;
    r->size = size;
    return r;
}

static struct span name_of(const struct trace *t, struct span given, const struct addr *a) {
    if (!span_is_empty(given)) {
        return given;
    }
    return trace_name_of(t, a);
}

static void tell(const struct trace *t, const struct trace_message *message,
                 void (*each)(void *ctx, const struct trace_message *m), void *ctx) {
    struct trace_message m = *message;
    m.from_name = name_of(t, m.from_name, &m.from);
    m.to_name = name_of(t, m.to_name, &m.to);
    each(ctx, &m);
}

void trace_record(struct trace *t, const struct trace_message *m) {
    if (t->witness) {
        tell(t, m, t->witness, t->witness_ctx);
    }
    if (!t->ring) {
        return;
    }
    size_t size = sizeof(struct record) + m->from_name.n + m->to_name.n + m->bytes.n;
    const size_t align = _Alignof(struct record);
    size = (size + align - 1) / align * align;
    struct record *r = ring_room(t, size);
    if (!r) {
        return;
    }
    struct buf b = buf_init(r + 1, size - sizeof *r);
    buf_put(&b, m->from_name);
    buf_put(&b, m->to_name);
    buf_put(&b, m->bytes);
    r->m = *m;
    r->m.from_name = span_of(b.p, m->from_name.n);
    r->m.to_name = span_of(b.p + m->from_name.n, m->to_name.n);
    r->m.bytes = span_of(b.p + m->from_name.n + m->to_name.n, m->bytes.n);
    mask_secrets(m->protocol, b.p + m->from_name.n + m->to_name.n, m->bytes.n);
    if (t->listener) {
        tell(t, &r->m, t->listener, t->listener_ctx);
    }
}

void trace_each(const struct trace *t, void (*each)(void *ctx, const struct trace_message *m),
                void *ctx) {
    size_t at = t->begin;
    for (size_t left = t->count; left > 0; left--) {
        const struct record *r = record_at(t, at);
        tell(t, &r->m, each, ctx);
        at += r->size;
        if (t->wrapped && at == t->limit) {
            at = 0;
        }
    }
}

void trace_listen(struct trace *t, void (*each)(void *ctx, const struct trace_message *m),
                  void *ctx) {
    t->listener = each;
    t->listener_ctx = ctx;
}

void trace_witness(struct trace *t, void (*each)(void *ctx, const struct trace_message *m),
                   void *ctx) {
    t->witness = each;
    t->witness_ctx = ctx;
    t->tap.on = each || t->ring;
}
