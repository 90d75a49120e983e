/* What belongs together: filters and the line in words. See ladder.h. */
#include "obs/ladder_impl.h"
#include "obs/peek.h"

#include <stdlib.h>

/* Correlation keys of one kind, found by linear search: filters serve people, on what a screen
 * holds; the number of keys is bounded by the number of registrations in the trace. */
struct keys {
    struct span *keys;
    size_t n, cap;
    bool failed;
};

static bool keys_have(const struct keys *k, struct span key) {
    for (size_t i = 0; i < k->n; i++) {
        if (span_eq(k->keys[i], key)) {
            return true;
        }
    }
    return false;
}

/* True if the key is new. */
static bool keys_add(struct keys *k, struct span key) {
    if (span_is_empty(key) || keys_have(k, key)) {
        return false;
    }
    if (k->n == k->cap) {
        size_t cap = k->cap ? 2 * k->cap : 32;
        struct span *grown = realloc(k->keys, cap * sizeof *grown);
        if (!grown) {
            k->failed = true;
            return false;
        }
        k->keys = grown;
        k->cap = cap;
    }
    k->keys[k->n++] = key;
    return true;
}

static bool is_identity_char(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           span_find_char(SPAN("-_.+"), c) < 4;
}

/* Does the text stand in the message as a whole word? "alice" is not in "alice.mobile". */
static bool mentions(struct span bytes, struct span text) {
    for (size_t at = 0; at + text.n <= bytes.n;) {
        size_t found = at + span_find(span_after(bytes, at), text);
        if (found >= bytes.n) {
            return false;
        }
        size_t end = found + text.n;
        bool begins = found == 0 || !is_identity_char(bytes.p[found - 1]);
        bool ends = end == bytes.n || !is_identity_char(bytes.p[end]);
        if (begins && ends) {
            return true;
        }
        at = found + 1;
    }
    return false;
}

/* Does a user part begin with the text, up to a dot? "alice" in "sip:alice.mobile@home". */
static bool mentions_beginning(struct span bytes, struct span text) {
    for (size_t at = 0; at + text.n < bytes.n;) {
        size_t found = at + span_find(span_after(bytes, at), text);
        size_t end = found + text.n;
        if (found >= bytes.n) {
            return false;
        }
        bool begins = found == 0 || !is_identity_char(bytes.p[found - 1]);
        if (begins && end < bytes.n && bytes.p[end] == '.') {
            while (end < bytes.n && is_identity_char(bytes.p[end])) {
                end++;
            }
            if (end < bytes.n && bytes.p[end] == '@') {
                return true;
            }
        }
        at = found + 1;
    }
    return false;
}

static bool is_about(struct span bytes, struct span identity) {
    return mentions(bytes, identity) || mentions_beginning(bytes, identity);
}

static bool matches(const struct ladder_entry *e, const struct ladder_filter *f) {
    bool sip = e->arrow.protocol == TRACE_SIP, diameter = e->arrow.protocol == TRACE_DIAMETER;
    if ((sip || diameter) == false) {
        return false;
    }
    return (!f->identity.n || is_about(e->arrow.bytes, f->identity)) &&
           (!f->call_id.n || (sip && span_eq(e->correlation, f->call_id))) &&
           (!f->session_id.n || (diameter && span_eq(e->correlation, f->session_id))) &&
           (!f->icid.n || span_eq(e->icid, f->icid));
}

/* Diameter requests belong to the SIP message on whose behalf they were sent: the last one that
 * their sender got and that names the same user. */
static void keep_diameter(struct ladder *l, bool *kept) {
    enum { AVP_USER_NAME = 1, AVP_PUBLIC_IDENTITY = 601, VENDOR_3GPP = 10415 };
    for (size_t i = 0; i < l->n; i++) {
        const struct ladder_arrow *a = &l->entries[i].arrow;
        struct peek_diameter d;
        if (kept[i] || a->note.n || a->protocol != TRACE_DIAMETER || !a->request ||
            !peek_diameter(a->bytes, &d)) {
            continue;
        }
        struct span impi = peek_avp(d.avps, AVP_USER_NAME, 0);
        struct span impu = peek_avp(d.avps, AVP_PUBLIC_IDENTITY, VENDOR_3GPP);
        for (size_t k = i; k-- > 0;) {
            const struct ladder_arrow *before = &l->entries[k].arrow;
            bool about = before->protocol == TRACE_SIP && !before->note.n &&
                         span_eq(before->to, a->from) &&
                         ((impi.n && mentions(before->bytes, impi)) ||
                          (impu.n && mentions(before->bytes, impu)));
            if (about) {
                kept[i] = kept[k];
                break;
            }
        }
    }
}

/* The questions that a node asked for a message that is kept: the last thing it got before them. */
static void keep_dns(struct ladder *l, bool *kept) {
    for (size_t i = 0; i < l->n; i++) {
        const struct ladder_arrow *a = &l->entries[i].arrow;
        if (a->note.n || a->protocol != TRACE_DNS) {
            continue;
        }
        for (size_t k = i; k-- > 0;) {
            const struct ladder_arrow *before = &l->entries[k].arrow;
            bool question = span_eq(before->to, a->from) && before->protocol != TRACE_DNS;
            bool answer = span_eq(before->from, a->to) && before->protocol == TRACE_DNS;
            if (!before->note.n && (question || answer)) {
                kept[i] = kept[k];
                break;
            }
        }
    }
}

/* Marks what shares a key with what is marked, until nothing is new. Registrations reach over keys
 * in few steps (identity, Call-ID, ICID, Session-Id), so the number of rounds is small and bounded.
 */
static bool spread(struct ladder *l, bool *kept) {
    enum { ROUNDS_MAX = 8 };
    struct keys correlations = {0}, icids = {0};
    bool changed = true;
    for (int round = 0; changed && round < ROUNDS_MAX; round++) {
        changed = false;
        for (size_t i = 0; i < l->n; i++) {
            const struct ladder_entry *e = &l->entries[i];
            if (e->arrow.note.n || e->arrow.protocol == TRACE_DNS) {
                continue;
            }
            if (!kept[i] &&
                (keys_have(&correlations, e->correlation) || keys_have(&icids, e->icid))) {
                kept[i] = true;
            }
            if (kept[i]) {
                changed |= keys_add(&correlations, e->correlation);
                changed |= keys_add(&icids, e->icid);
            }
        }
    }
    bool failed = correlations.failed || icids.failed;
    free(correlations.keys);
    free(icids.keys);
    return !failed;
}

enum error ladder_filter(struct ladder *l, const struct ladder_filter *f) {
    bool *kept = calloc(l->n + 1, sizeof *kept);
    if (!kept) {
        return ERR_NO_MEMORY;
    }
    for (size_t i = 0; i < l->n; i++) {
        kept[i] = l->entries[i].arrow.note.n || matches(&l->entries[i], f);
    }
    enum error err = spread(l, kept) ? OK : ERR_NO_MEMORY;
    if (err == OK) {
        keep_diameter(l, kept);
        err = spread(l, kept) ? OK : ERR_NO_MEMORY;
    }
    if (err == OK) {
        keep_dns(l, kept);
        size_t n = 0;
        for (size_t i = 0; i < l->n; i++) {
            if (kept[i]) {
                l->entries[n++] = l->entries[i];
            }
        }
        l->n = n;
    }
    free(kept);
    return err;
}

/* The line in words. */

struct summary {
    size_t sip, diameter;
    uint64_t first_us, last_us;
    bool any;
    const struct ladder_entry *final;   /* the last final answer that a terminal got */
    const struct ladder_entry *refusal; /* the last failure that the HSS gave before it */
    bool asked, challenged;             /* a terminal sent something; a 401 came */
    bool responded;                     /* the last that it sent answers a challenge */
    bool by_password;                   /* by SIP Digest; else by AKA */
    bool terminated;                    /* the HSS has sent an RTR since the final answer */
};

static bool is_terminal(struct span name) {
    return span_eq(name, SPAN("ue")) || span_starts_with(name, SPAN("ue:")) ||
           span_starts_with(name, SPAN("ue-"));
}

static void count_entry(struct summary *s, const struct ladder_entry *e) {
    const struct ladder_arrow *a = &e->arrow;
    if (!s->any) {
        s->first_us = a->at_us;
        s->any = true;
    }
    s->last_us = a->at_us;
    s->sip += a->protocol == TRACE_SIP;
    s->diameter += a->protocol == TRACE_DIAMETER;
    if (a->protocol == TRACE_DIAMETER && !a->request && a->failure) {
        s->refusal = e;
    }
    enum { RTR = 304 };
    struct peek_diameter d;
    struct peek_sip sip;
    if (a->protocol == TRACE_DIAMETER && peek_diameter(a->bytes, &d)) {
        s->terminated |= s->final && d.request && d.command == RTR;
    }
    if (a->protocol != TRACE_SIP || !peek_sip(a->bytes, &sip)) {
        return;
    }
    if (s->asked &&
        (span_eq(sip.method, SPAN("SUBSCRIBE")) || span_eq(sip.method, SPAN("NOTIFY")))) {
        return; /* what follows upon a registration says nothing of it */
    }
    if (is_terminal(a->from) && sip.request) {
        struct span authorization = peek_sip_header(a->bytes, "Authorization", 0);
        struct span algorithm = peek_sip_param(authorization, "algorithm");
        s->asked = true;
        s->responded = peek_sip_param(authorization, "response").n > 0;
        s->by_password =
            s->responded && algorithm.n && !span_starts_with_nocase(algorithm, SPAN("AKA"));
    }
    if (is_terminal(a->to) && !sip.request && sip.status >= 200) {
        s->challenged |= sip.status == 401;
        s->final = e;
        s->terminated = false;
    }
}

/* "sip:alice@example.net" out of a To header. */
static struct span identity_of(struct span to) {
    size_t open = span_find_char(to, '<');
    if (open < to.n) {
        to = span_after(to, open + 1);
        return span_slice(to, 0, span_find_char(to, '>'));
    }
    return span_slice(to, 0, span_find_char(to, ';'));
}

static void put_outcome(const struct summary *s, struct buf *out) {
    struct span bytes = s->final->arrow.bytes, contact = peek_sip_header(bytes, "Contact", 0);
    struct peek_sip sip;
    if (!peek_sip(bytes, &sip)) {
        return;
    }
    buf_escaped(out, span_slice(identity_of(peek_sip_header(bytes, "To", 0)), 0, 120));
    bool registration = span_eq(sip.method, SPAN("REGISTER"));
    if (sip.status / 100 == 2 && registration && contact.n) {
        struct span expires = peek_sip_param(contact, "expires");
        buf_cstr(out, " is registered");
        if (expires.n && expires.n < 11) {
            buf_cstr(out, " for ");
            buf_escaped(out, expires);
            buf_cstr(out, " s");
        }
        if (s->challenged) {
            buf_cstr(out,
                     s->by_password ? ", authenticated by SIP Digest" : ", authenticated by AKA");
        }
    } else if (sip.status / 100 == 2 && registration) {
        buf_cstr(out, " is no longer registered");
    } else if (sip.status / 100 == 2) {
        buf_cstr(out, ": ");
        buf_escaped(out, span_slice(sip.method, 0, 32));
        buf_cstr(out, " succeeded");
    } else if (sip.status == 401) {
        buf_cstr(out, s->responded ? " was challenged again: its response is not right"
                                   : " was challenged and has not answered");
    } else {
        buf_cstr(out, " was refused: ");
        buf_put(out, s->final->arrow.label);
        if (s->refusal) {
            buf_cstr(out, ", the HSS having said ");
            buf_put(out, s->refusal->arrow.label);
        }
    }
}

void ladder_summary(const struct ladder *l, struct buf *out) {
    struct summary s = {0};
    for (size_t i = 0; i < l->n; i++) {
        if (!l->entries[i].arrow.note.n) {
            count_entry(&s, &l->entries[i]);
        }
    }
    if (!s.any) {
        buf_cstr(out, "No message was seen.");
        return;
    }
    if (s.final) {
        put_outcome(&s, out);
        buf_cstr(out, s.terminated ? ", and then the HSS has sent an RTR: " : ": ");
    } else if (s.asked) {
        buf_cstr(out, "The terminal got no answer: ");
    }
    uint64_t us = s.last_us - s.first_us;
    buf_printf(out, "%zu SIP and %zu Diameter messages in ", s.sip, s.diameter);
    if (us < 10000000) {
        buf_printf(out, "%.1f ms.", (double)us / 1e3);
    } else {
        buf_printf(out, "%.1f s.", (double)us / 1e6);
    }
}
