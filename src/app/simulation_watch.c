#include "app/simulation_watch.h"

#include "base/htab.h"
#include "codec/userdata/userdata.h"
#include "obs/peek.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* TS 29.229 */
enum {
    VENDOR_3GPP = 10415,
    CX_SAR = 301,
    CX_MAR = 303,
    CX_PPR = 305,
    AVP_USER_NAME = 1,
    AVP_RESULT_CODE = 268,
    AVP_PUBLIC_IDENTITY = 601,
    AVP_USER_DATA = 606,
    AVP_SIP_AUTHENTICATE = 609,
    AVP_SIP_AUTH_DATA_ITEM = 612,
    AVP_SERVER_ASSIGNMENT_TYPE = 614,
    RESULT_SUCCESS = 2001,
    ASSIGN_REGISTRATION = 1,
    ASSIGN_RE_REGISTRATION = 2,
};

/* Subscribers. */

enum { IMSI_DIGITS = 15, KEY_BYTES = 16, CHUNK_BYTES = 16384, CHUNKS_KEPT = 2 };

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
    chunk_pool_init(&w->chunks, CHUNK_BYTES, CHUNKS_KEPT);
    w->subjects = calloc(n, sizeof *w->subjects);
    if (!w->subjects) {
        chunk_pool_free(&w->chunks);
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
    chunk_pool_free(&w->chunks);
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

/* User-Data. */

void watch_reset(struct watch_subject *s, bool vectors) {
    s->promise = WATCH_NOTHING;
    s->sar_end_to_end = 0;
    s->n_vectors = vectors ? 0 : s->n_vectors;
}

uint64_t watch_content(struct span identity, bool barred, struct span display_name,
                       struct span alias_group, struct span server) {
    uint64_t h = hash_mix(hash_bytes(identity), barred);
    h = hash_mix(h, hash_bytes(display_name));
    h = hash_mix(h, hash_bytes(alias_group));
    return hash_mix(h, hash_bytes(server));
}

static uint64_t content_of(const struct userdata *data) {
    uint64_t sum = 0;
    for (size_t i = 0; i < data->n_profiles; i++) {
        const struct userdata_profile *p = &data->profiles[i];
        struct span server = p->n_ifcs ? p->ifcs[0].server_name : SPAN_NONE;
        for (size_t k = 0; k < p->n_identities; k++) {
            const struct userdata_identity *id = &p->identities[k];
            sum +=
                watch_content(id->identity, id->barred, id->display_name, id->alias_group, server);
        }
    }
    return sum;
}

/* Notes it for all subjects whose own identities it has: with the PPR that brings it, or, without
 * one, for good. */
static void note_content(struct watch *w, const struct userdata *data, uint32_t ppr) {
    uint64_t content = content_of(data);
    for (size_t i = 0; i < data->n_profiles; i++) {
        const struct userdata_profile *p = &data->profiles[i];
        for (size_t k = 0; k < p->n_identities; k++) {
            struct watch_subject *s = watch_subject_of(w, p->identities[k].identity);
            if (!s || !span_eq(p->identities[k].identity, s->card.impus[0])) {
                continue;
            }
            if (ppr) {
                s->pushed = content;
            } else {
                s->content = content;
            }
            s->ppr_end_to_end = ppr;
        }
    }
}

static void on_user_data(struct watch *w, struct span avps, uint32_t ppr) {
    struct span xml = peek_avp(avps, AVP_USER_DATA, VENDOR_3GPP);
    struct arena arena = arena_init(&w->chunks);
    struct userdata *data;
    if (xml.n && userdata_read(xml, &arena, &data) != OK) {
        watch_fault(w, "User-Data cannot be read");
    } else if (xml.n) {
        note_content(w, data, ppr);
    }
    arena_release(&arena);
}

static void on_ppa(struct watch *w, const struct peek_diameter *d) {
    uint32_t result;
    bool taken =
        peek_u32(peek_avp(d->avps, AVP_RESULT_CODE, 0), &result) && result == RESULT_SUCCESS;
    for (size_t i = 0; i < w->n; i++) {
        struct watch_subject *s = &w->subjects[i];
        if (s->ppr_end_to_end && s->ppr_end_to_end == d->end_to_end) {
            s->content = taken ? s->pushed : s->content;
            s->ppr_end_to_end = 0;
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
    on_user_data(w, d->avps, 0);
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
    } else if (d.command == CX_PPR && d.request) {
        on_user_data(w, d.avps, d.end_to_end);
    } else if (d.command == CX_PPR) {
        on_ppa(w, &d);
    }
}
