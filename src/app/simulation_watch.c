#include "app/simulation_watch.h"

#include "base/htab.h"
#include "obs/peek.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* TS 29.229 */
enum {
    VENDOR_3GPP = 10415,
    CX_SAR = 301,
    CX_MAR = 303,
    AVP_USER_NAME = 1,
    AVP_RESULT_CODE = 268,
    AVP_PUBLIC_IDENTITY = 601,
    AVP_SIP_AUTHENTICATE = 609,
    AVP_SIP_AUTH_DATA_ITEM = 612,
    AVP_SERVER_ASSIGNMENT_TYPE = 614,
    RESULT_SUCCESS = 2001,
    ASSIGN_REGISTRATION = 1,
    ASSIGN_RE_REGISTRATION = 2,
};

/* Subscribers. */

enum { IMSI_DIGITS = 15, KEY_BYTES = 16 };

static enum error make_subject(struct watch_subject *s, size_t number, const char *domain) {
    char k[2 * KEY_BYTES + 1], opc[2 * KEY_BYTES + 1];
    snprintf(s->imsi, sizeof s->imsi, "00101%010zu", number);
    snprintf(k, sizeof k, "%016llx%016zx", 0x6b6579206f662061ULL, number);
    snprintf(opc, sizeof opc, "%016zx%016llx", number, 0x6f70632073696d21ULL);
    return card_from_sim(span_from_cstr(s->imsi), SPAN_NONE, span_from_cstr(k), SPAN_NONE,
                         span_from_cstr(opc), domain, &s->card);
}

enum error watch_init(struct watch *w, size_t n, const char *domain) {
    *w = (struct watch){0};
    enum error e = milenage_init(&w->milenage);
    if (e) {
        return e;
    }
    w->subjects = calloc(n, sizeof *w->subjects);
    if (!w->subjects) {
        milenage_free(&w->milenage);
        return ERR_NO_MEMORY;
    }
    while (!e && w->n < n) {
        e = make_subject(&w->subjects[w->n], w->n, domain);
        w->n += !e;
    }
    if (e) {
        watch_free(w);
    }
    return e;
}

void watch_free(struct watch *w) {
    if (!w->subjects) {
        return;
    }
    for (size_t i = 0; i < w->n; i++) {
        card_free(&w->subjects[i].card);
        free(w->subjects[i].vectors);
    }
    milenage_free(&w->milenage);
    free(w->subjects);
    w->subjects = NULL;
    w->n = 0;
}

void watch_fault(struct watch *w, const char *format, ...) {
    va_list values;
    if (!*w->fault) {
        va_start(values, format);
        vsnprintf(w->fault, sizeof w->fault, format, values);
        va_end(values);
    }
}

struct watch_subject *watch_subject_of(struct watch *w, struct span identity) {
    struct span user = span_slice(identity, 0, span_find_char(identity, '@'));
    uint64_t number;
    if (user.n < IMSI_DIGITS ||
        !span_to_u64(span_after(user, user.n - IMSI_DIGITS + 5), w->n - 1, &number)) {
        return NULL;
    }
    return &w->subjects[number];
}

/* Vectors. */

static void note_vector(struct watch *w, struct watch_subject *s, uint64_t sqn,
                        const uint8_t *rand) {
    for (size_t i = 0; i < s->n_vectors; i++) {
        bool same = memcmp(s->vectors[i].rand, rand, AKA_RAND_SIZE) == 0;
        if (s->vectors[i].sqn == sqn && !same) {
            watch_fault(w, "SQN %llu of %s was used twice", (unsigned long long)sqn, s->imsi);
        } else if (same) {
            return; /* the answer was sent again */
        }
    }
    if (s->n_vectors == s->cap_vectors) {
        size_t cap = s->cap_vectors ? 2 * s->cap_vectors : 16;
        struct watch_vector *grown = realloc(s->vectors, cap * sizeof *grown);
        if (!grown) {
            watch_fault(w, "out of memory");
            return;
        }
        s->vectors = grown;
        s->cap_vectors = cap;
    }
    struct watch_vector *v = &s->vectors[s->n_vectors++];
    v->sqn = sqn;
    memcpy(v->rand, rand, AKA_RAND_SIZE);
    w->vectors++;
}

static void on_vector(struct watch *w, struct watch_subject *s, struct span item) {
    struct span data = peek_avp(item, AVP_SIP_AUTHENTICATE, VENDOR_3GPP);
    struct aka_answer answer;
    uint8_t bytes[AKA_RAND_SIZE + AKA_AUTN_SIZE];
    if (data.n != sizeof bytes) {
        return;
    }
    memcpy(bytes, data.p, sizeof bytes);
    if (aka_challenge_check(&w->milenage, &s->card.isim.key, bytes, bytes + AKA_RAND_SIZE,
                            &answer) != OK) {
        watch_fault(w, "a vector of %s does not verify", s->imsi);
        return;
    }
    note_vector(w, s, answer.sqn, bytes);
}

static void on_maa(struct watch *w, struct span avps) {
    struct watch_subject *s = watch_subject_of(w, peek_avp(avps, AVP_USER_NAME, 0));
    struct peek_avp avp;
    while (s && peek_avp_next(&avps, &avp)) {
        if (avp.code == AVP_SIP_AUTH_DATA_ITEM && avp.vendor == VENDOR_3GPP) {
            on_vector(w, s, avp.data);
        }
    }
}

/* Assignments. */

static bool registers(uint32_t type) {
    return type == ASSIGN_REGISTRATION || type == ASSIGN_RE_REGISTRATION;
}

/* A de-registration takes a promise back as soon as it is asked for. */
static void on_sar(struct watch *w, const struct peek_diameter *d) {
    struct watch_subject *s =
        watch_subject_of(w, peek_avp(d->avps, AVP_PUBLIC_IDENTITY, VENDOR_3GPP));
    uint32_t type;
    if (!s || !peek_u32(peek_avp(d->avps, AVP_SERVER_ASSIGNMENT_TYPE, VENDOR_3GPP), &type)) {
        return;
    }
    s->sar_end_to_end = d->end_to_end;
    s->sar_type = type;
    if (!registers(type)) {
        s->promise = WATCH_NOTHING;
    }
}

static void on_saa(struct watch *w, const struct peek_diameter *d) {
    uint32_t result;
    if (!peek_u32(peek_avp(d->avps, AVP_RESULT_CODE, 0), &result) || result != RESULT_SUCCESS) {
        return;
    }
    for (size_t i = 0; i < w->n; i++) {
        struct watch_subject *s = &w->subjects[i];
        if (s->sar_end_to_end == d->end_to_end && registers(s->sar_type)) {
            s->promise = WATCH_REGISTERED;
            s->sar_end_to_end = 0;
            w->assignments++;
            return;
        }
    }
}

void watch_message(void *watch, const struct trace_message *m) {
    struct watch *w = watch;
    struct peek_diameter d;
    w->digest = hash_mix(w->digest ^ m->at_us, hash_bytes(m->bytes));
    if (m->protocol != TRACE_DIAMETER || !peek_diameter(m->bytes, &d)) {
        return;
    }
    if (d.command == CX_MAR && !d.request) {
        on_maa(w, d.avps);
    } else if (d.command == CX_SAR && d.request) {
        on_sar(w, &d);
    } else if (d.command == CX_SAR) {
        on_saa(w, &d);
    }
}
