/* GET /user-data/IDENTITY: the document of TS 29.228 annex E that an S-CSCF gets for the implicit
 * registration set of a public identity, for people and their tools. */
#include "node/hss/web.h"

/* Whose PrivateID it has: who has registered the set, else the first that the set belongs to. */
static struct span private_id_of(const struct subscription *s, struct rec_impu impu) {
    uint64_t by = s->state.registered_by[rec_impu_set(impu)];
    unsigned owner = rec_impu_impi(impu);
    struct rec_impi impi;

    if (by && subscription_impi_of_slot(s->data, (unsigned)__builtin_ctzll(by), &impi)) {
        return rec_impi_identity(impi);
    }
    if (owner == SUBSCRIPTION_IMPI_ALL || !subscription_impi_of_slot(s->data, owner, &impi)) {
        impi = rec_subscription_impis(s->data, 0);
    }
    return rec_impi_identity(impi);
}

static void show(struct job *job) {
    struct web_job *w = job->ctx;
    struct rec_impu impu;

    if (job->error) {
        web_store_problem(w, job->error);
        return;
    }
    if (!job->subscriber || !subscription_impu(job->subscriber->s.data, job->identity, &impu)) {
        web_problem(w, 404, "nobody has this public identity", NULL, NULL);
        return;
    }
    const struct subscription *s = &job->subscriber->s;
    struct span xml = profiles_user_data(w->hss, s->data, private_id_of(s, impu),
                                         rec_impu_set(impu), w->features);
    if (!xml.p) {
        web_store_problem(w, ERR_NO_MEMORY);
        return;
    }
    web_end_with(w, &(struct web_answer){
                        .status = 200, .content_type = SPAN("application/xml"), .body = xml});
}

void web_user_data(struct web_job *w, bool shared_sets) {
    struct span canonical = hss_canonical(&w->arena, web_name(w));

    if (canonical.n <= sizeof w->name && canonical.p != w->name) {
        memcpy(w->name, canonical.p, canonical.n);
        w->name_n = canonical.n;
    }
    w->features = shared_sets ? CX_FEATURE_SIFC : 0;
    web_with_subscription(w, STORE_IMPU, show);
}
