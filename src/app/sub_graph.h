/* A subscription as a graph: what its two pictures share. Private to sub_graph*.c. */
#ifndef MUSTER_APP_SUB_GRAPH_H
#define MUSTER_APP_SUB_GRAPH_H

#include "app/sub.h"
#include "base/buf.h"

enum { GRAPH_SETS_MAX = 65, GRAPH_IMPIS_MAX = 64, GRAPH_IMPUS_MAX = 1024 };

/** One public identity. */
struct graph_impu {
    const json_t *json;
    char text[200]; /* the identity, the home domain in short */
};

/** One implicit registration set. */
struct graph_set {
    unsigned number;
    struct span state;
    uint64_t members; /* bits of the private identities that may register it */
    size_t first, n;  /* of its public identities */
};

/** A subscription, sorted for drawing. Spans look into the JSON. */
struct graph {
    struct span name, scscf;
    char domain[200]; /* what "DOMAIN" stands for; empty: for nothing */
    struct {
        char text[200];
        char credentials[80];
    } impis[GRAPH_IMPIS_MAX];
    size_t n_impis;
    struct graph_set sets[GRAPH_SETS_MAX];
    size_t n_sets;
    struct graph_impu impus[GRAPH_IMPUS_MAX]; /* set after set */
    size_t n_impus;
};

/** What is said of a public identity besides its name: "default", "barred", "alias a". */
void graph_marks(const json_t *impu, char *out, size_t cap);

/** Draws it as SVG. */
void graph_svg(const struct graph *g, FILE *out);

#endif
