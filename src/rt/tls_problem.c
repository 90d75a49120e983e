/* What went wrong, in words that say what to look at. */
#include "rt/tls_internal.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdarg.h>
#include <stdio.h>

const char *tls_fault_name(enum tls_fault f) {
    static const char *const names[] = {
        [TLS_FAULT_NONE] = "none",
        [TLS_FAULT_EXPIRED] = "expired",
        [TLS_FAULT_NOT_YET_VALID] = "not-yet-valid",
        [TLS_FAULT_UNKNOWN_ISSUER] = "unknown-issuer",
        [TLS_FAULT_WRONG_NAME] = "wrong-name",
        [TLS_FAULT_BAD_CERTIFICATE] = "bad-certificate",
        [TLS_FAULT_NO_CERTIFICATE] = "no-certificate",
        [TLS_FAULT_REFUSED] = "refused",
        [TLS_FAULT_NO_COMMON] = "no-common",
        [TLS_FAULT_NOT_TLS] = "not-tls",
        [TLS_FAULT_SLOW] = "slow",
        [TLS_FAULT_CLOSED] = "closed",
        [TLS_FAULT_FILE] = "file",
        [TLS_FAULT_KEY] = "key",
    };
    return (size_t)f < COUNT_OF(names) ? names[f] : "unknown";
}

void tls_problem_set(struct tls_problem *p, enum tls_fault fault, enum tls_part part,
                     const char *format, ...) {
    va_list args;
    va_start(args, format);
    p->fault = fault;
    p->part = part;
    (void)vsnprintf(p->text, sizeof p->text, format, args);
    va_end(args);
}

/* "2026-11-20 10:00:00" of a certificate's time. */
static void put_time(const ASN1_TIME *t, char *out, size_t cap) {
    struct tm tm;
    if (ASN1_TIME_to_tm(t, &tm) != 1 || strftime(out, cap, "%Y-%m-%d %H:%M:%S UTC", &tm) == 0) {
        (void)snprintf(out, cap, "an unreadable time");
    }
}

void tls_problem_from_verification(struct tls_problem *p, int error, X509 *certificate) {
    char name[100] = "", time[40] = "";
    if (certificate) {
        tls_certificate_name(certificate, name, sizeof name);
    }
    switch (error) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
        put_time(X509_get0_notAfter(certificate), time, sizeof time);
        tls_problem_set(p, TLS_FAULT_EXPIRED, TLS_PART_PEER,
                        "the certificate of \"%s\" expired at %s", name, time);
        break;
    case X509_V_ERR_CERT_NOT_YET_VALID:
        put_time(X509_get0_notBefore(certificate), time, sizeof time);
        tls_problem_set(p, TLS_FAULT_NOT_YET_VALID, TLS_PART_PEER,
                        "the certificate of \"%s\" is not valid before %s (is the clock right?)",
                        name, time);
        break;
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_CERT_UNTRUSTED:
    case X509_V_ERR_CERT_SIGNATURE_FAILURE:
        tls_problem_set(p, TLS_FAULT_UNKNOWN_ISSUER, TLS_PART_PEER,
                        "the certificate of \"%s\" is from no authority that is trusted here (%s)",
                        name, X509_verify_cert_error_string(error));
        break;
    case X509_V_ERR_HOSTNAME_MISMATCH:
        tls_problem_set(p, TLS_FAULT_WRONG_NAME, TLS_PART_PEER,
                        "the certificate is for \"%s\", another than the peer that was wanted",
                        name);
        break;
    default:
        tls_problem_set(p, TLS_FAULT_BAD_CERTIFICATE, TLS_PART_PEER,
                        "the certificate of \"%s\" cannot be used: %s", name,
                        X509_verify_cert_error_string(error));
    }
}

/* An alert is what the peer thinks of us; RFC 8446 6.2. */
static void from_alert(struct tls_problem *p, int alert) {
    const char *text = SSL_alert_desc_string_long(alert);
    switch (alert) {
    case SSL_AD_BAD_CERTIFICATE:
    case SSL_AD_UNSUPPORTED_CERTIFICATE:
    case SSL_AD_CERTIFICATE_REVOKED:
    case SSL_AD_CERTIFICATE_EXPIRED:
    case SSL_AD_CERTIFICATE_UNKNOWN:
    case SSL_AD_UNKNOWN_CA:
    case SSL_AD_ACCESS_DENIED:
    case SSL_AD_CERTIFICATE_REQUIRED:
        tls_problem_set(p, TLS_FAULT_REFUSED, TLS_PART_PEER,
                        "the peer does not accept our certificate: %s", text);
        break;
    case SSL_AD_HANDSHAKE_FAILURE:
    case SSL_AD_PROTOCOL_VERSION:
    case SSL_AD_INSUFFICIENT_SECURITY:
        tls_problem_set(p, TLS_FAULT_NO_COMMON, TLS_PART_PEER,
                        "the peer finds no common TLS version or cipher: %s", text);
        break;
    default:
        tls_problem_set(p, TLS_FAULT_REFUSED, TLS_PART_PEER, "the peer gives up: %s", text);
    }
}

void tls_problem_from_queue(struct tls_problem *p) {
    unsigned long error = ERR_peek_last_error();
    int reason = ERR_GET_REASON(error);
    const char *text = ERR_reason_error_string(error);
    text = text ? text : "no reason given";
    if (reason > SSL_AD_REASON_OFFSET && reason < SSL_AD_REASON_OFFSET + 256) {
        from_alert(p, reason - SSL_AD_REASON_OFFSET);
        ERR_clear_error();
        return;
    }
    switch (reason) {
    case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
        tls_problem_set(p, TLS_FAULT_NO_CERTIFICATE, TLS_PART_PEER,
                        "the peer showed no certificate, and one is required here");
        break;
    case SSL_R_NO_SHARED_CIPHER:
    case SSL_R_UNSUPPORTED_PROTOCOL:
    case SSL_R_VERSION_TOO_LOW:
    case SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM:
    case SSL_R_UNKNOWN_PROTOCOL:
        tls_problem_set(p, TLS_FAULT_NO_COMMON, TLS_PART_PEER,
                        "no common TLS version or cipher: %s", text);
        break;
    default:
        tls_problem_set(p, TLS_FAULT_NOT_TLS, TLS_PART_PEER,
                        "what the peer sent is not TLS, or broken: %s", text);
    }
    ERR_clear_error();
}
