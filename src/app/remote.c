#include "app/remote.h"

#include "app/config.h"
#include "stack/http/web.h"

#include <jansson.h>
#include <stdlib.h>

static int address_from_config(struct remote *r, struct addr *out) {
    struct config *c = calloc(1, sizeof *c);
    char *faults = NULL;
    enum error e = c ? config_load(r->config, c, &faults) : ERR_NO_MEMORY;
    if (e) {
        fputs(faults ? faults : "muster: out of memory\n", stderr);
        free(faults);
        free(c);
        return e == ERR_NO_MEMORY ? EXIT_CODE_SYSTEM : EXIT_CODE_CONFIG;
    }
    *out = c->web.listen;
    config_free(c);
    free(c);
    return EXIT_CODE_OK;
}

int remote_open(struct remote *r) {
    struct addr a = addr_v4(127, 0, 0, 1, NAMING_WEB_PORT);
    struct span web = span_from_cstr(r->web);
    if (span_starts_with_nocase(web, SPAN("http://"))) {
        web = span_after(web, strlen("http://"));
    }
    if (r->web && !addr_parse(web, &a) && !addr_parse_host(web, NAMING_WEB_PORT, &a)) {
        return command_fail(
            EXIT_CODE_USAGE,
            "--web takes an IP address and a port, as in 127.0.0.1:8080, not \"%s\"", r->web);
    }
    if (!r->web && r->config) {
        int code = address_from_config(r, &a);
        if (code) {
            return code;
        }
    }
    struct buf b = buf_init(r->base, sizeof r->base - 1);
    buf_cstr(&b, "http://");
    addr_put(&b, &a);
    r->base[b.n] = '\0';
    return EXIT_CODE_OK;
}

enum error remote_try(const struct remote *r, const char *method, const char *path,
                      struct span body, unsigned timeout_s, struct web_reply *out) {
    size_t n = strlen(r->base) + strlen(path) + 1;
    char *url = malloc(n);
    if (!url) {
        return ERR_NO_MEMORY;
    }
    snprintf(url, n, "%s%s", r->base, path);
    struct web_call call = {
        .method = method,
        .url = url,
        .content_type = body.n ? SPAN("application/json") : SPAN_NONE,
        .body = body,
        .timeout_s = timeout_s,
    };
    enum error e = web_client_call(&call, out);
    free(url);
    return e;
}

int remote_failed(const struct remote *r, enum error e) {
    if (e == ERR_UNREACHABLE) {
        return command_fail(
            EXIT_CODE_UNREACHABLE,
            "no Muster answers at %s; \"muster run\" starts one, --web names another "
            "address",
            r->base);
    }
    if (e == ERR_TIMEOUT) {
        return command_fail(EXIT_CODE_UNREACHABLE, "%s does not answer in time", r->base);
    }
    if (e == ERR_CLOSED) {
        return command_fail(EXIT_CODE_UNREACHABLE,
                            "the Muster at %s ended, or closed the connection", r->base);
    }
    return e ? command_fail(EXIT_CODE_SYSTEM, "%s: %s", r->base, error_text(e)) : EXIT_CODE_OK;
}

int remote_call(const struct remote *r, const char *method, const char *path, struct span body,
                unsigned timeout_s, struct web_reply *out) {
    return remote_failed(r, remote_try(r, method, path, body, timeout_s, out));
}

int remote_refused(const struct web_reply *reply) {
    json_t *object = json_loadb(reply->body, reply->body_n, 0, NULL);
    const char *detail = json_string_value(json_object_get(object, "detail"));
    const char *pointer = json_string_value(json_object_get(object, "pointer"));
    if (detail && pointer && *pointer) {
        command_fail(EXIT_CODE_FAILED, "%s: %s", pointer, detail);
    } else if (detail) {
        command_fail(EXIT_CODE_FAILED, "%s", detail);
    } else {
        command_fail(EXIT_CODE_FAILED, "refused: %u %s", reply->status,
                     web_status_text(reply->status));
    }
    json_decref(object);
    return EXIT_CODE_FAILED;
}
