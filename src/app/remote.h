/* How commands reach a running Muster: its web interface, by the options --web or -c. */
#ifndef MUSTER_APP_REMOTE_H
#define MUSTER_APP_REMOTE_H

#include "app/command.h"
#include "base/error.h"
#include "stack/http/client.h"

/** Where a running Muster listens. Zeroed: 127.0.0.1:8080. */
struct remote {
    const char *web;        /* option --web: "127.0.0.1:8080", "https://hss.example.org:8443" */
    const char *config;     /* option -c: the file that it was started with */
    const char *token_file; /* option --token-file; else MUSTER_TOKEN_FILE, or MUSTER_TOKEN */
    const char *trust;      /* option --trust; else MUSTER_TRUST, or as the configuration says */
    char base[300];         /* "http://127.0.0.1:8080", by remote_open */
    char token[128];        /* empty: none */
    char trust_path[1024];  /* empty: the system's authorities */
};

/** Rows for a command's table of options. */
#define REMOTE_OPTIONS(remote)                                                                     \
    {.name = "web",                                                                                \
     .value = "ADDRESS",                                                                           \
     .help = "where the running Muster's web interface is (127.0.0.1:8080)",                       \
     .kind = OPTION_TEXT,                                                                          \
     .out = &(remote)->web},                                                                       \
        {.name = "token-file",                                                                     \
         .value = "FILE",                                                                          \
         .help = "a file with the token to show (MUSTER_TOKEN_FILE, MUSTER_TOKEN)",                \
         .kind = OPTION_TEXT,                                                                      \
         .out = &(remote)->token_file},                                                            \
        {.name = "trust",                                                                          \
         .value = "FILE",                                                                          \
         .help = "authorities for https, PEM (MUSTER_TRUST; those of the system)",                 \
         .kind = OPTION_TEXT,                                                                      \
         .out = &(remote)->trust},                                                                 \
    {                                                                                              \
        .name = "config", .letter = 'c', .value = "FILE",                                          \
        .help = "take its address from the configuration it runs with", .kind = OPTION_TEXT,       \
        .out = &(remote)->config                                                                   \
    }

/** Fills in what goes with each request of this address: token and authorities. */
void remote_dress(const struct remote *r, struct web_call *call);

/** Works out the address and the token. An exit code: EXIT_CODE_OK, or after a message another one.
 */
MUST_CHECK int remote_open(struct remote *r);

/** Asks for a path (with its query), body as JSON. EXIT_CODE_OK for every HTTP answer; after a
 * message EXIT_CODE_UNREACHABLE or EXIT_CODE_SYSTEM. */
MUST_CHECK int remote_call(const struct remote *r, const char *method, const char *path,
                           struct span body, unsigned timeout_s, struct web_reply *out);

/** The same without a word: OK for every HTTP answer. ERR_UNREACHABLE, ERR_TIMEOUT, ERR_CLOSED,
 * ERR_NO_MEMORY and what else web_client_call says. */
MUST_CHECK enum error remote_try(const struct remote *r, const char *method, const char *path,
                                 struct span body, unsigned timeout_s, struct web_reply *out);

/** Says what such an error means. An exit code. */
int remote_failed(const struct remote *r, enum error e);

/** Prints what a refusal (status 400 and above, problem+json) says in detail, as "muster: TEXT",
 * and returns EXIT_CODE_FAILED. */
int remote_refused(const struct web_reply *reply);

#endif
