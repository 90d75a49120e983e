/* Reading Sh-Data with libxml2: no document type declaration, so no entities but the predefined
 * ones; no network, no files. libxml2 itself refuses documents that are nested deeper than 256
 * elements. What stands in ServiceData is written down again by libxml2, with the declarations of
 * the name spaces that it uses, so that it can be put into another document. */
#include "codec/shdata/shdata.h"

#include <libxml/parser.h>
#include <libxml/tree.h>

struct reader {
    struct arena *arena;
    xmlDoc *doc;
    struct shdata *out;
    struct shdata_repository *repositories;
    struct shdata_dsai *dsais;
    enum error error; /* sticky */
};

static void fail(struct reader *r, enum error e) {
    if (r->error == OK) {
        r->error = e;
    }
}

static bool is(const xmlNode *n, const char *name) {
    return n->type == XML_ELEMENT_NODE && xmlStrEqual(n->name, (const xmlChar *)name);
}

static struct span copy(struct reader *r, struct span s) {
    bool failed = false;
    struct span copied = s.n ? arena_copy(r->arena, s, &failed) : SPAN("");
    if (failed) {
        fail(r, ERR_NO_MEMORY);
    }
    return copied;
}

/* Text of an element that has no children. */
static struct span text_of(struct reader *r, const xmlNode *n) {
    for (const xmlNode *k = n->children; k; k = k->next) {
        if (k->type == XML_ELEMENT_NODE) {
            fail(r, ERR_MALFORMED);
        }
    }
    xmlChar *text = xmlNodeGetContent(n);
    struct span s = copy(r, span_trim(span_from_cstr((const char *)text)));
    xmlFree(text);
    return s;
}

static uint32_t number_of(struct reader *r, const xmlNode *n, uint32_t max) {
    uint32_t value = 0;
    if (!span_to_u32(text_of(r, n), max, &value)) {
        fail(r, ERR_MALFORMED);
    }
    return value;
}

/* The nodes inside of an element as XML text. */
static struct span inside_of(struct reader *r, const xmlNode *element) {
    xmlBuffer *b = xmlBufferCreate();
    if (!b) {
        fail(r, ERR_NO_MEMORY);
        return SPAN_NONE;
    }
    for (xmlNode *k = element->children; k; k = k->next) {
        /* a copy of its own has the declarations that its ancestors made for it */
        xmlNode *alone = xmlDocCopyNode(k, r->doc, 1);
        if (!alone || xmlNodeDump(b, r->doc, alone, 0, 0) < 0) {
            fail(r, ERR_NO_MEMORY);
        }
        xmlFreeNode(alone);
    }
    struct span s = copy(r, span_of(xmlBufferContent(b), (size_t)xmlBufferLength(b)));
    xmlBufferFree(b);
    return s;
}

static void read_repository(struct reader *r, const xmlNode *n, bool aliases) {
    if (r->out->n_repositories == SHDATA_ITEMS_MAX) {
        fail(r, ERR_TOO_BIG);
        return;
    }
    struct shdata_repository *d = &r->repositories[r->out->n_repositories++];
    bool has_service = false, has_sequence = false;
    *d = (struct shdata_repository){.aliases = aliases};
    for (const xmlNode *k = n->children; k && !r->error; k = k->next) {
        if (is(k, "ServiceIndication") && !has_service) {
            has_service = true;
            d->service_indication = text_of(r, k);
        } else if (is(k, "SequenceNumber") && !has_sequence) {
            has_sequence = true;
            d->sequence_number = number_of(r, k, SHDATA_SEQUENCE_MAX);
        } else if (is(k, "ServiceData") && !d->has_service_data) {
            d->has_service_data = true;
            d->service_data = inside_of(r, k);
        } else if (is(k, "ServiceIndication") || is(k, "SequenceNumber") || is(k, "ServiceData")) {
            fail(r, ERR_MALFORMED);
        }
    }
    if (!has_sequence || d->service_indication.n == 0) {
        fail(r, ERR_MALFORMED);
    }
    if (d->service_indication.n > SHDATA_SERVICE_INDICATION_MAX) {
        fail(r, ERR_TOO_BIG);
    }
}

static void read_dsai(struct reader *r, const xmlNode *n) {
    if (r->out->n_dsais == SHDATA_ITEMS_MAX) {
        fail(r, ERR_TOO_BIG);
        return;
    }
    struct shdata_dsai *d = &r->dsais[r->out->n_dsais++];
    bool has_value = false;
    *d = (struct shdata_dsai){0};
    for (const xmlNode *k = n->children; k && !r->error; k = k->next) {
        if (is(k, "DSAI-Tag")) {
            d->tag = text_of(r, k);
        } else if (is(k, "DSAI-Value")) {
            has_value = true;
            d->active = number_of(r, k, 1) == 0; /* annex C: 0 is active */
        }
    }
    if (!has_value || !d->tag.n) {
        fail(r, ERR_MALFORMED);
    }
}

/* Extensions nest: what an application server may change stands in the first two. */
static void read_ims_extension(struct reader *r, const xmlNode *n, unsigned depth) {
    for (const xmlNode *k = n->children; k && !r->error; k = k->next) {
        if (is(k, "PSIActivation")) {
            r->out->has_psi_activation = true;
            r->out->psi_active = number_of(r, k, 1) == 1;
        } else if (is(k, "DSAI")) {
            read_dsai(r, k);
        } else if (is(k, "Extension") && depth == 0) {
            read_ims_extension(r, k, depth + 1);
        } else if (k->type == XML_ELEMENT_NODE) {
            r->out->has_others = true;
        }
    }
}

static void read_ims_data(struct reader *r, const xmlNode *n) {
    for (const xmlNode *k = n->children; k && !r->error; k = k->next) {
        if (is(k, "Extension")) {
            read_ims_extension(r, k, 0);
        } else if (k->type == XML_ELEMENT_NODE) {
            r->out->has_others = true;
        }
    }
}

static void read_extension(struct reader *r, const xmlNode *n) {
    for (const xmlNode *k = n->children; k && !r->error; k = k->next) {
        if (is(k, "AliasesRepositoryData")) {
            read_repository(r, k, true);
        } else if (k->type == XML_ELEMENT_NODE) {
            r->out->has_others = true;
        }
    }
}

static void read_document(struct reader *r, const xmlNode *root) {
    if (!is(root, "Sh-Data")) {
        fail(r, ERR_MALFORMED);
        return;
    }
    for (const xmlNode *k = root->children; k && !r->error; k = k->next) {
        if (is(k, "RepositoryData")) {
            read_repository(r, k, false);
        } else if (is(k, "Sh-IMS-Data")) {
            read_ims_data(r, k);
        } else if (is(k, "Extension")) {
            read_extension(r, k);
        } else if (k->type == XML_ELEMENT_NODE) {
            r->out->has_others = true;
        }
    }
}

/* Encodings in which a declaration could hide from the search for it are refused: what is left has
 * ASCII's bytes for ASCII's characters. */
static bool is_plain(struct span xml) {
    if (xml.n < 4 || memchr(xml.p, '\0', xml.n)) {
        return false;
    }
    char first = xml.p[0];
    return first == '<' || first == ' ' || first == '\t' || first == '\n' || first == '\r' ||
           span_starts_with(xml, SPAN("\xef\xbb\xbf"));
}

enum error shdata_read(struct span xml, struct arena *arena, struct shdata **out) {
    struct reader r = {.arena = arena};
    if (xml.n > SHDATA_BYTES_MAX) {
        return ERR_TOO_BIG;
    }
    if (!is_plain(xml) || span_find(xml, SPAN("<!DOCTYPE")) < xml.n) {
        return ERR_MALFORMED;
    }
    r.out = ARENA_NEW(arena, struct shdata);
    r.repositories = arena_alloc(arena, SHDATA_ITEMS_MAX * sizeof *r.repositories);
    r.dsais = arena_alloc(arena, SHDATA_ITEMS_MAX * sizeof *r.dsais);
    if (!r.out || !r.repositories || !r.dsais) {
        return ERR_NO_MEMORY;
    }
    r.doc = xmlReadMemory(xml.p, (int)xml.n, NULL, NULL,
                          XML_PARSE_NONET | XML_PARSE_NOCDATA | XML_PARSE_NOERROR |
                              XML_PARSE_NOWARNING);
    const xmlNode *root = r.doc ? xmlDocGetRootElement(r.doc) : NULL;
    if (!root || r.doc->intSubset) {
        fail(&r, ERR_MALFORMED);
    } else {
        read_document(&r, root);
    }
    xmlFreeDoc(r.doc);
    r.out->repositories = r.repositories;
    r.out->dsais = r.dsais;
    *out = r.out;
    return r.error;
}

static bool same_repository(const struct shdata_repository *a, const struct shdata_repository *b) {
    return a->aliases == b->aliases && span_eq(a->service_indication, b->service_indication) &&
           a->sequence_number == b->sequence_number && a->has_service_data == b->has_service_data &&
           span_eq(a->service_data, b->service_data);
}

bool shdata_eq(const struct shdata *a, const struct shdata *b) {
    if (a->n_repositories != b->n_repositories || a->n_dsais != b->n_dsais ||
        a->has_psi_activation != b->has_psi_activation || a->psi_active != b->psi_active ||
        a->has_others != b->has_others) {
        return false;
    }
    for (size_t i = 0; i < a->n_repositories; i++) {
        if (!same_repository(&a->repositories[i], &b->repositories[i])) {
            return false;
        }
    }
    for (size_t i = 0; i < a->n_dsais; i++) {
        if (!span_eq(a->dsais[i].tag, b->dsais[i].tag) ||
            a->dsais[i].active != b->dsais[i].active) {
            return false;
        }
    }
    return true;
}
