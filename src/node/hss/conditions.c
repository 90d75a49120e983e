/* Conditional requests: RFC 9110 8.8.3 (ETag), 13.1 (If-Match, If-None-Match), 13.2.2 (their
 * order); RFC 6585 3 (428). A lost update, a change of what somebody else has changed meanwhile, is
 * refused. */
#include "node/hss/web.h"

#include <stdio.h>
#include <xxhash.h>

void web_etag_version(struct web_job *w, uint64_t version) {
    snprintf(w->etag, sizeof w->etag, "\"%llu\"", (unsigned long long)version);
}

void web_etag_record(struct web_job *w, struct span record) {
    snprintf(w->etag, sizeof w->etag, "\"%016llx\"",
             (unsigned long long)XXH3_64bits(record.p, record.n));
}

/* Does a list of entity tags (or "*") have this one? Weak ones count where it is only about
 * showing. */
static bool has_etag(struct span list, const char *etag, bool weak_counts) {
    if (span_eq(span_trim(list), SPAN("*"))) {
        return true;
    }
    while (list.p) {
        struct span one = span_trim(span_cut(&list, ','));

        if (weak_counts && span_starts_with(one, SPAN("W/"))) {
            one = span_after(one, 2);
        }
        if (span_eq(one, span_from_cstr(etag))) {
            return true;
        }
    }
    return false;
}

static bool refuse(struct web_job *w, unsigned status, const char *rule, const char *text) {
    struct subscription_fault fault;

    (void)subscription_faulty(&fault, rule, "", 0, "");
    web_problem(w, status, text, &fault, NULL);
    return false;
}

bool web_may_show(struct web_job *w) {
    struct span wanted = span_from_cstr(w->if_none_match);

    if (wanted.n && has_etag(wanted, w->etag, true)) {
        web_end(w, 304, NULL);
        return false;
    }
    return true;
}

bool web_may_change(struct web_job *w, bool exists) {
    struct span match = span_from_cstr(w->if_match), none = span_from_cstr(w->if_none_match);

    if (match.n && (!exists || !has_etag(match, w->etag, false))) {
        return refuse(w, 412, "if-match",
                      exists ? "it is not any more what If-Match says: read it again"
                             : "there is nothing of this name, and If-Match wants there to be");
    }
    if (none.n && exists && has_etag(none, w->etag, true)) {
        return refuse(w, 412, "if-none-match", "there is one already");
    }
    if (w->hss->config.if_match_required && exists && w->remote.family && !match.n && !none.n &&
        !json_object_get(w->body, "version")) {
        return refuse(w, 428, "if-match-required",
                      "this HSS wants If-Match with the ETag of what is to be changed");
    }
    return true;
}
