/* Reading registration information with libxml2: no document type declaration, so no entities but
 * the predefined ones; no network, no files. Four levels are looked at, whatever the document's
 * depth. */
#include "codec/reginfo/names.h"

#include <libxml/parser.h>
#include <libxml/tree.h>

struct reader {
    struct arena *arena;
    size_t n_contacts;
    enum error error; /* sticky */
};

static void fail(struct reader *r, enum error e) {
    if (r->error == OK) {
        r->error = e;
    }
}

static const xmlChar *xml(const char *name) {
    return (const xmlChar *)name;
}

/* An element of this name in this namespace? Documents without any namespace are taken, too. */
static bool is_element(const xmlNode *n, const char *name, const char *namespace) {
    return n->type == XML_ELEMENT_NODE && xmlStrEqual(n->name, xml(name)) &&
           (!n->ns || xmlStrEqual(n->ns->href, xml(namespace)));
}

/* Text of libxml2 without surrounding white space, in the arena; what it was is freed. */
static struct span take(struct reader *r, xmlChar *text) {
    bool failed = false;
    struct span s = arena_copy(r->arena, span_trim(span_from_cstr((const char *)text)), &failed);
    if (failed) {
        fail(r, ERR_NO_MEMORY);
    }
    xmlFree(text);
    return s;
}

static struct span attribute(struct reader *r, const xmlNode *n, const char *name) {
    return take(r, xmlGetNoNsProp(n, xml(name)));
}

static struct span needed(struct reader *r, const xmlNode *n, const char *name) {
    struct span s = attribute(r, n, name);
    if (!s.n) {
        fail(r, ERR_MALFORMED);
    }
    return s;
}

/* False: it is not there. */
static bool number(struct reader *r, const xmlNode *n, const char *name, uint32_t *out) {
    struct span s = attribute(r, n, name);
    uint64_t value = 0;
    if (!s.n) {
        return false;
    }
    if (!span_to_u64(s, UINT64_MAX, &value)) {
        fail(r, ERR_MALFORMED);
    }
    *out = value > UINT32_MAX ? UINT32_MAX : (uint32_t)value;
    return true;
}

/* Position of the attribute's value among words. */
static unsigned word(struct reader *r, const xmlNode *n, const char *name, const struct span *words,
                     unsigned n_words) {
    struct span s = needed(r, n, name);
    for (unsigned i = 0; i < n_words; i++) {
        if (span_eq(s, words[i])) {
            return i;
        }
    }
    fail(r, ERR_MALFORMED);
    return 0;
}

/* "<urn:...>" with its quotes: what is inside. */
static struct span bare_instance(struct span s) {
    if (s.n >= 2 && s.p[0] == '"' && s.p[s.n - 1] == '"') {
        s = span_slice(s, 1, s.n - 1);
    }
    if (s.n >= 2 && s.p[0] == '<' && s.p[s.n - 1] == '>') {
        s = span_slice(s, 1, s.n - 1);
    }
    return s;
}

static void read_child(struct reader *r, const xmlNode *n, struct reginfo_contact *c) {
    if (is_element(n, "uri", REGINFO_NAMESPACE)) {
        c->uri = take(r, xmlNodeGetContent(n));
    } else if (is_element(n, "display-name", REGINFO_NAMESPACE)) {
        c->display_name = take(r, xmlNodeGetContent(n));
    } else if (is_element(n, "unknown-param", REGINFO_NAMESPACE)) {
        if (span_eq_nocase(attribute(r, n, "name"), SPAN("+sip.instance"))) {
            c->instance = bare_instance(take(r, xmlNodeGetContent(n)));
        }
    } else if (is_element(n, "pub-gruu", GRUUINFO_NAMESPACE)) {
        c->pub_gruu = needed(r, n, "uri");
    } else if (is_element(n, "temp-gruu", GRUUINFO_NAMESPACE)) {
        c->temp_gruu = needed(r, n, "uri");
        (void)number(r, n, "first-cseq", &c->temp_gruu_first_cseq);
    }
}

static void read_contact(struct reader *r, const xmlNode *n, struct reginfo_contact *c) {
    static const struct span states[] = {SPAN_INIT("terminated"), SPAN_INIT("active")};
    *c = (struct reginfo_contact){.id = needed(r, n, "id"),
                                  .call_id = attribute(r, n, "callid"),
                                  .active = word(r, n, "state", states, COUNT_OF(states)) == 1};
    c->event = (enum reginfo_event)word(r, n, "event", reginfo_events, REGINFO_EVENTS);
    c->has_expires = number(r, n, "expires", &c->expires_s);
    c->has_retry_after = number(r, n, "retry-after", &c->retry_after_s);
    c->has_cseq = number(r, n, "cseq", &c->cseq);
    for (const xmlNode *k = n->children; k && !r->error; k = k->next) {
        read_child(r, k, c);
    }
    if (!c->uri.n) {
        fail(r, ERR_MALFORMED);
    }
}

static size_t count(const xmlNode *parent, const char *name) {
    size_t n = 0;
    for (const xmlNode *k = parent->children; k; k = k->next) {
        n += is_element(k, name, REGINFO_NAMESPACE);
    }
    return n;
}

static void *places(struct reader *r, size_t n, size_t size) {
    void *p = arena_zalloc(r->arena, (n ? n : 1) * size);
    if (!p) {
        fail(r, ERR_NO_MEMORY);
    }
    return p;
}

static void read_registration(struct reader *r, const xmlNode *n,
                              struct reginfo_registration *out) {
    size_t contacts = count(n, "contact");
    r->n_contacts += contacts;
    if (r->n_contacts > REGINFO_CONTACTS_MAX) {
        fail(r, ERR_TOO_BIG);
        return;
    }
    struct reginfo_contact *list =
        (struct reginfo_contact *)places(r, contacts, sizeof(struct reginfo_contact));
    out->aor = needed(r, n, "aor");
    out->id = needed(r, n, "id");
    out->state = (enum reginfo_state)word(r, n, "state", reginfo_states, REGINFO_STATES);
    out->contacts = list;
    for (const xmlNode *k = n->children; k && !r->error; k = k->next) {
        if (is_element(k, "contact", REGINFO_NAMESPACE)) {
            read_contact(r, k, &list[out->n_contacts++]);
        } else if (is_element(k, "wildcardedIdentity", WILDCARD_NAMESPACE)) {
            out->wildcard = take(r, xmlNodeGetContent(k));
        }
    }
}

static struct reginfo *read_document(struct reader *r, const xmlNode *root) {
    static const struct span states[] = {SPAN_INIT("partial"), SPAN_INIT("full")};
    size_t n = count(root, "registration");
    if (n > REGINFO_REGISTRATIONS_MAX) {
        fail(r, ERR_TOO_BIG);
        return NULL;
    }
    struct reginfo *out = (struct reginfo *)places(r, 1, sizeof *out);
    struct reginfo_registration *list =
        (struct reginfo_registration *)places(r, n, sizeof(struct reginfo_registration));
    if (r->error) {
        return NULL;
    }
    if (!number(r, root, "version", &out->version)) {
        fail(r, ERR_MALFORMED);
    }
    out->full = word(r, root, "state", states, COUNT_OF(states)) == 1;
    out->registrations = list;
    for (const xmlNode *k = root->children; k && !r->error; k = k->next) {
        if (is_element(k, "registration", REGINFO_NAMESPACE)) {
            read_registration(r, k, &list[out->n_registrations++]);
        }
    }
    return out;
}

/* Encodings in which a declaration could hide are refused: the bytes of what is left are ASCII's
 * for ASCII's characters. */
static bool is_acceptable(struct span s) {
    struct span text = span_starts_with(s, SPAN("\xef\xbb\xbf")) ? span_after(s, 3) : s;
    text = span_trim(text);
    return text.n && text.p[0] == '<' && span_find_char(s, '\0') == s.n &&
           span_find(s, SPAN("<!DOCTYPE")) == s.n;
}

enum error reginfo_read(struct span bytes, struct arena *arena, struct reginfo **out) {
    struct reader r = {.arena = arena};
    if (bytes.n > REGINFO_BYTES_MAX) {
        return ERR_TOO_BIG;
    }
    if (!is_acceptable(bytes)) {
        return ERR_MALFORMED;
    }
    xmlDoc *doc = xmlReadMemory(bytes.p, (int)bytes.n, NULL, NULL,
                                XML_PARSE_NONET | XML_PARSE_NOCDATA | XML_PARSE_NOERROR |
                                    XML_PARSE_NOWARNING);
    const xmlNode *root = doc ? xmlDocGetRootElement(doc) : NULL;
    if (root && !doc->intSubset && is_element(root, "reginfo", REGINFO_NAMESPACE)) {
        *out = read_document(&r, root);
    } else {
        fail(&r, ERR_MALFORMED);
    }
    xmlFreeDoc(doc);
    return r.error;
}
