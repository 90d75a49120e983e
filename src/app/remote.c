#include "app/remote.h"

#include "app/config.h"
#include "stack/http/web.h"

#include <jansson.h>
#include <openssl/crypto.h>
#include <stdlib.h>

/* A token is one line. */
static int read_token(struct remote *r) {
    const char *path = r->token_file ? r->token_file : getenv("MUSTER_TOKEN_FILE");
    const char *given = r->token_file ? NULL : getenv("MUSTER_TOKEN");
    struct span token = span_trim(span_from_cstr(given));
    char *text = NULL;
    size_t n = 0;
    if (path && !token.n) {
        enum error e = settings_read_file(path, &text, &n);
        if (e) {
            return command_fail(EXIT_CODE_USAGE, "the token cannot be read from %s: %s", path,
                                error_text(e));
        }
        token = span_trim(span_of(text, n));
    }
    bool good =
        span_find_char(token, '\n') == token.n && span_to_cstr(token, r->token, sizeof r->token);
    if (text) {
        OPENSSL_cleanse(text, n);
        free(text);
    }
    return good ? EXIT_CODE_OK
                : command_fail(EXIT_CODE_USAGE,
                               "%s does not hold a token, which is one line of text",
                               path ? path : "MUSTER_TOKEN");
}

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
    if (!config_web_trust_path(c, r->trust_path, sizeof r->trust_path)) {
        r->trust_path[0] = '\0';
    }
    config_free(c);
    free(c);
    return EXIT_CODE_OK;
}

/* "https://HOST[:PORT]": the host is the name that the certificate is for. */
static int open_https(struct remote *r, struct span rest) {
    while (rest.n && rest.p[rest.n - 1] == '/') {
        rest.n--;
    }
    size_t host = span_find_char(rest, ']') < rest.n ? span_find_char(rest, ']') : 0;
    bool port = span_find_char(span_after(rest, host), ':') < rest.n - host;
    struct buf b = buf_init(r->base, sizeof r->base - 1);
    for (size_t i = 0; i < rest.n; i++) {
        char c = rest.p[i];
        bool good = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                    (c && strchr("-._:[]", c));
        b.overflow |= !good;
    }
    buf_printf(&b, "https://%.*s", SPAN_ARG(rest));
    if (!port) {
        buf_printf(&b, ":%d", CONFIG_WEB_TLS_PORT);
    }
    if (!rest.n || b.overflow) {
        return command_fail(EXIT_CODE_USAGE, "--web takes https://HOST:PORT, not \"%s\"", r->web);
    }
    r->base[b.n] = '\0';
    return EXIT_CODE_OK;
}

static void take_trust(struct remote *r) {
    const char *trust = r->trust ? r->trust : getenv("MUSTER_TRUST");
    if (trust) {
        snprintf(r->trust_path, sizeof r->trust_path, "%s", trust);
    }
}

int remote_open(struct remote *r) {
    static const struct span https = SPAN_INIT("https://");
    struct addr a = addr_v4(127, 0, 0, 1, NAMING_WEB_PORT);
    struct span web = span_from_cstr(r->web);
    int token = read_token(r);
    take_trust(r);
    if (token) {
        return token;
    }
    if (span_starts_with_nocase(web, https)) {
        return open_https(r, span_after(web, https.n));
    }
    if (span_starts_with_nocase(web, SPAN("http://"))) {
        web = span_after(web, strlen("http://"));
    }
    if (r->web && !addr_parse(web, &a) && !addr_parse_host(web, NAMING_WEB_PORT, &a)) {
        return command_fail(
            EXIT_CODE_USAGE,
            "--web takes an IP address and a port, as in 127.0.0.1:8080, or https://HOST:PORT, not "
            "\"%s\"",
            r->web);
    }
    if (!r->web && r->config) {
        int code = address_from_config(r, &a);
        if (code) {
            return code;
        }
    }
    if (r->token[0] && !addr_is_loopback(&a)) {
        return command_fail(EXIT_CODE_USAGE,
                            "a token is not sent over plain HTTP to another machine: give --web "
                            "https://HOST:PORT");
    }
    struct buf b = buf_init(r->base, sizeof r->base - 1);
    buf_cstr(&b, "http://");
    addr_put(&b, &a);
    r->base[b.n] = '\0';
    return EXIT_CODE_OK;
}

void remote_dress(const struct remote *r, struct web_call *call) {
    call->token = r->token[0] ? r->token : NULL;
    call->trust = r->trust_path[0] ? r->trust_path : NULL;
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
    remote_dress(r, &call);
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
    if (e == ERR_AUTHENTICATION) {
        return command_fail(EXIT_CODE_UNREACHABLE,
                            "the certificate of %s is not for that host, or not of an authority "
                            "that is trusted: --trust FILE, or MUSTER_TRUST, names some",
                            r->base);
    }
    if (e == ERR_IO && strncmp(r->base, "https:", 6) == 0) {
        return command_fail(EXIT_CODE_UNREACHABLE,
                            "%s: there is no TLS; web: tls-listen is an address with TLS", r->base);
    }
    if (e == ERR_NOT_FOUND) {
        return command_fail(EXIT_CODE_USAGE, "%s holds no authorities (PEM)", r->trust_path);
    }
    return e ? command_fail(EXIT_CODE_SYSTEM, "%s: %s", r->base, error_text(e)) : EXIT_CODE_OK;
}

int remote_call(const struct remote *r, const char *method, const char *path, struct span body,
                unsigned timeout_s, struct web_reply *out) {
    return remote_failed(r, remote_try(r, method, path, body, timeout_s, out));
}

int remote_refused(const struct web_reply *reply) {
    json_t *object = json_loadb(reply->body, reply->body_n, 0, NULL);
    if (reply->status == 401) {
        json_decref(object);
        return command_fail(EXIT_CODE_FAILED,
                            "this Muster wants a token, and a good one: --token-file FILE, or "
                            "MUSTER_TOKEN_FILE; \"muster token new\" makes one");
    }
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
