/* Writing Sh-Data, in the order of annex D's schema and without white space between elements. */
#include "codec/shdata/shdata.h"

static void put_escaped(struct buf *b, struct span s) {
    size_t from = 0;
    for (size_t i = 0; i < s.n; i++) {
        const char *entity = s.p[i] == '<'    ? "&lt;"
                             : s.p[i] == '>'  ? "&gt;"
                             : s.p[i] == '&'  ? "&amp;"
                             : s.p[i] == '\r' ? "&#13;"
                                              : NULL;
        if (entity) {
            buf_bytes(b, s.p + from, i - from);
            buf_cstr(b, entity);
            from = i + 1;
        }
    }
    buf_bytes(b, s.p + from, s.n - from);
}

static void put_open(struct buf *b, const char *name) {
    buf_char(b, '<');
    buf_cstr(b, name);
    buf_char(b, '>');
}

static void put_close(struct buf *b, const char *name) {
    buf_put(b, SPAN("</"));
    buf_cstr(b, name);
    buf_char(b, '>');
}

static void put_text(struct buf *b, const char *name, struct span text) {
    put_open(b, name);
    put_escaped(b, text);
    put_close(b, name);
}

static void put_number(struct buf *b, const char *name, uint64_t number) {
    put_open(b, name);
    buf_u64(b, number);
    put_close(b, name);
}

static void put_name(struct buf *b, const char *name, struct span text) {
    if (text.n) {
        put_text(b, name, text);
    }
}

static void put_identities(struct buf *b, const char *name, const struct shdata_identity_list *l) {
    if (!l->present) {
        return;
    }
    put_open(b, name);
    for (size_t i = 0; i < l->n_impus; i++) {
        put_text(b, "IMSPublicIdentity", l->impus[i]);
    }
    for (size_t i = 0; i < l->n_msisdns; i++) {
        put_text(b, "MSISDN", l->msisdns[i]);
    }
    put_close(b, name);
}

static void put_repositories(struct buf *b, const struct shdata_document *d, bool aliases) {
    const char *name = aliases ? "AliasesRepositoryData" : "RepositoryData";
    for (size_t i = 0; i < d->n_repositories; i++) {
        const struct shdata_repository *r = &d->repositories[i];
        if (r->aliases != aliases) {
            continue;
        }
        put_open(b, name);
        put_text(b, "ServiceIndication", r->service_indication);
        put_number(b, "SequenceNumber", r->sequence_number);
        if (r->has_service_data) {
            put_open(b, "ServiceData");
            buf_put(b, r->service_data);
            put_close(b, "ServiceData");
        }
        put_close(b, name);
    }
}

static void put_charging(struct buf *b, const struct shdata_charging *c) {
    put_open(b, "ChargingInformation");
    put_name(b, "PrimaryEventChargingFunctionName", c->primary_ecf);
    put_name(b, "SecondaryEventChargingFunctionName", c->secondary_ecf);
    put_name(b, "PrimaryChargingCollectionFunctionName", c->primary_ccf);
    put_name(b, "SecondaryChargingCollectionFunctionName", c->secondary_ccf);
    put_close(b, "ChargingInformation");
}

static bool has_ims_data(const struct shdata_document *d) {
    return d->has_scscf_name || d->has_ifcs || d->has_user_state || d->has_charging ||
           d->has_psi_activation;
}

static void put_ims_data(struct buf *b, const struct shdata_document *d) {
    put_open(b, "Sh-IMS-Data");
    if (d->has_scscf_name) {
        put_text(b, "SCSCFName", d->scscf_name);
    }
    if (d->has_ifcs) {
        put_open(b, "IFCs");
        buf_put(b, d->ifcs);
        put_close(b, "IFCs");
    }
    if (d->has_user_state) {
        put_number(b, "IMSUserState", d->user_state);
    }
    if (d->has_charging) {
        put_charging(b, &d->charging);
    }
    if (d->has_psi_activation) {
        put_open(b, "Extension");
        put_number(b, "PSIActivation", d->psi_active);
        put_close(b, "Extension");
    }
    put_close(b, "Sh-IMS-Data");
}

static bool has_aliases(const struct shdata_document *d) {
    for (size_t i = 0; i < d->n_repositories; i++) {
        if (d->repositories[i].aliases) {
            return true;
        }
    }
    return false;
}

static bool has_extension(const struct shdata_document *d) {
    for (size_t i = SHDATA_REGISTERED_IDENTITIES; i < SHDATA_IDENTITIES; i++) {
        if (d->identities[i].present) {
            return true;
        }
    }
    return has_aliases(d);
}

bool shdata_is_empty(const struct shdata_document *d) {
    return !d->identities[SHDATA_PUBLIC_IDENTIFIERS].present && !d->n_repositories &&
           !has_ims_data(d) && !has_extension(d);
}

void shdata_write(struct buf *b, const struct shdata_document *d) {
    buf_put(b, SPAN("<?xml version=\"1.0\" encoding=\"UTF-8\"?><Sh-Data>"));
    put_identities(b, "PublicIdentifiers", &d->identities[SHDATA_PUBLIC_IDENTIFIERS]);
    put_repositories(b, d, false);
    if (has_ims_data(d)) {
        put_ims_data(b, d);
    }
    if (has_extension(d)) {
        put_open(b, "Extension");
        put_identities(b, "RegisteredIdentities", &d->identities[SHDATA_REGISTERED_IDENTITIES]);
        put_identities(b, "ImplicitIdentities", &d->identities[SHDATA_IMPLICIT_IDENTITIES]);
        put_identities(b, "AllIdentities", &d->identities[SHDATA_ALL_IDENTITIES]);
        put_identities(b, "AliasIdentities", &d->identities[SHDATA_ALIAS_IDENTITIES]);
        put_repositories(b, d, true);
        put_close(b, "Extension");
    }
    put_close(b, "Sh-Data");
}
