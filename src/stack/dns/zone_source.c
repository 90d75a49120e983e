#include "stack/dns/zone_source.h"

/* What a liar adds. */
static const struct addr liar = {.family = 4, .ip = {192, 0, 2, 66}};

struct answers {
    struct dns_record records[DNS_RECORDS_MAX];
    size_t n;
};

/* NAPTR records in the order of their preference, which people read from the top. */
static bool precedes(const struct dns_record *a, const struct dns_record *b) {
    return a->type == DNS_NAPTR && b->type == DNS_NAPTR &&
           (a->naptr.order < b->naptr.order ||
            (a->naptr.order == b->naptr.order && a->naptr.preference < b->naptr.preference));
}

static void add(void *ctx, const struct dns_record *record) {
    struct answers *a = ctx;
    if (a->n == DNS_RECORDS_MAX) {
        return;
    }
    size_t at = a->n++;
    for (; at > 0 && precedes(record, &a->records[at - 1]); at--) {
        a->records[at] = a->records[at - 1];
    }
    a->records[at] = *record;
}

/* Forgeries: records of names that nobody asked for, and an alias of one of them. */
static void add_lies(struct answers *a, const struct dns_exchange *x) {
    struct dns_record lie = {
        .name = SPAN_INIT("www.liar.example"), .type = x->type, .ttl_s = 86400};
    switch (x->type) {
    case DNS_SRV:
        lie.srv.port = 5060;
        lie.srv.target = SPAN("www.liar.example");
        break;
    case DNS_NAPTR:
        lie.naptr.flags = SPAN("s");
        lie.naptr.service = SPAN("SIP+D2U");
        lie.naptr.replacement = SPAN("_sip._udp.liar.example");
        break;
    default:
        lie.address = liar;
    }
    add(a, &lie);
    lie = (struct dns_record){.name = SPAN_INIT("mail.liar.example"), .type = DNS_CNAME};
    lie.alias = x->name;
    add(a, &lie);
    lie = (struct dns_record){.name = x->name, .type = DNS_A, .address = liar};
    lie.address.ip[0] = 0; /* 0.0.2.66: nobody can be there */
    add(a, &lie);
}

/* A table gives the newest first; people read better what stands as it was added. */
static void turn(struct dns_record *records, size_t n) {
    for (size_t i = 0; i < n / 2; i++) {
        struct dns_record r = records[i];
        records[i] = records[n - 1 - i];
        records[n - 1 - i] = r;
    }
}

static void reply(struct dns_zone_source *s, struct dns_exchange *x) {
    struct answers found = {.n = 0};
    struct dns_answer answer = {.error = s->faults.error, .records = found.records};
    if (answer.error == OK) {
        if (s->faults.lies) {
            add_lies(&found, x);
        }
        size_t lies = found.n;
        dns_zone_find(s->zone, x->name, x->type, add, &found);
        if (found.n == lies) {
            dns_zone_find(s->zone, x->name, DNS_CNAME, add, &found);
        }
        turn(found.records + lies, found.n - lies);
        answer.n = found.n;
        if (found.n == lies && !dns_zone_has_name(s->zone, x->name)) {
            answer.error = ERR_NOT_FOUND;
        }
    }
    dns_answer(x, &answer);
}

static void on_post(struct post *p) {
    struct dns_exchange *x = CONTAINER_OF(p, struct dns_exchange, post);
    reply(CONTAINER_OF(x->source, struct dns_zone_source, source), x);
}

static void on_delay(struct timer *t) {
    struct dns_exchange *x = CONTAINER_OF(t, struct dns_exchange, timer);
    reply(CONTAINER_OF(x->source, struct dns_zone_source, source), x);
}

/* Without an answer before the deadline, the deadline's own timer goes on running. */
static void ask(struct dns_source *source, struct dns_exchange *x) {
    struct dns_zone_source *s = CONTAINER_OF(source, struct dns_zone_source, source);
    uint32_t lot = 0;
    s->asked++;
    if (s->faults.lost_ppm) {
        env_random(x->env, &lot, sizeof lot);
        if (lot % 1000000 < s->faults.lost_ppm) {
            return;
        }
    }
    if (!s->faults.delay_us) {
        post_init(&x->post, on_post);
        env_post(x->env, &x->post);
    } else if (env_now_us(x->env) + s->faults.delay_us < x->deadline_us) {
        timer_stop(&x->timer);
        timer_init(&x->timer, on_delay);
        timer_start(x->env, &x->timer, s->faults.delay_us);
    }
}

static void cancel(struct dns_source *source, struct dns_exchange *x) {
    (void)source;
    (void)x; /* its timer and its post are stopped by whoever calls */
}

void dns_zone_source_init(struct dns_zone_source *s, const struct dns_zone *zone) {
    static const struct dns_source_ops ops = {ask, cancel};
    *s = (struct dns_zone_source){.source = {&ops}, .zone = zone};
}
