/* Whose certificate is it? RFC 5922 7, RFC 6125 6.
 *
 * Choices: DNS names count beside SIP URIs (RFC 5922 7.1 would leave them aside when there is a SIP
 * URI), because one certificate of a node serves SIP and Diameter; both were vouched for by the
 * same authority. The common name counts only without either. No wildcards (RFC 5922 7.2). */
#include "rt/tls_internal.h"

#include <arpa/inet.h>
#include <openssl/x509v3.h>

enum { NAME_MAX_BYTES = 255 };

static struct span span_of_asn1(const ASN1_STRING *s) {
    return span_of(ASN1_STRING_get0_data(s), (size_t)ASN1_STRING_length(s));
}

/* The domain in "sip:domain", with port, parameters and headers cut off; empty for other URIs and
 * those of a user. */
static struct span domain_of_uri(struct span uri) {
    if (!span_starts_with_nocase(uri, SPAN("sip:"))) {
        return SPAN_NONE;
    }
    struct span rest = span_after(uri, 4);
    if (span_find_char(rest, '@') < rest.n) {
        return SPAN_NONE;
    }
    rest = span_cut(&rest, '?');
    rest = span_cut(&rest, ';');
    return span_cut(&rest, ':');
}

static struct span name_in(const GENERAL_NAME *name) {
    if (name->type == GEN_DNS) {
        return span_of_asn1(name->d.dNSName);
    }
    return name->type == GEN_URI ? domain_of_uri(span_of_asn1(name->d.uniformResourceIdentifier))
                                 : SPAN_NONE;
}

static struct span without_dot(struct span name) {
    return name.n > 1 && name.p[name.n - 1] == '.' ? span_slice(name, 0, name.n - 1) : name;
}

static bool same_name(struct span a, struct span b) {
    return a.n > 0 && span_find_char(a, '\0') == a.n && span_eq_nocase(without_dot(a), b);
}

static struct span common_name(X509 *certificate) {
    X509_NAME *subject = X509_get_subject_name(certificate);
    int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
    if (at < 0) {
        return SPAN_NONE;
    }
    return span_of_asn1(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
}

/* Is it an address, and that of the certificate? */
static bool is_address(X509 *certificate, struct span name, bool *matches) {
    char text[NAME_MAX_BYTES + 1];
    uint8_t ip[16];
    if (!span_to_cstr(name, text, sizeof text)) {
        return false;
    }
    int n = inet_pton(AF_INET, text, ip) == 1 ? 4 : inet_pton(AF_INET6, text, ip) == 1 ? 16 : 0;
    *matches = n > 0 && X509_check_ip(certificate, ip, (size_t)n, 0) == 1;
    return n > 0;
}

bool tls_certificate_is(X509 *certificate, struct span name) {
    bool found = false, named = false;
    if (is_address(certificate, name, &found)) {
        return found;
    }
    name = without_dot(name);
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        struct span own = name_in(sk_GENERAL_NAME_value(names, i));
        named = named || own.n > 0;
        found = found || same_name(own, name);
    }
    GENERAL_NAMES_free(names);
    return named ? found : same_name(common_name(certificate), name);
}

void tls_certificate_name(X509 *certificate, char *out, size_t cap) {
    struct buf b = buf_init(out, cap - 1);
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    for (int i = 0; i < sk_GENERAL_NAME_num(names) && b.n == 0; i++) {
        buf_escaped(&b, name_in(sk_GENERAL_NAME_value(names, i)));
    }
    GENERAL_NAMES_free(names);
    if (b.n == 0) {
        buf_escaped(&b, common_name(certificate));
    }
    out[b.overflow ? 0 : b.n] = '\0';
}
