/* What a tree of elements means: TS 29.228 annex E. Elements that the schema does not know are kept
 * as they are (its xs:any); what it wants once and is there twice, or what it
 * wants and is not there, makes the document malformed. */
#include "codec/userdata/tree.h"

struct reader {
    const struct userdata_tree *tree;
    enum error error; /* sticky */
    size_t profiles, identities, ifcs, spts;
};

/* NOLINTBEGIN(bugprone-macro-parentheses): a name that is declared stands in none */
#define EACH_CHILD(r, node, child)                                                                 \
    for (uint32_t child = (r)->tree->nodes[(node)].child; child != USERDATA_NONE && !(r)->error;   \
         (child) = (r)->tree->nodes[(child)].next)
/* NOLINTEND(bugprone-macro-parentheses) */

static enum userdata_element element_of(const struct reader *r, uint32_t node) {
    return r->tree->nodes[node].element;
}

static void fail(struct reader *r, enum error e) {
    if (!r->error) {
        r->error = e;
    }
}

/* Zeroed memory for n things; one is taken for none, so that NULL means only failure. */
static void *take(struct reader *r, size_t n, size_t size) {
    void *p = r->error ? NULL : arena_zalloc(r->tree->arena, (n ? n : 1) * size);

    if (!p) {
        fail(r, ERR_NO_MEMORY);
    }
    return p;
}

/* n more of something, of which there may be max in all; looked at before memory is taken. */
static void bound(struct reader *r, size_t *so_far, size_t n, size_t max) {
    *so_far += n;
    if (*so_far > max) {
        fail(r, ERR_TOO_BIG);
    }
}

static size_t count(struct reader *r, uint32_t node, enum userdata_element element) {
    size_t n = 0;

    EACH_CHILD(r, node, child) {
        n += element_of(r, child) == element;
    }
    return n;
}

/* The only child of this kind, USERDATA_NONE if there is none. */
static uint32_t only(struct reader *r, uint32_t node, enum userdata_element element) {
    uint32_t found = USERDATA_NONE;

    if (node == USERDATA_NONE) {
        return found;
    }
    EACH_CHILD(r, node, child) {
        if (element_of(r, child) == element) {
            if (found != USERDATA_NONE) {
                fail(r, ERR_MALFORMED);
            }
            found = child;
        }
    }
    return found;
}

static struct span raw_text(struct reader *r, uint32_t node) {
    const struct userdata_node *n = &r->tree->nodes[node];

    if (n->child != USERDATA_NONE) {
        fail(r, ERR_MALFORMED);
    }
    return n->text;
}

/* Text in which white space around does not count (URIs and numbers). */
static struct span token(struct reader *r, uint32_t node) {
    return span_trim(raw_text(r, node));
}

static uint32_t number(struct reader *r, uint32_t node, uint32_t max) {
    uint32_t value = 0;

    if (!span_to_u32(token(r, node), max, &value)) {
        fail(r, ERR_MALFORMED);
    }
    return value;
}

static bool boolean(struct reader *r, uint32_t node) {
    struct span s = token(r, node);
    bool yes = span_eq(s, SPAN("1")) || span_eq(s, SPAN("true"));

    if (!yes && !span_eq(s, SPAN("0")) && !span_eq(s, SPAN("false"))) {
        fail(r, ERR_MALFORMED);
    }
    return yes;
}

static struct span mandatory_token(struct reader *r, uint32_t node, enum userdata_element element) {
    uint32_t child = only(r, node, element);
    struct span s = child == USERDATA_NONE ? SPAN_NONE : token(r, child);

    if (!s.n) {
        fail(r, ERR_MALFORMED);
    }
    return s;
}

static struct span optional_text(struct reader *r, uint32_t node, enum userdata_element element,
                                 bool trimmed) {
    uint32_t child = only(r, node, element);

    if (child == USERDATA_NONE) {
        return SPAN_NONE;
    }
    return trimmed ? token(r, child) : raw_text(r, child);
}

/* Appends what nobody knows of a structure and of the Extensions in it. b is NULL: only counts. */
static size_t gather(struct reader *r, uint32_t node, struct buf *b) {
    size_t n = 0;

    EACH_CHILD(r, node, child) {
        if (element_of(r, child) == EL_OTHER) {
            n += r->tree->nodes[child].text.n;
            if (b) {
                buf_put(b, r->tree->nodes[child].text);
            }
        } else if (element_of(r, child) == EL_Extension) {
            n += gather(r, child, b);
        }
    }
    return n;
}

static struct span others(struct reader *r, uint32_t node) {
    size_t n = node == USERDATA_NONE ? 0 : gather(r, node, NULL);
    char *p = n ? take(r, n, 1) : NULL;
    struct buf b = buf_init(p, p ? n : 0);

    if (!p) {
        return SPAN_NONE;
    }
    (void)gather(r, node, &b);
    return buf_span(&b);
}

static void read_identity(struct reader *r, uint32_t node, struct userdata_identity *out) {
    uint32_t barring = only(r, node, EL_BarringIndication);
    uint32_t extension = only(r, node, EL_Extension);
    uint32_t second = only(r, extension, EL_Extension);
    uint32_t third = only(r, second, EL_Extension);
    uint32_t type = only(r, extension, EL_IdentityType);

    out->identity = mandatory_token(r, node, EL_Identity);
    out->barred = barring != USERDATA_NONE && boolean(r, barring);
    if (type != USERDATA_NONE) {
        out->type = number(r, type, USERDATA_WILDCARDED_IMPU);
    }
    out->wildcarded_psi = optional_text(r, extension, EL_WildcardedPSI, true);
    out->display_name = optional_text(r, second, EL_DisplayName, false);
    out->alias_group = optional_text(r, second, EL_AliasIdentityGroupID, true);
    out->wildcarded_impu = optional_text(r, third, EL_WildcardedIMPU, true);
    out->extension = others(r, node);
}

static const uint32_t *read_numbers(struct reader *r, uint32_t node, enum userdata_element element,
                                    size_t *n) {
    *n = count(r, node, element);
    uint32_t *numbers = take(r, *n, sizeof *numbers);
    size_t i = 0;

    EACH_CHILD(r, node, child) {
        if (element_of(r, child) == element) {
            numbers[i++] = number(r, child, INT32_MAX);
        }
    }
    return numbers;
}

/* Header and Content, or Line and Content. */
static void read_pattern(struct reader *r, uint32_t node, enum userdata_element what,
                         struct userdata_spt *out) {
    uint32_t content = only(r, node, EL_Content);

    out->value = mandatory_token(r, node, what);
    out->has_content = content != USERDATA_NONE;
    if (out->has_content) {
        out->content = raw_text(r, content);
    }
}

static void read_condition(struct reader *r, uint32_t child, struct userdata_spt *out) {
    switch (element_of(r, child)) {
    case EL_RequestURI:
        out->kind = USERDATA_SPT_REQUEST_URI;
        out->value = token(r, child);
        break;
    case EL_Method:
        out->kind = USERDATA_SPT_METHOD;
        out->value = token(r, child);
        break;
    case EL_SIPHeader:
        out->kind = USERDATA_SPT_SIP_HEADER;
        read_pattern(r, child, EL_Header, out);
        break;
    case EL_SessionCase:
        out->kind = USERDATA_SPT_SESSION_CASE;
        out->session_case = number(r, child, USERDATA_ORIGINATING_CDIV);
        break;
    default:
        out->kind = USERDATA_SPT_SESSION_DESCRIPTION;
        read_pattern(r, child, EL_Line, out);
        break;
    }
}

static bool is_condition(enum userdata_element e) {
    return e == EL_RequestURI || e == EL_Method || e == EL_SIPHeader || e == EL_SessionCase ||
           e == EL_SessionDescription;
}

static void read_spt(struct reader *r, uint32_t node, struct userdata_spt *out) {
    uint32_t negated = only(r, node, EL_ConditionNegated);
    uint32_t extension = only(r, node, EL_Extension);
    size_t conditions = 0;

    out->negated = negated != USERDATA_NONE && boolean(r, negated);
    out->groups = read_numbers(r, node, EL_Group, &out->n_groups);
    EACH_CHILD(r, node, child) {
        if (is_condition(element_of(r, child))) {
            conditions++;
            read_condition(r, child, out);
        }
    }
    if (extension != USERDATA_NONE) {
        EACH_CHILD(r, extension, child) {
            if (element_of(r, child) == EL_RegistrationType) {
                out->registration_types |= (uint8_t)(1 << number(r, child, 2));
            }
        }
    }
    out->extension = others(r, node);
    if (conditions != 1 || out->n_groups == 0) {
        fail(r, ERR_MALFORMED);
    }
}

static void read_trigger(struct reader *r, uint32_t node, struct userdata_ifc *out) {
    uint32_t cnf = only(r, node, EL_ConditionTypeCNF);
    size_t i = 0;

    out->n_spts = count(r, node, EL_SPT);
    bound(r, &r->spts, out->n_spts, USERDATA_SPTS_MAX);
    struct userdata_spt *spts = take(r, out->n_spts, sizeof *spts);
    EACH_CHILD(r, node, child) {
        if (element_of(r, child) == EL_SPT) {
            read_spt(r, child, &spts[i++]);
        }
    }
    out->spts = spts;
    if (cnf == USERDATA_NONE || out->n_spts == 0) {
        fail(r, ERR_MALFORMED);
        return;
    }
    out->cnf = boolean(r, cnf);
}

static void read_ifc(struct reader *r, uint32_t node, struct userdata_ifc *out) {
    uint32_t priority = only(r, node, EL_Priority);
    uint32_t trigger = only(r, node, EL_TriggerPoint);
    uint32_t server = only(r, node, EL_ApplicationServer);
    uint32_t part = only(r, node, EL_ProfilePartIndicator);
    uint32_t handling = only(r, server, EL_DefaultHandling);
    uint32_t extension = only(r, server, EL_Extension);

    if (priority == USERDATA_NONE || server == USERDATA_NONE) {
        fail(r, ERR_MALFORMED);
        return;
    }
    out->priority = number(r, priority, INT32_MAX);
    out->part = part == USERDATA_NONE ? USERDATA_PART_BOTH : number(r, part, 1);
    out->server_name = mandatory_token(r, server, EL_ServerName);
    out->terminate_on_failure = handling != USERDATA_NONE && number(r, handling, 1) == 1;
    out->service_info = optional_text(r, server, EL_ServiceInfo, false);
    out->include_register_request = only(r, extension, EL_IncludeRegisterRequest) != USERDATA_NONE;
    out->include_register_response =
        only(r, extension, EL_IncludeRegisterResponse) != USERDATA_NONE;
    out->has_trigger = trigger != USERDATA_NONE;
    out->extension = others(r, node);
    out->trigger_extension = others(r, trigger);
    out->server_extension = others(r, server);
    if (out->has_trigger) {
        read_trigger(r, trigger, out);
    }
}

/* Keeps criteria of equal priority in the order of the document. */
static void sort_by_priority(struct userdata_ifc *ifcs, size_t n) {
    for (size_t i = 1; i < n; i++) {
        struct userdata_ifc moved = ifcs[i];
        size_t k = i;

        for (; k > 0 && ifcs[k - 1].priority > moved.priority; k--) {
            ifcs[k] = ifcs[k - 1];
        }
        ifcs[k] = moved;
    }
}

static void read_authorization(struct reader *r, uint32_t node, struct userdata_profile *out) {
    uint32_t media = only(r, node, EL_SubscribedMediaProfileId);
    uint32_t list = only(r, only(r, node, EL_Extension), EL_ListOfServiceIds);
    size_t i = 0;

    out->has_media_profile = media != USERDATA_NONE;
    if (out->has_media_profile) {
        out->media_profile = number(r, media, INT32_MAX);
    }
    out->authorization_extension = others(r, node);
    if (list == USERDATA_NONE) {
        return;
    }
    out->n_service_ids = count(r, list, EL_ServiceId);
    struct span *ids = take(r, out->n_service_ids, sizeof *ids);
    EACH_CHILD(r, list, child) {
        if (element_of(r, child) == EL_ServiceId) {
            ids[i++] = token(r, child);
        }
    }
    out->service_ids = ids;
}

static void read_profile(struct reader *r, uint32_t node, struct userdata_profile *out) {
    uint32_t authorization = only(r, node, EL_CoreNetworkServicesAuthorization);
    uint32_t extension = only(r, node, EL_Extension);
    size_t identity = 0, ifc = 0;

    out->n_identities = count(r, node, EL_PublicIdentity);
    out->n_ifcs = count(r, node, EL_InitialFilterCriteria);
    bound(r, &r->identities, out->n_identities, USERDATA_IDENTITIES_MAX);
    bound(r, &r->ifcs, out->n_ifcs, USERDATA_IFCS_MAX);
    struct userdata_identity *identities = take(r, out->n_identities, sizeof *identities);
    struct userdata_ifc *ifcs = take(r, out->n_ifcs, sizeof *ifcs);
    EACH_CHILD(r, node, child) {
        if (element_of(r, child) == EL_PublicIdentity) {
            read_identity(r, child, &identities[identity++]);
        } else if (element_of(r, child) == EL_InitialFilterCriteria) {
            read_ifc(r, child, &ifcs[ifc++]);
        }
    }
    if (r->error) {
        return;
    }
    sort_by_priority(ifcs, out->n_ifcs);
    out->identities = identities;
    out->ifcs = ifcs;
    out->extension = others(r, node);
    if (authorization != USERDATA_NONE) {
        read_authorization(r, authorization, out);
    }
    if (extension != USERDATA_NONE) {
        out->shared_ifc_sets =
            read_numbers(r, extension, EL_SharedIFCSetID, &out->n_shared_ifc_sets);
    }
    if (out->n_identities == 0) {
        fail(r, ERR_MALFORMED);
    }
}

enum error userdata_interpret(const struct userdata_tree *t, struct userdata **out) {
    struct reader r = {.tree = t};
    size_t i = 0;

    if (t->n == 0 || t->nodes[0].element != EL_IMSSubscription) {
        return ERR_MALFORMED;
    }
    for (uint32_t k = 0; k < t->n; k++) {
        if (t->nodes[k].mixed && t->nodes[k].element != EL_OTHER) {
            return ERR_MALFORMED;
        }
    }
    struct userdata *u = take(&r, 1, sizeof *u);
    if (!u) {
        return r.error;
    }
    u->private_id = mandatory_token(&r, 0, EL_PrivateID);
    u->n_profiles = count(&r, 0, EL_ServiceProfile);
    bound(&r, &r.profiles, u->n_profiles, USERDATA_IDENTITIES_MAX);
    struct userdata_profile *profiles = take(&r, u->n_profiles, sizeof *profiles);
    EACH_CHILD(&r, 0, child) {
        if (element_of(&r, child) == EL_ServiceProfile) {
            read_profile(&r, child, &profiles[i++]);
        }
    }
    u->profiles = profiles;
    u->extension = others(&r, 0);
    if (u->n_profiles == 0) {
        fail(&r, ERR_MALFORMED);
    }
    *out = u;
    return r.error;
}
