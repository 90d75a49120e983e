/* Credentials of private identities as JSON and back: the key of a card, and what SIP Digest needs.
 *
 * A password is turned into HA1 for MD5 and for SHA-256 (RFC 7616 3.4.2) when it arrives, with the
 * private identity as user name (TS 24.229 5.1.1.2) and the home domain as realm; it is not kept.
 * HA1s that another system computed are taken as they are. Nothing of all this is shown again but
 * which algorithms there are. */
#include "node/hss/web.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <strings.h>

enum { PASSWORD_MAX = 256 };

/* A fault at a member of the object. */
static void member_fault(struct json_reader *r, const char *rule, const char *path, size_t index,
                         const char *member, const char *text) {
    char full[96];

    snprintf(full, sizeof full, "%s/%s", path, member);
    json_fault(r, rule, full, index, text);
}

static bool key_from_json(struct json_reader *r, const json_t *json, const char *name,
                          const char *path, size_t index, uint8_t key[16]) {
    struct span hex = json_text(r, json, name, path, index);

    if (hex.n && !span_to_bytes(hex, key, 16)) {
        member_fault(r, "key-form", path, index, name, "k, op and opc are 32 hexadecimal digits");
    }
    return hex.n > 0;
}

static void aka_from_json(struct json_reader *r, const json_t *json, const char *path, size_t index,
                          struct rec_impi_data *out) {
    uint8_t op[16];
    bool has_k = key_from_json(r, json, "k", path, index, out->k);
    bool has_opc = key_from_json(r, json, "opc", path, index, out->opc);
    bool has_op = key_from_json(r, json, "op", path, index, op);
    struct span amf = json_text(r, json, "amf", path, index);

    if (has_op == has_opc ? has_k || has_op : !has_k) {
        json_fault(r, "op-or-opc", path, index, "a key needs k and one of op and opc");
    }
    if (amf.n && !span_to_bytes(amf, out->amf, sizeof out->amf)) {
        member_fault(r, "amf-form", path, index, "amf", "amf is 4 hexadecimal digits");
    }
    if (!has_k || r->failed) {
        return;
    }
    if (!amf.n && !out->has_aka) {
        out->amf[0] = 0x80; /* TS 33.102 annex H: the separation bit is set */
    }
    out->has_aka = true;
    if (has_op && milenage_opc(&r->hss->milenage, out->k, op, out->opc) != OK) {
        json_fault(r, "memory", path, index, "the cipher failed");
    }
    OPENSSL_cleanse(op, sizeof op);
}

static bool hash(struct json_reader *r, enum digest_hash which, const struct rec_impi_data *impi,
                 struct span password, uint8_t *out, size_t size) {
    struct digest_hex ha1;
    bool done = digest_ha1(&r->hss->digest, which, impi->identity, impi->digest_realm, password,
                           &ha1) == OK &&
                span_to_bytes(digest_hex_span(&ha1), out, size);

    OPENSSL_cleanse(&ha1, sizeof ha1);
    return done;
}

/* Member digest: the algorithms that are wanted; without it all. */
static void read_algorithms(struct json_reader *r, const json_t *json, const char *path,
                            size_t index, bool *md5, bool *sha256) {
    const json_t *list = json_list(r, json, "digest", path, index);

    *md5 = *sha256 = !list;
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *name = json_string_value(json_array_get(list, i));

        if (name && strcasecmp(name, "MD5") == 0) {
            *md5 = true;
        } else if (name && strcasecmp(name, "SHA-256") == 0) {
            *sha256 = true;
        } else {
            json_fault(r, "digest-algorithm", path, index, "digest lists SHA-256, MD5 or both");
        }
    }
}

/* Keeps of what there is what is wanted. */
static void narrow(struct json_reader *r, bool md5, bool sha256, const char *path, size_t index,
                   struct rec_impi_data *out) {
    bool any = out->has_digest_md5 || out->has_digest_sha256;

    out->has_digest_md5 &= md5;
    out->has_digest_sha256 &= sha256;
    if (!out->has_digest_md5) {
        OPENSSL_cleanse(out->ha1_md5, sizeof out->ha1_md5);
    }
    if (!out->has_digest_sha256) {
        OPENSSL_cleanse(out->ha1_sha256, sizeof out->ha1_sha256);
    }
    if (any && !out->has_digest_md5 && !out->has_digest_sha256) {
        json_fault(r, "digest-algorithm", path, index,
                   "no algorithm would be left; an empty password takes the credential away");
    }
}

static void take_password(struct json_reader *r, struct span password, const char *path,
                          size_t index, struct rec_impi_data *out) {
    if (!subscription_is_text(password, PASSWORD_MAX)) {
        member_fault(r, "password-form", path, index, "password",
                     "a password has at most 256 bytes and no control characters");
        return;
    }
    out->has_digest_md5 = out->has_digest_sha256 =
        hash(r, DIGEST_MD5, out, password, out->ha1_md5, sizeof out->ha1_md5) &&
        hash(r, DIGEST_SHA256, out, password, out->ha1_sha256, sizeof out->ha1_sha256);
    if (!out->has_digest_md5) {
        json_fault(r, "memory", path, index, "the hash failed");
    }
}

static void drop_digest(struct rec_impi_data *out) {
    out->has_digest_md5 = out->has_digest_sha256 = false;
    OPENSSL_cleanse(out->ha1_md5, sizeof out->ha1_md5);
    OPENSSL_cleanse(out->ha1_sha256, sizeof out->ha1_sha256);
    out->digest_realm = SPAN_NONE;
}

/* The two HA1s, of which one may be missing. */
static void take_ha1(struct json_reader *r, struct span md5, struct span sha256, const char *path,
                     size_t index, struct rec_impi_data *out) {
    if ((md5.n && !span_to_bytes(md5, out->ha1_md5, sizeof out->ha1_md5)) ||
        (sha256.n && !span_to_bytes(sha256, out->ha1_sha256, sizeof out->ha1_sha256))) {
        json_fault(r, "ha1-form", path, index,
                   "ha1_md5 is 32 hexadecimal digits, ha1_sha256 is 64");
    }
    out->has_digest_md5 = md5.n > 0;
    out->has_digest_sha256 = sha256.n > 0;
}

static void digest_from_json(struct json_reader *r, const json_t *json, const char *path,
                             size_t index, struct rec_impi_data *out) {
    struct span password = json_text(r, json, "password", path, index);
    struct span md5 = json_text(r, json, "ha1_md5", path, index);
    struct span sha256 = json_text(r, json, "ha1_sha256", path, index);
    struct span realm = json_text(r, json, "digest_realm", path, index);
    bool kept = !password.p && !md5.n && !sha256.n, wants_md5, wants_sha256;

    read_algorithms(r, json, path, index, &wants_md5, &wants_sha256);
    if (password.p && (md5.n || sha256.n)) {
        json_fault(r, "password-or-ha1", path, index, "give a password, or its HA1s, not both");
        return;
    }
    if (kept) {
        if (realm.n && out->digest_realm.n && !span_eq(realm, out->digest_realm)) {
            json_fault(r, "digest-realm", path, index,
                       "another realm needs the password again: HA1 depends on it");
        }
        narrow(r, wants_md5, wants_sha256, path, index, out);
        return;
    }
    drop_digest(out);
    if (password.p && password.n == 0) {
        return; /* an empty one takes the credential away */
    }
    if (!subscription_is_text(realm, 255) || span_find_char(realm, '"') < realm.n ||
        span_find_char(realm, '\\') < realm.n) {
        json_fault(r, "digest-realm", path, index,
                   "a realm has at most 255 bytes, no quotes and no backslashes");
        return;
    }
    out->digest_realm = realm.n ? realm : r->hss->config.home_domain;
    if (password.n) {
        take_password(r, password, path, index, out);
    } else {
        take_ha1(r, md5, sha256, path, index, out);
    }
    narrow(r, wants_md5, wants_sha256, path, index, out);
}

void credentials_from_json(struct json_reader *r, const json_t *json, const char *path,
                           size_t index, struct rec_impi_data *out) {
    aka_from_json(r, json, path, index, out);
    digest_from_json(r, json, path, index, out);
}

json_t *json_of_text(struct span s) {
    return json_stringn(s.p ? s.p : "", s.n);
}

void json_set_text(json_t *object, const char *name, struct span s) {
    if (s.n) {
        json_object_set_new(object, name, json_of_text(s));
    }
}

/* In digits. */
static json_t *key_check(struct hss *h, struct rec_impi impi) {
    uint8_t check[MILENAGE_CHECK_SIZE];
    char text[2 * MILENAGE_CHECK_SIZE + 1] = "";
    struct buf b = buf_init(text, sizeof text);

    if (milenage_check(&h->milenage, rec_impi_k(impi), rec_impi_opc(impi), check) != OK) {
        return json_null();
    }
    buf_hex(&b, check, sizeof check);
    return json_of_text(buf_span(&b));
}

static void digest_to_json(struct rec_impi impi, json_t *json) {
    json_t *algorithms = json_array();

    if (rec_impi_has_digest_sha256(impi)) {
        json_array_append_new(algorithms, json_string("SHA-256"));
    }
    if (rec_impi_has_digest_md5(impi)) {
        json_array_append_new(algorithms, json_string("MD5"));
    }
    if (json_array_size(algorithms)) {
        json_object_set(json, "digest", algorithms);
        json_set_text(json, "digest_realm", rec_impi_digest_realm(impi));
    }
    json_decref(algorithms);
}

void credentials_to_json(struct hss *h, struct rec_impi impi, json_t *json) {
    char amf[4];
    struct buf b = buf_init(amf, sizeof amf);

    if (rec_impi_has_aka(impi)) {
        buf_hex(&b, rec_impi_amf(impi), 2);
        json_set_text(json, "amf", buf_span(&b));
        json_object_set_new(json, "key_check", key_check(h, impi));
    }
    digest_to_json(impi, json);
}

static void export_hex(json_t *json, const char *name, const uint8_t *bytes, size_t n) {
    char text[64];
    struct buf b = buf_init(text, sizeof text);

    buf_hex(&b, bytes, n);
    json_set_text(json, name, buf_span(&b));
    OPENSSL_cleanse(text, sizeof text);
}

void credentials_export(struct rec_impi impi, enum web_secrets secrets, json_t *json) {
    if (secrets == WEB_SECRETS_NONE) {
        return;
    }
    if (secrets == WEB_SECRETS_KEYS && rec_impi_has_aka(impi)) {
        export_hex(json, "k", rec_impi_k(impi), 16);
        export_hex(json, "opc", rec_impi_opc(impi), 16);
    }
    if (rec_impi_has_digest_md5(impi)) {
        export_hex(json, "ha1_md5", rec_impi_ha1_md5(impi), 16);
    }
    if (rec_impi_has_digest_sha256(impi)) {
        export_hex(json, "ha1_sha256", rec_impi_ha1_sha256(impi), 32);
    }
}
