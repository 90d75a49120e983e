/* The careful reader: libxml2 for whatever the fast one leaves. No document type declaration, so no
 * entities but the predefined ones; no network, no files. What annex E does not know is not taken
 * apart: it becomes a piece of XML that declares the namespaces it needs.
 *
 * libxml2 makes nodes of some 300 bytes: how many there may be is counted before it sees the
 * document. */
#include "codec/userdata/tree.h"

#include <libxml/parser.h>
#include <libxml/tree.h>

struct convert {
    struct userdata_tree tree;
    enum error error;
};

static bool is_text_node(const xmlNode *n) {
    return n->type == XML_TEXT_NODE || n->type == XML_CDATA_SECTION_NODE;
}

static struct span content_of(const xmlNode *n) {
    return span_from_cstr((const char *)n->content);
}

/* The character data of an element: one piece, or several around comments. */
static void take_text(struct convert *c, const xmlNode *element, struct userdata_node *node) {
    size_t n = 0;

    for (const xmlNode *k = element->children; k; k = k->next) {
        n += is_text_node(k) ? content_of(k).n : 0;
    }
    if (!n) {
        return;
    }
    char *p = arena_alloc(c->tree.arena, n);
    if (!p) {
        c->error = ERR_NO_MEMORY;
        return;
    }
    struct buf b = buf_init(p, n);
    for (const xmlNode *k = element->children; k; k = k->next) {
        if (is_text_node(k)) {
            buf_put(&b, content_of(k));
        }
    }
    node->text = buf_span(&b);
}

/* An element with all that it holds, as XML that stands for itself. */
static struct span keep(struct convert *c, xmlDoc *doc, xmlNode *element) {
    xmlNode *copy = xmlDocCopyNode(element, doc, 1); /* with the namespaces of what is around it */
    xmlBuffer *buffer = copy ? xmlBufferCreate() : NULL;
    struct span kept = SPAN_NONE;
    bool failed = !buffer || xmlNodeDump(buffer, doc, copy, 0, 0) < 0;

    if (!failed) {
        kept =
            arena_copy(c->tree.arena,
                       span_of(xmlBufferContent(buffer), (size_t)xmlBufferLength(buffer)), &failed);
    }
    if (failed) {
        c->error = ERR_NO_MEMORY;
    }
    xmlBufferFree(buffer);
    xmlFreeNode(copy);
    return kept;
}

static bool is_deep(const xmlNode *element, unsigned depth) {
    bool deep = depth == USERDATA_DEPTH_MAX;

    for (const xmlNode *k = element->children; k && !deep; k = k->next) {
        deep = k->type == XML_ELEMENT_NODE && is_deep(k, depth + 1);
    }
    return deep;
}

static uint32_t convert(struct convert *c, xmlNode *element, unsigned depth) {
    if (depth == USERDATA_DEPTH_MAX) {
        c->error = ERR_TOO_BIG;
        return USERDATA_NONE;
    }
    enum userdata_element name = userdata_element_of(span_from_cstr((const char *)element->name));
    uint32_t node = userdata_tree_add(&c->tree, name, &c->error), last = USERDATA_NONE;
    if (node == USERDATA_NONE) {
        return node;
    }
    c->error = OK;
    if (name == EL_OTHER) {
        if (is_deep(element, depth)) {
            c->error = ERR_TOO_BIG;
        } else {
            c->tree.nodes[node].text = keep(c, element->doc, element);
        }
        return node;
    }
    for (xmlNode *k = element->children; k && !c->error; k = k->next) {
        if (k->type == XML_ENTITY_REF_NODE) {
            c->error = ERR_MALFORMED;
        } else if (k->type == XML_ELEMENT_NODE) {
            uint32_t child = convert(c, k, depth + 1);

            if (child == USERDATA_NONE) {
                break;
            }
            if (last == USERDATA_NONE) {
                c->tree.nodes[node].child = child;
            } else {
                c->tree.nodes[last].next = child;
            }
            last = child;
        }
    }
    if (!c->error) {
        struct userdata_node *n = &c->tree.nodes[node];

        take_text(c, element, n);
        n->mixed = n->child != USERDATA_NONE && span_trim(n->text).n != 0;
    }
    return node;
}

/* Encodings in which a declaration could hide from the search below are refused: what is left has
 * ASCII's bytes for ASCII's characters. */
static bool is_plain(struct span xml) {
    if (xml.n < 4 || memchr(xml.p, '\0', xml.n)) {
        return false;
    }
    unsigned char first = (unsigned char)xml.p[0];
    return first == '<' || first == ' ' || first == '\t' || first == '\n' || first == '\r' ||
           span_starts_with(xml, SPAN("\xef\xbb\xbf"));
}

/* Are there so few elements, attributes and pieces of text that libxml2 can have them? */
static bool is_small(struct span xml) {
    size_t n = 0;

    for (size_t i = 0; i < xml.n; i++) {
        n += xml.p[i] == '<' || xml.p[i] == '=';
    }
    return n <= USERDATA_CAREFUL_MAX;
}

/* The document, which the caller frees. */
static enum error parse(struct span xml, xmlDoc **out) {
    xmlParserCtxt *parser = xmlNewParserCtxt();

    if (!parser) {
        return ERR_NO_MEMORY;
    }
    *out = xmlCtxtReadMemory(parser, xml.p, (int)xml.n, NULL, NULL,
                             XML_PARSE_NONET | XML_PARSE_NOCDATA | XML_PARSE_NOERROR |
                                 XML_PARSE_NOWARNING);
    enum error e = parser->errNo == XML_ERR_NO_MEMORY ? ERR_NO_MEMORY : *out ? OK : ERR_MALFORMED;
    xmlFreeParserCtxt(parser);
    if (e) {
        xmlFreeDoc(*out);
    }
    return e;
}

enum error userdata_read_libxml2(struct span xml, struct arena *arena, struct userdata **out) {
    struct convert c = {.tree = {.arena = arena}};

    if (xml.n > USERDATA_BYTES_MAX) {
        return ERR_TOO_BIG;
    }
    if (!is_plain(xml) || span_find(xml, SPAN("<!DOCTYPE")) < xml.n) {
        return ERR_MALFORMED;
    }
    if (!is_small(xml)) {
        return ERR_TOO_BIG;
    }
    xmlDoc *doc = NULL;
    c.error = parse(xml, &doc);
    if (c.error) {
        return c.error;
    }
    xmlNode *root = xmlDocGetRootElement(doc);
    c.error = root && !doc->intSubset ? OK : ERR_MALFORMED;
    if (!c.error) {
        (void)convert(&c, root, 0);
    }
    xmlFreeDoc(doc);
    return c.error ? c.error : userdata_interpret(&c.tree, out);
}
