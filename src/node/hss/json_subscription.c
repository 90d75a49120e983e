/* Subscriptions as JSON and back. */
#include "model/naming/naming.h"
#include "node/hss/web.h"

#include <openssl/crypto.h>

static const char *const subscription_members[] = {"name",  "capabilities", "charging", "impis",
                                                   "impus", "version",      "scscf",    NULL};
static const char *const capability_members[] = {"mandatory", "optional", "servers", NULL};
static const char *const charging_members[] = {"primary_ecf", "secondary_ecf", "primary_ccf",
                                               "secondary_ccf", NULL};
static const char *const impi_members[] = {
    "identity", "k",          "op",        "opc",    "amf",          "password",
    "ha1_md5",  "ha1_sha256", "key_check", "digest", "digest_realm", "privileged_sender",
    NULL};
static const char *const impu_members[] = {
    "identity", "impi",         "set",         "default",      "barred",
    "profile",  "display_name", "alias_group", "registration", "visited_networks",
    "type",     "active",       "server_name", "loose_route",  NULL};
static const char *const sim_members[] = {
    "imsi", "msisdn", "k", "op", "opc", "amf", "name", "profile", "display_name", "password", NULL};
static const char *const client_members[] = {"user",         "msisdn",   "name",    "profile",
                                             "display_name", "password", "ha1_md5", "ha1_sha256",
                                             "digest",       NULL};

static void impi_from_json(struct json_reader *r, const json_t *json, size_t i,
                           const struct rec_subscription *old, struct rec_impi_data *out) {
    struct rec_impi before;

    json_known(r, json, "/impis/#", i, impi_members);
    out->slot = SUBSCRIPTION_SLOT_NEW;
    out->identity = json_text(r, json, "identity", "/impis/#", i);
    if (!out->identity.n) {
        json_fault(r, "member-missing", "/impis/#/identity", i, "name the private identity");
    }
    if (old && subscription_impi(*old, out->identity, &before)) {
        out->has_aka = rec_impi_has_aka(before);
        memcpy(out->k, rec_impi_k(before), sizeof out->k);
        memcpy(out->opc, rec_impi_opc(before), sizeof out->opc);
        memcpy(out->amf, rec_impi_amf(before), sizeof out->amf);
        out->has_digest_md5 = rec_impi_has_digest_md5(before);
        out->has_digest_sha256 = rec_impi_has_digest_sha256(before);
        memcpy(out->ha1_md5, rec_impi_ha1_md5(before), sizeof out->ha1_md5);
        memcpy(out->ha1_sha256, rec_impi_ha1_sha256(before), sizeof out->ha1_sha256);
        out->digest_realm = rec_impi_digest_realm(before);
    }
    out->privileged_sender = json_flag(r, json, "privileged_sender", "/impis/#", i, false);
    credentials_from_json(r, json, "/impis/#", i, out);
}

/* By IdentityType. */
static const char *const identity_types[] = {"user", "psi", "wildcarded_psi", NULL,
                                             "wildcarded_user"};

const char *subscription_type_name(uint8_t type) {
    return type < COUNT_OF(identity_types) && identity_types[type] ? identity_types[type] : "user";
}

static uint8_t type_from_json(struct json_reader *r, const json_t *json, size_t i) {
    struct span name = json_text(r, json, "type", "/impus/#", i);

    for (size_t k = 0; k < COUNT_OF(identity_types); k++) {
        if (identity_types[k] && span_eq(name, span_from_cstr(identity_types[k]))) {
            return (uint8_t)k;
        }
    }
    if (name.p) {
        json_fault(r, "identity-type", "/impus/#/type", i,
                   "a type is user, psi, wildcarded_user or wildcarded_psi");
    }
    return IDENTITY_USER;
}

static uint8_t owner_of(struct json_reader *r, const json_t *json, size_t i,
                        const struct rec_impi_data *impis, size_t n_impis) {
    struct span impi = json_text(r, json, "impi", "/impus/#", i);

    if (!impi.n) {
        return SUBSCRIPTION_IMPI_ALL;
    }
    for (size_t k = 0; k < n_impis; k++) {
        if (span_eq(impis[k].identity, impi)) {
            return impis[k].slot;
        }
    }
    json_fault(r, "impu-impi", "/impus/#/impi", i, "the subscription has no such private identity");
    return SUBSCRIPTION_IMPI_ALL;
}

static void impu_from_json(struct json_reader *r, const json_t *json, size_t i,
                           const struct rec_impi_data *impis, size_t n_impis,
                           struct rec_impu_data *out) {
    json_known(r, json, "/impus/#", i, impu_members);
    out->identity = json_text(r, json, "identity", "/impus/#", i);
    if (!out->identity.n) {
        json_fault(r, "member-missing", "/impus/#/identity", i, "name the public identity");
    }
    out->type = type_from_json(r, json, i);
    if (!subscription_is_wildcard(out->type)) {
        out->identity = hss_canonical(r->arena, out->identity);
    }
    out->inactive = !json_flag(r, json, "active", "/impus/#", i, true);
    out->server_name = json_text(r, json, "server_name", "/impus/#", i);
    out->loose_route = json_flag(r, json, "loose_route", "/impus/#", i, false);
    out->impi = owner_of(r, json, i, impis, n_impis);
    uint32_t set = json_number(r, json, "set", "/impus/#", i, SUBSCRIPTION_SLOTS, 0);
    if (!set && json_is_integer(json_object_get(json, "set"))) {
        json_fault(r, "set-number", "/impus/#/set", i,
                   "implicit registration sets are numbered 1 to 64");
    }
    out->set = set ? (uint8_t)(set - 1) : SUBSCRIPTION_SLOT_NEW;
    out->is_default = json_flag(r, json, "default", "/impus/#", i, false);
    out->barred = json_flag(r, json, "barred", "/impus/#", i, false);
    out->profile = json_text(r, json, "profile", "/impus/#", i);
    if (!out->profile.p) {
        out->profile = SPAN("default");
    }
    out->display_name = json_text(r, json, "display_name", "/impus/#", i);
    out->alias_group = json_text(r, json, "alias_group", "/impus/#", i);
    out->visited_networks =
        json_texts(r, json, "visited_networks", "/impus/#", i, &out->n_visited_networks);
    out->roams_anywhere = !json_is_array(json_object_get(json, "visited_networks"));
}

static void whole_from_json(struct json_reader *r, const json_t *json,
                            struct rec_subscription_data *out) {
    const json_t *capabilities = json_object_get(json, "capabilities");
    const json_t *charging = json_object_get(json, "charging");

    if (capabilities && !json_is_null(capabilities)) {
        json_known(r, capabilities, "/capabilities", 0, capability_members);
        out->mandatory_capabilities = json_numbers(r, capabilities, "mandatory", "/capabilities", 0,
                                                   &out->n_mandatory_capabilities);
        out->optional_capabilities = json_numbers(r, capabilities, "optional", "/capabilities", 0,
                                                  &out->n_optional_capabilities);
        out->server_names =
            json_texts(r, capabilities, "servers", "/capabilities", 0, &out->n_server_names);
    }
    if (charging && !json_is_null(charging)) {
        json_known(r, charging, "/charging", 0, charging_members);
        out->primary_ecf = json_text(r, charging, "primary_ecf", "/charging", 0);
        out->secondary_ecf = json_text(r, charging, "secondary_ecf", "/charging", 0);
        out->primary_ccf = json_text(r, charging, "primary_ccf", "/charging", 0);
        out->secondary_ccf = json_text(r, charging, "secondary_ccf", "/charging", 0);
    }
}

void subscription_from_json(struct json_reader *r, const json_t *json, struct span name,
                            const struct rec_subscription *old, struct rec_subscription_data *out) {
    *out = (struct rec_subscription_data){0};
    json_known(r, json, "", 0, subscription_members);
    if (r->failed) {
        return;
    }
    out->name = json_text(r, json, "name", "", 0);
    if (name.n && out->name.p && !span_eq(out->name, name)) {
        json_fault(r, "subscription-name", "/name", 0, "the name is not the one in the path");
    }
    out->name = name.n ? name : out->name;
    whole_from_json(r, json, out);
    const json_t *impi_list = json_list(r, json, "impis", "", 0);
    const json_t *impu_list = json_list(r, json, "impus", "", 0);
    size_t n_impis = json_array_size(impi_list), n_impus = json_array_size(impu_list);
    if (n_impis > SUBSCRIPTION_SLOTS || n_impus > SUBSCRIPTION_IMPUS_MAX) {
        json_fault(r, n_impis > SUBSCRIPTION_SLOTS ? "impi-count" : "impu-count", "", 0,
                   "at most 64 private and 4096 public identities");
        return;
    }
    struct rec_impi_data *impis = json_take(r, n_impis, sizeof *impis);
    struct rec_impu_data *impus = json_take(r, n_impus, sizeof *impus);
    for (size_t i = 0; i < n_impis && !r->failed; i++) {
        impi_from_json(r, json_array_get(impi_list, i), i, old, &impis[i]);
    }
    if (!r->failed && !subscription_assign_slots(old, impis, n_impis, NULL, 0, &r->fault)) {
        r->failed = true;
    }
    for (size_t i = 0; i < n_impus && !r->failed; i++) {
        impu_from_json(r, json_array_get(impu_list, i), i, impis, n_impis, &impus[i]);
    }
    if (!r->failed && !subscription_assign_slots(old, NULL, 0, impus, n_impus, &r->fault)) {
        r->failed = true;
    }
    out->impis = impis;
    out->n_impis = impis ? n_impis : 0;
    out->impus = impus;
    out->n_impus = impus ? n_impus : 0;
}

/* SIMs. */

/* Proves the keys: a challenge that is made with them is answered with them. */
static void self_test(struct json_reader *r, const struct rec_impi_data *impi) {
    struct milenage *m = &r->hss->milenage;
    struct aka_key key;
    struct aka_vector v;
    struct aka_answer answer;
    uint8_t rand[AKA_RAND_SIZE];
    uint64_t sqn = sqn_make(1, 0);

    memcpy(key.k, impi->k, sizeof key.k);
    memcpy(key.opc, impi->opc, sizeof key.opc);
    env_random(r->hss->env, rand, sizeof rand);
    bool proved = aka_vector_make(m, &key, impi->amf, sqn, rand, &v) == OK &&
                  aka_challenge_check(m, &key, v.rand, v.autn, &answer) == OK &&
                  answer.sqn == sqn && answer.res_n == v.xres_n &&
                  CRYPTO_memcmp(answer.res, v.xres, v.xres_n) == 0;
    if (!proved) {
        json_fault(r, "self-test", "", 0, "a challenge with these keys does not prove itself");
    }
    OPENSSL_cleanse(&key, sizeof key);
    OPENSSL_cleanse(&v, sizeof v);
    OPENSSL_cleanse(&answer, sizeof answer);
}

static struct span put_name(struct json_reader *r,
                            void (*put)(struct buf *b, struct span s, struct span domain),
                            struct span s) {
    enum { SIZE = 512 };
    char *room = json_take(r, SIZE, 1);
    struct buf b = buf_init(room, room ? SIZE : 0);

    put(&b, s, r->hss->config.home_domain);
    if (b.overflow) {
        json_fault(r, "impi-form", "", 0, "the home domain is too long");
    }
    return buf_span(&b);
}

static void put_tel(struct buf *b, struct span digits, struct span domain) {
    (void)domain;
    naming_put_tel_impu(b, digits);
}

/* A telephone number, if there is one. */
static struct span read_number(struct json_reader *r, const json_t *json) {
    char text[160];
    struct buf why = buf_init(text, sizeof text - 1);
    struct span msisdn = json_text(r, json, "msisdn", "", 0), digits = SPAN_NONE;

    if (!r->failed && msisdn.n && naming_msisdn_check(msisdn, &digits, &why) != OK) {
        text[why.n] = '\0';
        json_fault(r, "msisdn", "/msisdn", 0, text);
    }
    return digits;
}

static struct span read_imsi(struct json_reader *r, const json_t *json) {
    char text[160];
    struct buf why = buf_init(text, sizeof text - 1);
    struct span imsi = json_text(r, json, "imsi", "", 0);

    if (!r->failed && naming_imsi_check(imsi, NULL, &why) != OK) {
        text[why.n] = '\0';
        json_fault(r, "imsi", "/imsi", 0, text);
    }
    return imsi;
}

/* One private identity, and one set of public ones. */
static void finish(struct json_reader *r, const json_t *json, struct span name,
                   const struct rec_impi_data *impi, struct rec_impu_data *impus,
                   struct rec_subscription_data *out) {
    struct span profile = json_text(r, json, "profile", "", 0);

    for (size_t i = 0; i < out->n_impus; i++) {
        impus[i].is_default = i == 0;
        impus[i].roams_anywhere = true;
        impus[i].profile = profile.n ? profile : SPAN("default");
        impus[i].display_name = json_text(r, json, "display_name", "", 0);
    }
    out->name = json_text(r, json, "name", "", 0);
    out->name = out->name.n ? out->name : name;
    out->impis = impi;
    out->n_impis = 1;
    out->impus = impus;
}

static void put_client_impi(struct buf *b, struct span user, struct span domain) {
    buf_put(b, user);
    buf_char(b, '@');
    buf_put(b, domain);
}

static void put_client_impu(struct buf *b, struct span user, struct span domain) {
    buf_cstr(b, "sip:");
    put_client_impi(b, user, domain);
}

/* A client without a card: the private identity is what TS 24.229 5.4.1.1 derives from the public
 * one. */
static void client_from_json(struct json_reader *r, const json_t *json,
                             struct rec_subscription_data *out) {
    json_known(r, json, "", 0, client_members);
    struct span user = json_text(r, json, "user", "", 0), digits = read_number(r, json);
    struct rec_impi_data *impi = json_take(r, 1, sizeof *impi);
    struct rec_impu_data *impus = json_take(r, 2, sizeof *impus);
    if (r->failed) {
        return;
    }
    impi->identity = put_name(r, put_client_impi, user);
    credentials_from_json(r, json, "", 0, impi);
    if (!r->failed && !impi->has_digest_md5 && !impi->has_digest_sha256) {
        json_fault(r, "member-missing", "/password", 0, "a user needs a password");
    }
    impus[out->n_impus++].identity = put_name(r, put_client_impu, user);
    if (digits.n) {
        impus[out->n_impus++].identity = put_name(r, put_tel, digits);
    }
    finish(r, json, user, impi, impus, out);
}

void sim_from_json(struct json_reader *r, const json_t *json, struct rec_subscription_data *out) {
    *out = (struct rec_subscription_data){0};
    if (json_object_get(json, "user")) {
        client_from_json(r, json, out);
        return;
    }
    json_known(r, json, "", 0, sim_members);
    struct span imsi = read_imsi(r, json), digits = read_number(r, json);
    struct rec_impi_data *impi = json_take(r, 1, sizeof *impi);
    struct rec_impu_data *impus = json_take(r, 3, sizeof *impus);
    if (r->failed) {
        return;
    }
    impi->identity = put_name(r, naming_put_impi, imsi);
    credentials_from_json(r, json, "", 0, impi);
    if (!impi->has_aka) {
        json_fault(r, "op-or-opc", "", 0, "a SIM needs k and one of op and opc");
    }
    if (digits.n) {
        impus[out->n_impus++].identity = put_name(r, naming_put_sip_impu, digits);
        impus[out->n_impus++].identity = put_name(r, put_tel, digits);
    }
    impus[out->n_impus].barred = digits.n > 0; /* TS 23.003 13.4B, where others are open */
    impus[out->n_impus++].identity = put_name(r, naming_put_temporary_impu, imsi);
    finish(r, json, imsi, impi, impus, out);
    if (!r->failed) {
        self_test(r, impi);
    }
}

/* Showing. */

static json_t *impi_to_json(struct hss *h, struct rec_impi impi, enum web_secrets secrets) {
    json_t *json = json_object();

    json_set_text(json, "identity", rec_impi_identity(impi));
    if (rec_impi_privileged_sender(impi)) {
        json_object_set_new(json, "privileged_sender", json_true());
    }
    credentials_to_json(h, impi, json);
    credentials_export(impi, secrets, json);
    return json;
}

static json_t *registration_to_json(const struct subscription *s, unsigned set) {
    enum registration_state state = registration_of(&s->state, set);
    json_t *json = json_object(), *by = json_array();

    json_object_set_new(json, "state", json_string(registration_state_text(state)));
    for (size_t i = 0, n = rec_subscription_n_impis(s->data); i < n; i++) {
        struct rec_impi impi = rec_subscription_impis(s->data, i);

        if (s->state.registered_by[set] >> rec_impi_slot(impi) & 1) {
            json_array_append_new(by, json_of_text(rec_impi_identity(impi)));
        }
    }
    json_object_set_new(json, "by", by);
    return json;
}

/* What only some identities have. */
static void type_to_json(struct rec_impu impu, json_t *json) {
    uint8_t type = rec_impu_type(impu);

    if (type != IDENTITY_USER) {
        json_object_set_new(json, "type", json_string(subscription_type_name(type)));
    }
    if (subscription_is_psi(impu)) {
        json_object_set_new(json, "active", json_boolean(!rec_impu_inactive(impu)));
        json_set_text(json, "server_name", rec_impu_server_name(impu));
    }
    if (rec_impu_loose_route(impu)) {
        json_object_set_new(json, "loose_route", json_true());
    }
}

static json_t *impu_to_json(const struct subscription *s, struct rec_impu impu) {
    json_t *json = json_object();
    struct rec_impi owner;

    json_set_text(json, "identity", rec_impu_identity(impu));
    if (rec_impu_impi(impu) != SUBSCRIPTION_IMPI_ALL &&
        subscription_impi_of_slot(s->data, rec_impu_impi(impu), &owner)) {
        json_set_text(json, "impi", rec_impi_identity(owner));
    }
    type_to_json(impu, json);
    json_object_set_new(json, "set", json_integer(rec_impu_set(impu) + 1));
    json_object_set_new(json, "default", json_boolean(rec_impu_is_default(impu)));
    json_object_set_new(json, "barred", json_boolean(rec_impu_barred(impu)));
    json_set_text(json, "profile", rec_impu_profile(impu));
    json_set_text(json, "display_name", rec_impu_display_name(impu));
    json_set_text(json, "alias_group", rec_impu_alias_group(impu));
    if (!rec_impu_roams_anywhere(impu)) {
        json_t *networks = json_array();

        for (size_t i = 0, n = rec_impu_n_visited_networks(impu); i < n; i++) {
            json_array_append_new(networks, json_of_text(rec_impu_visited_networks(impu, i)));
        }
        json_object_set_new(json, "visited_networks", networks);
    }
    json_object_set_new(json, "registration", registration_to_json(s, rec_impu_set(impu)));
    return json;
}

static void capabilities_to_json(struct rec_subscription d, json_t *json) {
    json_t *all = json_object(), *mandatory = json_array(), *optional = json_array(),
           *servers = json_array();

    for (size_t i = 0, n = rec_subscription_n_mandatory_capabilities(d); i < n; i++) {
        json_array_append_new(mandatory,
                              json_integer(rec_subscription_mandatory_capabilities(d, i)));
    }
    for (size_t i = 0, n = rec_subscription_n_optional_capabilities(d); i < n; i++) {
        json_array_append_new(optional, json_integer(rec_subscription_optional_capabilities(d, i)));
    }
    for (size_t i = 0, n = rec_subscription_n_server_names(d); i < n; i++) {
        json_array_append_new(servers, json_of_text(rec_subscription_server_names(d, i)));
    }
    json_object_set_new(all, "mandatory", mandatory);
    json_object_set_new(all, "optional", optional);
    json_object_set_new(all, "servers", servers);
    json_object_set_new(json, "capabilities", all);
}

json_t *subscription_to_json(struct hss *h, const struct subscription *s, uint64_t version,
                             enum web_secrets secrets) {
    struct rec_subscription d = s->data;
    json_t *json = json_object(), *charging = json_object(), *impis = json_array(),
           *impus = json_array();

    json_set_text(json, "name", rec_subscription_name(d));
    json_object_set_new(json, "version", json_integer((json_int_t)version));
    json_set_text(json, "scscf", s->state.scscf_name);
    capabilities_to_json(d, json);
    json_set_text(charging, "primary_ecf", rec_subscription_primary_ecf(d));
    json_set_text(charging, "secondary_ecf", rec_subscription_secondary_ecf(d));
    json_set_text(charging, "primary_ccf", rec_subscription_primary_ccf(d));
    json_set_text(charging, "secondary_ccf", rec_subscription_secondary_ccf(d));
    json_object_set_new(json, "charging", charging);
    for (size_t i = 0, n = rec_subscription_n_impis(d); i < n; i++) {
        json_array_append_new(impis, impi_to_json(h, rec_subscription_impis(d, i), secrets));
    }
    for (size_t i = 0, n = rec_subscription_n_impus(d); i < n; i++) {
        json_array_append_new(impus, impu_to_json(s, rec_subscription_impus(d, i)));
    }
    json_object_set_new(json, "impis", impis);
    json_object_set_new(json, "impus", impus);
    return json;
}
