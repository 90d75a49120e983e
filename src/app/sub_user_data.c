/* muster sub user-data: the document that an S-CSCF gets for a public identity. */
#include "app/sub.h"
#include "base/buf.h"
#include "stack/http/web.h"

#include <stdlib.h>
#include <unistd.h>

enum { TIMEOUT_S = 30 };

static int fetch(const struct remote *r, const char *identity, bool no_sets) {
    static const char before[] = "/user-data/", after[] = "?shared-ifc-sets=no";
    struct span id = span_from_cstr(identity);
    size_t cap = sizeof before + sizeof after + 3 * id.n;
    char *path = malloc(cap);
    struct web_reply reply;
    if (!path) {
        return command_fail(EXIT_CODE_SYSTEM, "out of memory");
    }
    struct buf b = buf_init(path, cap);
    buf_cstr(&b, before);
    web_encode(&b, id);
    buf_cstr(&b, no_sets ? after : "");
    buf_char(&b, '\0');
    int code = remote_call(r, "GET", path, SPAN_NONE, TIMEOUT_S, &reply);
    free(path);
    if (code) {
        return code;
    }
    if (reply.status >= 300) {
        code = remote_refused(&reply);
    } else {
        fwrite(reply.body, 1, reply.body_n, stdout);
        putchar('\n');
    }
    web_reply_free(&reply);
    return code;
}

int sub_user_data(const struct command *self, int argc, char **argv) {
    struct remote remote = {0};
    bool no_sets = false;
    const struct option_def options[] = {
        {.name = "no-shared-sets",
         .help = "as for an S-CSCF without shared sets: their criteria are written out",
         .kind = OPTION_FLAG,
         .out = &no_sets},
        REMOTE_OPTIONS(&remote),
        {0},
    };
    const struct usage usage = {
        .arguments = "IMPU",
        .text =
            "Prints the User-Data (TS 29.228 annex E) that an S-CSCF gets for the implicit\n"
            "registration set of a public identity; spec/userdata.xsd is its schema. An identity\n"
            "that a wildcard stands for gets the wildcard's.",
        .options = options,
        .examples = "  muster sub user-data tel:+447700900101 | xmllint --format -",
        .min_args = 1,
        .max_args = 1,
    };
    struct args rest;
    int code;
    if (!command_parse(self, &usage, argc, argv, &rest, &code) ||
        !sub_is_whole(self, rest.v[0], &code) || (code = remote_open(&remote)) != 0) {
        return code;
    }
    return fetch(&remote, rest.v[0], no_sets);
}
