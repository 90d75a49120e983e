/* MAR, MAA: TS 29.228 6.3, TS 29.229 6.1.7, TS 33.102 6.3, TS 33.203 annex N. The decision is
 * model/cx/multimedia_auth.c, sequence numbers are model/aka/sqn.h's.
 *
 * A number is used only after the block that it is from has been reserved durably. An AUTS that
 * proves to be forged changes nothing; the S-CSCF gets fresh vectors all the same (TS 33.102
 * 6.3.5, step 6). */
#include "model/cx/multimedia_auth.h"

#include "node/hss/internal.h"

#include <openssl/crypto.h>

static void make_vectors(struct job *job);

static void refuse(struct job *job, enum cx_result result) {
    OPENSSL_cleanse(job->mar.vectors, sizeof job->mar.vectors[0] * job->mar.made);
    hss_refuse(job, result, job->mar.request.user_name, job->mar.request.public_identity);
}

static struct span put_hex(char *room, size_t size, const uint8_t *bytes) {
    struct buf b = buf_init(room, size);

    buf_hex(&b, bytes, size / 2);
    return buf_span(&b);
}

/* MD5 stands first where there are both, since an S-CSCF of before RFC 8760 looks nowhere else. */
static void make_digest(const struct hss *h, struct span realm, const uint8_t *md5,
                        const uint8_t *sha256, struct hss_digest *out) {
    out->authenticate = (struct cx_sip_digest_authenticate){
        .digest_realm = realm,
        .digest_qop = h->config.digest_qop,
        .digest_algorithm = md5 ? SPAN("MD5") : SPAN("SHA-256"),
        .digest_ha1 = md5 ? put_hex(out->md5, sizeof out->md5, md5)
                          : put_hex(out->sha256, sizeof out->sha256, sha256)};
    if (md5 && sha256) {
        out->authenticate.alternate_digest_algorithm = SPAN("SHA-256");
        out->authenticate.alternate_digest_ha1 = put_hex(out->sha256, sizeof out->sha256, sha256);
    }
}

struct cx_sip_auth_data_item hss_digest_item(const struct hss *h, struct rec_impi impi,
                                             struct hss_digest *out) {
    make_digest(h, rec_impi_digest_realm(impi),
                rec_impi_has_digest_md5(impi) ? rec_impi_ha1_md5(impi) : NULL,
                rec_impi_has_digest_sha256(impi) ? rec_impi_ha1_sha256(impi) : NULL, out);
    return (struct cx_sip_auth_data_item){.sip_authentication_scheme =
                                              multimedia_auth_scheme_name(MULTIMEDIA_AUTH_DIGEST),
                                          .sip_digest_authenticate = &out->authenticate};
}

static bool find_digest(const struct job *job, struct hss_digest *out) {
    struct rec_impi impi;

    if (!(job->mar.schemes & MULTIMEDIA_AUTH_DIGEST) ||
        !subscription_impi_of_slot(job->subscriber->s.data, job->mar.impi_slot, &impi)) {
        return false;
    }
    (void)hss_digest_item(job->hss, impi, out);
    return true;
}

static void send_items(struct job *job, struct cx_sip_auth_data_item *items, uint32_t n) {
    const struct cx_mar *mar = &job->mar.request;

    for (uint32_t i = 0; i < n; i++) {
        items[i].has_sip_item_number = true;
        items[i].sip_item_number = i + 1;
    }
    struct cx_maa maa = {
        .result = hss_result(CX_SUCCESS),
        .user_name = mar->user_name,
        .public_identity = mar->public_identity,
        .has_sip_number_auth_items = true,
        .sip_number_auth_items = n,
        .sip_auth_data_item = items,
        .n_sip_auth_data_item = n,
    };
    cx_maa_encode(diameter_answer_begin(job->rq), &maa);
    diameter_answer_send(job->rq);
}

static void answer(struct job *job) {
    struct cx_sip_auth_data_item items[VECTORS_MAX + 1];
    uint8_t authenticate[VECTORS_MAX][AKA_RAND_SIZE + AKA_AUTN_SIZE];
    struct hss_digest digest;
    uint32_t n = 0;

    if (find_digest(job, &digest)) {
        items[n++] = (struct cx_sip_auth_data_item){
            .sip_authentication_scheme = multimedia_auth_scheme_name(MULTIMEDIA_AUTH_DIGEST),
            .sip_digest_authenticate = &digest.authenticate,
        };
    }
    for (unsigned i = 0; i < job->mar.made; i++) {
        const struct aka_vector *v = &job->mar.vectors[i];

        memcpy(authenticate[i], v->rand, AKA_RAND_SIZE);
        memcpy(authenticate[i] + AKA_RAND_SIZE, v->autn, AKA_AUTN_SIZE);
        items[n++] = (struct cx_sip_auth_data_item){
            .sip_authentication_scheme = multimedia_auth_scheme_name(MULTIMEDIA_AUTH_AKA),
            .sip_authenticate = span_of(authenticate[i], sizeof authenticate[i]),
            .sip_authorization = span_of(v->xres, v->xres_n),
            .confidentiality_key = span_of(v->ck, sizeof v->ck),
            .integrity_key = span_of(v->ik, sizeof v->ik),
        };
    }
    send_items(job, items, n);
    OPENSSL_cleanse(&digest, sizeof digest);
    job->hss->counters.vectors += job->mar.made;
    OPENSSL_cleanse(job->mar.vectors, sizeof job->mar.vectors[0] * job->mar.made);
    job_end(job);
}

/* Nobody has such an identity, and nobody shall find that out (hardening HA6): a Digest credential
 * that no password fits. What an S-CSCF makes of it looks like that of any subscriber. */
static void answer_decoy(struct job *job) {
    uint8_t ha1[48];
    struct hss_digest digest;

    env_random(job->hss->env, ha1, sizeof ha1);
    make_digest(job->hss, job->hss->config.home_domain, ha1, ha1 + 16, &digest);
    struct cx_sip_auth_data_item item = {
        .sip_authentication_scheme = multimedia_auth_scheme_name(MULTIMEDIA_AUTH_DIGEST),
        .sip_digest_authenticate = &digest.authenticate,
    };
    job->hss->counters.decoys++;
    decoy_note(job->hss, job->mar.request.user_name, job->mar.request.server_name);
    send_items(job, &item, 1);
    job_end(job);
}

static bool wants_decoy(const struct job *job, const struct multimedia_auth_request *request,
                        enum cx_result result) {
    return job->hss->config.challenge_unknown &&
           (result == CX_USER_UNKNOWN || result == CX_IDENTITIES_DONT_MATCH) &&
           (multimedia_auth_schemes_of(request->scheme) & MULTIMEDIA_AUTH_DIGEST) != 0;
}

static bool find_key(const struct job *job, struct rec_impi *impi, struct aka_key *key) {
    if (!subscription_impi_of_slot(job->subscriber->s.data, job->mar.impi_slot, impi)) {
        return false;
    }
    memcpy(key->k, rec_impi_k(*impi), sizeof key->k);
    memcpy(key->opc, rec_impi_opc(*impi), sizeof key->opc);
    return true;
}

/* The AUTS of SIP-Authorization (RAND, AUTS), if there is one. */
static enum cx_result resynchronise(struct job *job) {
    struct span given = job->mar.request.sip_auth_data_item.sip_authorization;
    struct hss *h = job->hss;
    struct rec_impi impi;
    struct aka_key key;
    uint64_t sqn_ms;

    job->mar.resynchronised = true;
    if (given.n != AKA_RAND_SIZE + AKA_AUTS_SIZE || !find_key(job, &impi, &key)) {
        return CX_INVALID_AVP_VALUE;
    }
    const uint8_t *rand = (const uint8_t *)given.p;
    enum error e = aka_auts_check(&h->milenage, &key, rand, rand + AKA_RAND_SIZE, &sqn_ms);
    OPENSSL_cleanse(&key, sizeof key);
    if (e == ERR_AUTHENTICATION) {
        h->counters.forged_auts++;
        LOG(&h->env->log, LOG_WARNING, "AUTS is forged or of another key: nothing was changed",
            LOG_SPAN("impi", job->mar.request.user_name));
        return CX_SUCCESS;
    }
    if (e) {
        return CX_UNABLE_TO_COMPLY;
    }
    h->counters.resyncs++;
    return sqn_resynchronise(&job->mar.sqn->counter, sqn_ms) == SQN_RESYNC_END ? CX_UNABLE_TO_COMPLY
                                                                               : CX_SUCCESS;
}

static void load_counter(struct job *job);

static void reserved(struct store_op *op) {
    struct job *job = CONTAINER_OF(op, struct job, op);
    struct sqn_entry *sqn = job->mar.sqn;

    if (op->error == OK) {
        sqn->stored = job->mar.reserving;
        sqn_reserved(&sqn->counter, sqn->stored);
        make_vectors(job);
    } else if (op->error == ERR_CONFLICT && ++job->attempts < ATTEMPTS_MAX) {
        sqn->loaded = false;
        job->mar.resynchronised = false;
        load_counter(job);
    } else {
        refuse(job, CX_UNABLE_TO_COMPLY);
    }
}

static void make_vectors(struct job *job) {
    struct hss *h = job->hss;
    struct sqn_entry *sqn = job->mar.sqn;
    unsigned ind = sqn_ind_of(job->mar.request.server_name);
    struct rec_impi impi;
    struct aka_key key;
    enum error e = OK;

    if (!find_key(job, &impi, &key)) {
        refuse(job, CX_UNABLE_TO_COMPLY);
        return;
    }
    while (!e && job->mar.made < job->mar.wanted) {
        uint8_t rand[AKA_RAND_SIZE];
        uint64_t number;

        if (!sqn_take(&sqn->counter, ind, &number)) {
            break;
        }
        env_random(h->env, rand, sizeof rand);
        e = aka_vector_make(&h->milenage, &key, rec_impi_amf(impi), number, rand,
                            &job->mar.vectors[job->mar.made]);
        job->mar.made += !e;
    }
    OPENSSL_cleanse(&key, sizeof key);
    if (!e && job->mar.made == job->mar.wanted) {
        answer(job);
        return;
    }
    if (!e) {
        e = sqn_reserve(&sqn->counter, &job->mar.reserving);
    }
    if (e) {
        LOG(&h->env->log, LOG_ERROR, "no vector can be made",
            LOG_SPAN("impi", job->mar.request.user_name), LOG_CSTR("why", error_text(e)));
        refuse(job, CX_UNABLE_TO_COMPLY);
        return;
    }
    job->op.done = reserved;
    store_save_sqn(h->store, &job->op, sqn->id, sqn->slot, sqn->stored, job->mar.reserving);
}

static void proceed(struct job *job) {
    if (job->mar.request.sip_auth_data_item.sip_authorization.p && !job->mar.resynchronised) {
        enum cx_result result = resynchronise(job);

        if (result != CX_SUCCESS) {
            refuse(job, result);
            return;
        }
    }
    make_vectors(job);
}

static void loaded(struct store_op *op) {
    struct job *job = CONTAINER_OF(op, struct job, op);
    struct sqn_entry *sqn = job->mar.sqn;

    if (op->error) {
        refuse(job, CX_UNABLE_TO_COMPLY);
        return;
    }
    sqn->loaded = true;
    sqn->stored = op->sqn;
    sqn->counter = sqn_load(op->sqn);
    proceed(job);
}

static void load_counter(struct job *job) {
    job->op.done = loaded;
    store_load_sqn(job->hss->store, &job->op, job->mar.sqn->id, job->mar.sqn->slot);
}

/* What the MAR leaves behind softly. */
static bool note(struct job *job, const struct multimedia_auth *a) {
    struct subscriber *s = job->subscriber;

    if (a->note_server) {
        struct span name = hss_name(job->hss, job->mar.request.server_name);

        if (!name.p) {
            return false;
        }
        s->s.notes.scscf_name = name;
    }
    if (a->note_pending) {
        s->s.notes.authentication_pending |= UINT64_C(1) << a->impi_slot;
    }
    if (a->note_server || a->note_pending) {
        subscriber_note(job->hss, s);
    }
    return true;
}

static unsigned wanted(const struct job *job) {
    unsigned n = job->mar.request.sip_number_auth_items;
    unsigned max = job->hss->config.vectors_max;

    return n == 0 ? 1 : n < max ? n : max;
}

static void run(struct job *job) {
    const struct cx_mar *mar = &job->mar.request;
    struct multimedia_auth_request request = {
        .impi = mar->user_name,
        .impu = job->identity,
        .server_name = mar->server_name,
        .scheme = mar->sip_auth_data_item.sip_authentication_scheme,
        .resynchronise = mar->sip_auth_data_item.sip_authorization.p != NULL,
    };

    if (job->error) {
        refuse(job, CX_UNABLE_TO_COMPLY);
        return;
    }
    if (job_looks_elsewhere(job, request.impi)) {
        return;
    }
    request.impi_elsewhere = job->impi_elsewhere;
    struct multimedia_auth a =
        multimedia_authenticate(job->subscriber ? &job->subscriber->s : NULL, &request);
    if (wants_decoy(job, &request, a.result)) {
        answer_decoy(job);
        return;
    }
    if (!job->subscriber || a.result != CX_SUCCESS) {
        refuse(job, a.result);
        return;
    }
    job->mar.impi_slot = a.impi_slot;
    job->mar.schemes = a.schemes;
    if (!(a.schemes & MULTIMEDIA_AUTH_AKA)) {
        if (note(job, &a)) {
            answer(job);
        } else {
            refuse(job, CX_UNABLE_TO_COMPLY);
        }
        return;
    }
    job->mar.wanted = wanted(job);
    job->mar.sqn = sqn_entry(job->hss, job->subscriber->id, a.impi_slot);
    if (!job->mar.sqn || !note(job, &a)) {
        refuse(job, CX_UNABLE_TO_COMPLY);
    } else if (job->mar.sqn->loaded) {
        proceed(job);
    } else {
        load_counter(job);
    }
}

void mar_take(struct hss *h, struct diameter_request *rq, const struct diameter_msg *msg) {
    struct diameter_fault fault;
    struct job *job = job_new(h, run);

    h->counters.mar++;
    if (!job) {
        hss_answer_busy(rq);
        return;
    }
    job->latency = &h->counters.mar_latency;
    job->rq = rq;
    job->mar.made = 0;
    job->mar.resynchronised = false;
    if (cx_mar_decode(diameter_request_arena(rq), msg, &job->mar.request, &fault) != OK) {
        diameter_answer_fault(rq, &fault);
        job_end(job);
        return;
    }
    job_find(job, STORE_IMPU,
             hss_canonical(diameter_request_arena(rq), job->mar.request.public_identity));
}
