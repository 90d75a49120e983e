/* The documents that application servers get: data by Data-Reference (TS 29.328 7.6), and
 * repository data from the store. */
#include "node/hss/sh.h"

enum { DOCUMENT_MAX = DIAMETER_MESSAGE_MAX - 16384 };

bool sh_repository_of(struct span record, struct arena *arena, bool aliases,
                      struct shdata_repository *out) {
    struct rec_repository r = rec_repository_of(record);
    bool failed = false;

    *out = (struct shdata_repository){
        .aliases = aliases,
        .service_indication = arena_copy(arena, rec_repository_service_indication(r), &failed),
        .sequence_number = rec_repository_sequence_number(r),
        .has_service_data = true,
        .service_data = arena_copy(arena, rec_repository_service_data(r), &failed),
    };
    return !failed;
}

/* Loading. */

static bool wants_repository(enum sh_data_reference reference) {
    return sh_rules[reference].source == SH_REPOSITORY;
}

static void load_all(struct sh_job *sh);

/* False: it cannot be read. */
static bool keep(struct sh_job *sh, const struct store_op *op) {
    struct sh_loading *l = &sh->loading;
    enum sh_data_reference reference = sh->references[l->at / sh->n_services];
    bool aliases = reference == SH_DATA_REFERENCE_AliasesRepositoryData;

    if (op->error == ERR_NOT_FOUND) {
        return true;
    }
    if (op->error || !sh_repository_of(op->record, sh_arena(sh), aliases, &l->got[l->n_got])) {
        LOG(&sh->job->hss->env->log, LOG_ERROR, "repository data cannot be read",
            LOG_SPAN("impu", sh->impu), LOG_CSTR("why", error_text(op->error)));
        return false;
    }
    l->n_got++;
    return true;
}

static void on_loaded(struct store_op *op) {
    struct job *job = CONTAINER_OF(op, struct job, op);
    struct sh_job *sh = job->ctx;
    struct sh_loading *l = &sh->loading;

    l->failed |= !keep(sh, op);
    l->at++;
    l->come = true;
    if (!l->asking) {
        load_all(sh);
    }
}

/* Loads one after the other. */
static void load_all(struct sh_job *sh) {
    struct sh_loading *l = &sh->loading;
    struct sh_owner owner = sh_owner_of(sh->identity);
    size_t all = sh->n_references * sh->n_services;

    while (l->at < all && !l->failed) {
        if (!wants_repository(sh->references[l->at / sh->n_services])) {
            l->at++;
            continue;
        }
        l->asking = true;
        l->come = false;
        sh->job->op.done = on_loaded;
        store_load_repository(sh->job->hss->store, &sh->job->op, sh->job->subscriber->id,
                              owner.name, owner.of_aliases, sh->services[l->at % sh->n_services]);
        l->asking = false;
        if (!l->come) {
            return;
        }
    }
    if (l->failed) {
        sh_refuse(sh, DIAMETER_RESULT(DIAMETER_UNABLE_TO_COMPLY));
    } else {
        l->done(sh);
    }
}

bool sh_load(struct sh_job *sh, void (*done)(struct sh_job *sh)) {
    bool wanted = false;

    for (size_t i = 0; i < sh->n_references; i++) {
        wanted |= wants_repository(sh->references[i]);
    }
    if (wanted && !sh->n_services) {
        sh_refuse_missing(sh, SH_AVP_SERVICE_INDICATION);
        return false;
    }
    sh->loading = (struct sh_loading){.done = done};
    if (wanted) {
        sh->loading.got =
            arena_alloc(sh_arena(sh), sh->n_references * sh->n_services * sizeof *sh->loading.got);
        if (!sh->loading.got) {
            sh_refuse(sh, DIAMETER_RESULT(DIAMETER_UNABLE_TO_COMPLY));
            return false;
        }
        load_all(sh);
    } else {
        done(sh);
    }
    return true;
}

/* Documents. */

/* What one document is being made of. */
struct making {
    struct hss *h;
    const struct subscription *s;
    struct rec_impu impu;
    const struct sh_question *q;
    struct arena *arena;
    struct shdata_document d;
    bool failed;
};

static void add_identities(struct making *m, enum shdata_identities element,
                           unsigned identity_set) {
    size_t n = rec_subscription_n_impus(m->s->data);
    struct span *impus = arena_alloc(m->arena, (n + 1) * sizeof *impus);
    struct shdata_identity_list *l = &m->d.identities[element];

    if (!impus) {
        m->failed = true;
        return;
    }
    l->present = true;
    l->impus = impus;
    l->n_impus = sh_identities(m->s, m->impu, identity_set, impus);
}

static void add_sets(struct making *m) {
    static const enum shdata_identities elements[] = {
        [SH_IDENTITY_SET_ALL_IDENTITIES] = SHDATA_ALL_IDENTITIES,
        [SH_IDENTITY_SET_REGISTERED_IDENTITIES] = SHDATA_REGISTERED_IDENTITIES,
        [SH_IDENTITY_SET_IMPLICIT_IDENTITIES] = SHDATA_IMPLICIT_IDENTITIES,
        [SH_IDENTITY_SET_ALIAS_IDENTITIES] = SHDATA_ALIAS_IDENTITIES,
    };
    for (size_t i = 0; i < m->q->n_identity_sets; i++) {
        add_identities(m, elements[m->q->identity_sets[i]], m->q->identity_sets[i]);
    }
    if (!m->q->n_identity_sets) {
        add_identities(m, SHDATA_PUBLIC_IDENTIFIERS, SH_NO_IDENTITY_SET);
    }
}

static void add_msisdns(struct making *m) {
    size_t n = rec_subscription_n_impus(m->s->data);
    struct span *digits = arena_alloc(m->arena, (n + 1) * sizeof *digits);
    struct shdata_identity_list *l = &m->d.identities[SHDATA_PUBLIC_IDENTIFIERS];

    if (!digits) {
        m->failed = true;
        return;
    }
    l->msisdns = digits;
    l->n_msisdns = sh_msisdns(m->s, m->impu, digits);
    l->present |= l->n_msisdns > 0;
}

static void add_charging(struct making *m) {
    struct cx_charging_information c;

    m->d.has_charging = hss_charging(m->h, m->s->data, &c);
    if (m->d.has_charging) {
        m->d.charging = (struct shdata_charging){
            .primary_ecf = c.primary_event_charging_function_name,
            .secondary_ecf = c.secondary_event_charging_function_name,
            .primary_ccf = c.primary_charging_collection_function_name,
            .secondary_ccf = c.secondary_charging_collection_function_name};
    }
}

static void add(struct making *m, enum sh_data_reference reference) {
    switch (reference) {
    case SH_DATA_REFERENCE_IMSPublicIdentity:
        add_sets(m);
        break;
    case SH_DATA_REFERENCE_MSISDN:
        add_msisdns(m);
        break;
    case SH_DATA_REFERENCE_IMSUserState:
        m->d.has_user_state = true;
        m->d.user_state = sh_user_state(m->s, m->impu);
        break;
    case SH_DATA_REFERENCE_S_CSCFName:
        m->d.has_scscf_name = true;
        m->d.scscf_name = m->s->state.scscf_name;
        break;
    case SH_DATA_REFERENCE_InitialFilterCriteria:
        m->d.has_ifcs = true;
        m->d.ifcs = profiles_criteria(m->h, rec_impu_profile(m->impu), m->q->server_name, m->arena);
        m->failed |= !m->d.ifcs.p;
        break;
    case SH_DATA_REFERENCE_ChargingInformation:
        add_charging(m);
        break;
    case SH_DATA_REFERENCE_PSIActivation:
        m->d.has_psi_activation = true;
        m->d.psi_active = !rec_impu_inactive(m->impu);
        break;
    default: /* repository data is there already, of others there is none */
        break;
    }
}

struct span sh_document(struct hss *h, const struct subscription *s, struct rec_impu impu,
                        const struct sh_question *q, struct arena *arena) {
    struct making m = {.h = h,
                       .s = s,
                       .impu = impu,
                       .q = q,
                       .arena = arena,
                       .d = {.repositories = q->repositories, .n_repositories = q->n_repositories}};

    for (size_t i = 0; i < q->n_references; i++) {
        add(&m, q->references[i]);
    }
    if (m.failed) {
        return SPAN_NONE;
    }
    if (shdata_is_empty(&m.d)) {
        return SPAN("");
    }
    for (size_t size = 2048; size < (size_t)DOCUMENT_MAX * 4; size *= 4) {
        size_t room = size < DOCUMENT_MAX ? size : DOCUMENT_MAX;
        char *p = arena_alloc(arena, room);
        struct buf b = buf_init(p, p ? room : 0);

        shdata_write(&b, &m.d);
        if (!b.overflow) {
            return buf_span(&b);
        }
    }
    return SPAN_NONE;
}
