/* The careful reader: libxml2 for whatever the fast one leaves. No document type declaration, so no
 * entities but the predefined ones; no network, no files. */
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

static uint32_t convert(struct convert *c, const xmlNode *element, unsigned depth) {
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
    for (const xmlNode *k = element->children; k && !c->error; k = k->next) {
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
    xmlDoc *doc = NULL;
    c.error = parse(xml, &doc);
    if (c.error) {
        return c.error;
    }
    const xmlNode *root = xmlDocGetRootElement(doc);
    c.error = root && !doc->intSubset ? OK : ERR_MALFORMED;
    if (!c.error) {
        (void)convert(&c, root, 0);
    }
    xmlFreeDoc(doc);
    return c.error ? c.error : userdata_interpret(&c.tree, out);
}
