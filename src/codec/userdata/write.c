/* Writing User-Data, in the order of annex E's schema and without white space between elements. */
#include "codec/userdata/userdata.h"

static void put_escaped(struct buf *b, struct span s) {
    size_t from = 0;

    for (size_t i = 0; i < s.n; i++) {
        const char *entity = NULL;

        if (s.p[i] == '<') {
            entity = "&lt;";
        } else if (s.p[i] == '&') {
            entity = "&amp;";
        } else if (s.p[i] == '>') {
            entity = "&gt;";
        } else if (s.p[i] == '\r') {
            entity = "&#13;";
        }
        if (entity) {
            buf_bytes(b, s.p + from, i - from);
            buf_cstr(b, entity);
            from = i + 1;
        }
    }
    buf_bytes(b, s.p + from, s.n - from);
}

/* <NAME>text</NAME> */
#define PUT_TEXT(b, name, text_)                                                                   \
    do {                                                                                           \
        buf_put(b, SPAN("<" name ">"));                                                            \
        put_escaped(b, text_);                                                                     \
        buf_put(b, SPAN("</" name ">"));                                                           \
    } while (0)

#define PUT_NUMBER(b, name, number_)                                                               \
    do {                                                                                           \
        buf_put(b, SPAN("<" name ">"));                                                            \
        buf_u64(b, number_);                                                                       \
        buf_put(b, SPAN("</" name ">"));                                                           \
    } while (0)

/* <Extension> of what nobody knows. */
static void put_extension(struct buf *b, struct span extension) {
    if (extension.n) {
        buf_put(b, SPAN("<Extension>"));
        buf_put(b, extension);
        buf_put(b, SPAN("</Extension>"));
    }
}

void userdata_put_open(struct buf *b, struct span private_id) {
    buf_put(b, SPAN("<?xml version=\"1.0\" encoding=\"UTF-8\"?><IMSSubscription>"));
    PUT_TEXT(b, "PrivateID", private_id);
}

void userdata_put_profile_open(struct buf *b) {
    buf_put(b, SPAN("<ServiceProfile>"));
}

void userdata_put_identity(struct buf *b, const struct userdata_identity *i) {
    bool second = i->display_name.n || i->alias_group.n || i->wildcarded_impu.n;

    buf_put(b, SPAN("<PublicIdentity>"));
    if (i->barred) {
        buf_put(b, SPAN("<BarringIndication>1</BarringIndication>"));
    }
    PUT_TEXT(b, "Identity", i->identity);
    if (i->type != USERDATA_PUBLIC_USER_IDENTITY || i->wildcarded_psi.n || second ||
        i->extension.n) {
        buf_put(b, SPAN("<Extension>"));
        PUT_NUMBER(b, "IdentityType", i->type);
        if (i->wildcarded_psi.n) {
            PUT_TEXT(b, "WildcardedPSI", i->wildcarded_psi);
        }
        if (second) {
            buf_put(b, SPAN("<Extension>"));
            if (i->display_name.n) {
                PUT_TEXT(b, "DisplayName", i->display_name);
            }
            if (i->alias_group.n) {
                PUT_TEXT(b, "AliasIdentityGroupID", i->alias_group);
            }
            if (i->wildcarded_impu.n) {
                buf_put(b, SPAN("<Extension>"));
                PUT_TEXT(b, "WildcardedIMPU", i->wildcarded_impu);
                buf_put(b, SPAN("</Extension>"));
            }
            buf_put(b, SPAN("</Extension>"));
        }
        buf_put(b, i->extension);
        buf_put(b, SPAN("</Extension>"));
    }
    buf_put(b, SPAN("</PublicIdentity>"));
}

void userdata_put_profile_close(struct buf *b, struct span fragment) {
    buf_put(b, fragment);
    buf_put(b, SPAN("</ServiceProfile>"));
}

void userdata_put_close(struct buf *b) {
    buf_put(b, SPAN("</IMSSubscription>"));
}

static void put_condition(struct buf *b, const struct userdata_spt *t) {
    switch (t->kind) {
    case USERDATA_SPT_REQUEST_URI:
        PUT_TEXT(b, "RequestURI", t->value);
        break;
    case USERDATA_SPT_METHOD:
        PUT_TEXT(b, "Method", t->value);
        break;
    case USERDATA_SPT_SIP_HEADER:
        buf_put(b, SPAN("<SIPHeader>"));
        PUT_TEXT(b, "Header", t->value);
        if (t->has_content) {
            PUT_TEXT(b, "Content", t->content);
        }
        buf_put(b, SPAN("</SIPHeader>"));
        break;
    case USERDATA_SPT_SESSION_CASE:
        PUT_NUMBER(b, "SessionCase", t->session_case);
        break;
    case USERDATA_SPT_SESSION_DESCRIPTION:
        buf_put(b, SPAN("<SessionDescription>"));
        PUT_TEXT(b, "Line", t->value);
        if (t->has_content) {
            PUT_TEXT(b, "Content", t->content);
        }
        buf_put(b, SPAN("</SessionDescription>"));
        break;
    }
}

static void put_spt(struct buf *b, const struct userdata_spt *t) {
    buf_put(b, SPAN("<SPT>"));
    PUT_NUMBER(b, "ConditionNegated", t->negated);
    for (size_t i = 0; i < t->n_groups; i++) {
        PUT_NUMBER(b, "Group", t->groups[i]);
    }
    put_condition(b, t);
    if (t->registration_types || t->extension.n) {
        buf_put(b, SPAN("<Extension>"));
        for (unsigned type = 0; type < 3; type++) {
            if (t->registration_types >> type & 1) {
                PUT_NUMBER(b, "RegistrationType", type);
            }
        }
        buf_put(b, t->extension);
        buf_put(b, SPAN("</Extension>"));
    }
    buf_put(b, SPAN("</SPT>"));
}

static void put_server(struct buf *b, const struct userdata_ifc *c) {
    buf_put(b, SPAN("<ApplicationServer>"));
    PUT_TEXT(b, "ServerName", c->server_name);
    PUT_NUMBER(b, "DefaultHandling", c->terminate_on_failure);
    if (c->service_info.n) {
        PUT_TEXT(b, "ServiceInfo", c->service_info);
    }
    if (c->include_register_request || c->include_register_response || c->server_extension.n) {
        buf_put(b, SPAN("<Extension>"));
        if (c->include_register_request) {
            buf_put(b, SPAN("<IncludeRegisterRequest/>"));
        }
        if (c->include_register_response) {
            buf_put(b, SPAN("<IncludeRegisterResponse/>"));
        }
        buf_put(b, c->server_extension);
        buf_put(b, SPAN("</Extension>"));
    }
    buf_put(b, SPAN("</ApplicationServer>"));
}

void userdata_put_ifc(struct buf *b, const struct userdata_ifc *c) {
    buf_put(b, SPAN("<InitialFilterCriteria>"));
    PUT_NUMBER(b, "Priority", c->priority);
    if (c->has_trigger) {
        buf_put(b, SPAN("<TriggerPoint>"));
        PUT_NUMBER(b, "ConditionTypeCNF", c->cnf);
        for (size_t i = 0; i < c->n_spts; i++) {
            put_spt(b, &c->spts[i]);
        }
        put_extension(b, c->trigger_extension);
        buf_put(b, SPAN("</TriggerPoint>"));
    }
    put_server(b, c);
    if (c->part != USERDATA_PART_BOTH) {
        PUT_NUMBER(b, "ProfilePartIndicator", c->part);
    }
    put_extension(b, c->extension);
    buf_put(b, SPAN("</InitialFilterCriteria>"));
}

static void put_authorization(struct buf *b, const struct userdata_profile *p) {
    buf_put(b, SPAN("<CoreNetworkServicesAuthorization>"));
    if (p->has_media_profile) {
        PUT_NUMBER(b, "SubscribedMediaProfileId", p->media_profile);
    }
    if (p->n_service_ids || p->authorization_extension.n) {
        buf_put(b, SPAN("<Extension>"));
        if (p->n_service_ids) {
            buf_put(b, SPAN("<ListOfServiceIds>"));
            for (size_t i = 0; i < p->n_service_ids; i++) {
                PUT_TEXT(b, "ServiceId", p->service_ids[i]);
            }
            buf_put(b, SPAN("</ListOfServiceIds>"));
        }
        buf_put(b, p->authorization_extension);
        buf_put(b, SPAN("</Extension>"));
    }
    buf_put(b, SPAN("</CoreNetworkServicesAuthorization>"));
}

void userdata_put_fragment(struct buf *b, const struct userdata_profile *p) {
    if (p->has_media_profile || p->n_service_ids || p->authorization_extension.n) {
        put_authorization(b, p);
    }
    for (size_t i = 0; i < p->n_ifcs; i++) {
        userdata_put_ifc(b, &p->ifcs[i]);
    }
    if (p->n_shared_ifc_sets || p->extension.n) {
        buf_put(b, SPAN("<Extension>"));
        for (size_t i = 0; i < p->n_shared_ifc_sets; i++) {
            PUT_NUMBER(b, "SharedIFCSetID", p->shared_ifc_sets[i]);
        }
        buf_put(b, p->extension);
        buf_put(b, SPAN("</Extension>"));
    }
}

void userdata_write(struct buf *b, const struct userdata *u) {
    userdata_put_open(b, u->private_id);
    for (size_t i = 0; i < u->n_profiles; i++) {
        const struct userdata_profile *p = &u->profiles[i];

        userdata_put_profile_open(b);
        for (size_t k = 0; k < p->n_identities; k++) {
            userdata_put_identity(b, &p->identities[k]);
        }
        userdata_put_fragment(b, p);
        userdata_put_profile_close(b, SPAN_NONE);
    }
    put_extension(b, u->extension);
    userdata_put_close(b);
}
