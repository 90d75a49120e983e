/* Fields of messages by name: SIP header fields and their parameters, Diameter AVPs by the
 * dictionary. */
#include "app/flow/match.h"

#include "app/flow/parse.h"
#include "codec/diameter/diameter.h"
#include "obs/peek.h"

#include <stdio.h>

struct walk {
    struct span name, param;
    flow_value_fn *each;
    void *ctx;
    size_t n;
    bool stopped;
};

static void tell(struct walk *w, struct span value) {
    w->n++;
    if (!w->stopped && w->each) {
        w->stopped = !w->each(w->ctx, value);
    }
}

/* SIP. */

static void walk_sip_header(struct walk *w, struct span bytes, struct span name) {
    char text[128];
    struct span value;
    if (!span_to_cstr(name, text, sizeof text)) {
        return;
    }
    for (size_t i = 0; (value = peek_sip_header(bytes, text, i)).p; i++) {
        char param[64];
        if (w->param.n == 0) {
            tell(w, value);
        } else if (span_to_cstr(w->param, param, sizeof param)) {
            struct span found = peek_sip_param(value, param);
            if (found.n) {
                tell(w, found);
            }
        }
    }
}

/* A parameter of whatever header field. */
static void walk_sip_params(struct walk *w, struct span bytes) {
    char param[64];
    struct span rest = bytes;
    if (!span_to_cstr(w->name, param, sizeof param)) {
        return;
    }
    (void)span_cut(&rest, '\n');
    while (rest.p) {
        struct span line = span_trim(span_cut(&rest, '\n'));
        if (line.n == 0) {
            return;
        }
        (void)span_cut(&line, ':');
        struct span found = peek_sip_param(line, param);
        if (found.n) {
            tell(w, found);
        }
    }
}

static void walk_sip(struct walk *w, struct span bytes) {
    struct peek_sip sip;
    char c = w->name.p[0];
    if (!peek_sip(bytes, &sip)) {
        return;
    }
    if (span_eq(w->name, SPAN("uri")) && sip.request) {
        tell(w, sip.uri);
    } else if (span_eq(w->name, SPAN("reason")) && !sip.request) {
        tell(w, sip.reason);
    } else if (span_eq(w->name, SPAN("body"))) {
        struct span body = span_after(bytes, span_find(bytes, SPAN("\r\n\r\n")) + 4);
        if (body.n) {
            tell(w, body);
        }
    } else if ((c >= 'a' && c <= 'z') || c == '+') {
        walk_sip_params(w, bytes);
    } else {
        walk_sip_header(w, bytes, w->name);
    }
}

/* Diameter. */

static bool is_named(const struct diameter_def *def, struct span name) {
    return def && span_eq_nocase(span_from_cstr(def->name), name);
}

static void tell_number(struct walk *w, const struct diameter_def *def, uint32_t value) {
    char text[16];
    struct buf b = buf_init(text, sizeof text);
    for (size_t i = 0; i < def->n_values; i++) {
        if (def->values[i].value == value) {
            tell(w, span_from_cstr(def->values[i].name));
            w->n--; /* one value, told twice */
        }
    }
    buf_u64(&b, value);
    tell(w, buf_span(&b));
}

static void tell_avp(struct walk *w, const struct diameter_def *def, struct span value) {
    uint32_t number;
    bool numeric = def->type == DIAMETER_U32 || def->type == DIAMETER_ENUM;
    if (numeric && diameter_u32(value, &number)) {
        tell_number(w, def, number);
    } else {
        tell(w, value);
    }
}

static void walk_avps(struct walk *w, struct span avps, bool inside, unsigned depth) {
    struct diameter_iter it = diameter_iter_init(avps);
    struct diameter_avp avp;
    while (diameter_next(&it, &avp)) {
        const struct diameter_def *def = diameter_def_find(avp.code, avp.vendor);
        if (!def) {
            continue;
        }
        bool named = is_named(def, w->name);
        if (w->param.n ? inside && is_named(def, w->param) : named) {
            tell_avp(w, def, avp.value);
        }
        if (def->type == DIAMETER_GROUP && depth < DIAMETER_DEPTH_MAX) {
            walk_avps(w, avp.value, inside || named, depth + 1);
        }
    }
}

size_t flow_values(const struct ladder_arrow *a, struct span name, struct span param,
                   flow_value_fn *each, void *ctx) {
    struct walk w = {.name = name, .param = param, .each = each, .ctx = ctx};
    struct peek_diameter d;
    if (a->protocol == TRACE_SIP) {
        walk_sip(&w, a->bytes);
    } else if (a->protocol == TRACE_DIAMETER && peek_diameter(a->bytes, &d)) {
        walk_avps(&w, d.avps, false, 0);
    } else if (a->protocol == TRACE_DNS && span_eq(name, SPAN("text"))) {
        tell(&w, a->bytes);
    }
    return w.n;
}

/* Values of one line: commas outside of quotes and angle brackets divide. */
static bool count_list(void *ctx, struct span value) {
    size_t *n = ctx;
    bool quoted = false;
    unsigned open = 0;
    ++*n;
    for (size_t i = 0; i < value.n; i++) {
        char c = value.p[i];
        quoted ^= c == '"';
        open += c == '<' && !quoted;
        open -= c == '>' && !quoted && open;
        *n += c == ',' && !quoted && !open;
    }
    return true;
}

size_t flow_count(const struct ladder_arrow *a, struct span name) {
    size_t n = 0;
    size_t lines = flow_values(a, name, SPAN_NONE, count_list, &n);
    bool one = span_find(name, SPAN("Auth")) < name.n || span_eq(name, SPAN("Date"));
    return a->protocol == TRACE_SIP && !one ? n : lines; /* their commas divide no values */
}

bool flow_result(const struct ladder_arrow *a, uint32_t *code, const char **name) {
    enum { RESULT_CODE = 268, EXPERIMENTAL_RESULT = 297, EXPERIMENTAL_RESULT_CODE = 298 };
    enum { VENDOR_ID = 266 };
    struct peek_diameter d;
    uint32_t vendor = 0;
    if (a->protocol != TRACE_DIAMETER || !peek_diameter(a->bytes, &d)) {
        return false;
    }
    struct span group = peek_avp(d.avps, EXPERIMENTAL_RESULT, 0);
    if (!peek_u32(peek_avp(d.avps, RESULT_CODE, 0), code) &&
        !(peek_u32(peek_avp(group, EXPERIMENTAL_RESULT_CODE, 0), code) &&
          peek_u32(peek_avp(group, VENDOR_ID, 0), &vendor))) {
        return false;
    }
    *name = diameter_result_name((struct diameter_result){vendor, *code});
    return true;
}

const struct diameter_def *flow_avp_named(struct span name) {
    /* The dictionary is found by code; names are few and read once for each line of a flow. */
    enum { CODES = 1024 };
    for (uint32_t code = 1; code < CODES; code++) {
        const struct diameter_def *base = diameter_def_find(code, 0);
        const struct diameter_def *other = diameter_def_find(code, DIAMETER_VENDOR_3GPP);
        if (is_named(base, name) || is_named(other, name)) {
            return is_named(base, name) ? base : other;
        }
    }
    return NULL;
}
