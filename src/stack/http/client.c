#include "stack/http/client.h"

#include <curl/curl.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>

enum { DEFAULT_TIMEOUT_S = 30, CONNECT_TIMEOUT_S = 5, FIRST_CAPACITY = 4096 };

struct incoming {
    struct web_reply *reply;
    const char *wanted_header;
    size_t capacity;
    enum error failed;
};

static size_t take_body(char *bytes, size_t size, size_t count, void *ctx) {
    struct incoming *in = ctx;
    struct web_reply *reply = in->reply;
    size_t n = size * count;
    if (n > WEB_REPLY_MAX - reply->body_n) {
        in->failed = ERR_TOO_BIG;
        return 0;
    }
    size_t needed = reply->body_n + n + 1;
    if (needed > in->capacity) {
        size_t capacity = in->capacity ? in->capacity : FIRST_CAPACITY;
        while (capacity < needed) {
            capacity *= 2;
        }
        char *grown = realloc(reply->body, capacity);
        if (!grown) {
            in->failed = ERR_NO_MEMORY;
            return 0;
        }
        reply->body = grown;
        in->capacity = capacity;
    }
    if (n) {
        memcpy(reply->body + reply->body_n, bytes, n);
    }
    reply->body_n += n;
    reply->body[reply->body_n] = '\0';
    return n;
}

static size_t take_header(char *bytes, size_t size, size_t count, void *ctx) {
    struct incoming *in = ctx;
    struct span value = span_of(bytes, size * count), name = span_cut(&value, ':');
    if (value.p && span_eq_nocase(name, span_from_cstr(in->wanted_header)) &&
        !span_to_cstr(span_trim(value), in->reply->header, sizeof in->reply->header)) {
        in->reply->header[0] = '\0';
    }
    return size * count;
}

static enum error error_from_curl(CURLcode code, const struct incoming *in) {
    switch (code) {
    case CURLE_OK:
        return OK;
    case CURLE_WRITE_ERROR:
        return in->failed ? in->failed : ERR_IO;
    case CURLE_COULDNT_CONNECT:
    case CURLE_COULDNT_RESOLVE_HOST:
        return ERR_UNREACHABLE;
    case CURLE_OPERATION_TIMEDOUT:
        return ERR_TIMEOUT;
    case CURLE_GOT_NOTHING:
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR:
    case CURLE_PARTIAL_FILE:
        return ERR_CLOSED;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_ISSUER_ERROR:
        return ERR_AUTHENTICATION;
    case CURLE_SSL_CACERT_BADFILE:
        return ERR_NOT_FOUND;
    case CURLE_OUT_OF_MEMORY:
        return ERR_NO_MEMORY;
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
        return ERR_INVALID;
    default:
        return ERR_IO;
    }
}

/* "Expect:" keeps libcurl from waiting for a 100 that nobody owes it. */
static struct curl_slist *add_header(struct curl_slist *headers, const char *name,
                                     struct span value) {
    char line[256];
    int n = snprintf(line, sizeof line, "%s: %.*s", name, SPAN_ARG(value));
    if (!headers || !value.n || n < 0 || (size_t)n >= sizeof line) {
        return headers;
    }
    struct curl_slist *longer = curl_slist_append(headers, line);
    if (!longer) {
        curl_slist_free_all(headers);
    }
    OPENSSL_cleanse(line, sizeof line);
    return longer;
}

static struct curl_slist *make_headers(const struct web_call *call) {
    char bearer[200] = "";
    struct curl_slist *headers = curl_slist_append(NULL, "Expect:");
    headers = add_header(headers, "Content-Type", call->content_type);
    if (call->token && snprintf(bearer, sizeof bearer, "Bearer %s", call->token) > 0) {
        headers = add_header(headers, "Authorization", span_from_cstr(bearer));
    }
    OPENSSL_cleanse(bearer, sizeof bearer);
    return headers;
}

static void set_up(CURL *curl, const struct web_call *call, struct curl_slist *headers,
                   struct incoming *in) {
    long timeout_s = call->timeout_s ? (long)call->timeout_s : DEFAULT_TIMEOUT_S;
    curl_easy_setopt(curl, CURLOPT_URL, call->url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    if (call->trust) {
        curl_easy_setopt(curl, CURLOPT_CAINFO, call->trust);
    }
    curl_easy_setopt(curl, CURLOPT_PROXY, "");
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, call->method);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_TIMEOUT_S);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT, timeout_s);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, in);
    if (call->wanted_header) {
        in->wanted_header = call->wanted_header;
        curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, take_header);
        curl_easy_setopt(curl, CURLOPT_HEADERDATA, in);
    }
    if (call->body.n) {
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, call->body.p);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)call->body.n);
    }
}

/* What has come of it. */
static enum error take_result(CURL *curl, CURLcode code, struct incoming *in,
                              struct web_reply *out) {
    enum error result = error_from_curl(code, in);
    if (result) {
        return result;
    }
    long status = 0;
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    out->status = (unsigned)status;
    char nothing = '\0';
    if (!out->body && take_body(&nothing, 0, 0, in) == 0 && in->failed) {
        result = in->failed;
    }
    return result;
}

enum error web_client_call(const struct web_call *call, struct web_reply *out) {
    *out = (struct web_reply){0};
    struct incoming in = {.reply = out};
    struct curl_slist *headers = make_headers(call);
    CURL *curl = curl_easy_init();
    enum error result = ERR_NO_MEMORY;
    if (headers && curl) {
        set_up(curl, call, headers, &in);
        result = take_result(curl, curl_easy_perform(curl), &in, out);
    }
    curl_easy_cleanup(curl);
    curl_slist_free_all(headers);
    if (result != OK) {
        web_reply_free(out);
    }
    return result;
}

/* Several at a time. */

struct web_client {
    CURLM *multi;
};

struct web_exchange {
    struct web_client *client;
    CURL *curl;
    struct curl_slist *headers;
    struct web_reply reply;
    struct incoming in;
    bool done;
    CURLcode code;
};

enum error web_client_new(struct web_client **out) {
    struct web_client *c = calloc(1, sizeof *c);
    *out = c;
    if (!c) {
        return ERR_NO_MEMORY;
    }
    c->multi = curl_multi_init();
    if (!c->multi) {
        free(c);
        *out = NULL;
        return ERR_NO_MEMORY;
    }
    return OK;
}

void web_client_free(struct web_client *client) {
    if (client) {
        curl_multi_cleanup(client->multi);
        free(client);
    }
}

/* Does what can be done at once, and notes what has ended. */
static enum error turn(struct web_client *c) {
    int running, left;
    if (curl_multi_perform(c->multi, &running) != CURLM_OK) {
        return ERR_IO;
    }
    for (CURLMsg *m; (m = curl_multi_info_read(c->multi, &left)) != NULL;) {
        char *x;
        if (m->msg == CURLMSG_DONE &&
            curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &x) == CURLE_OK) {
            ((struct web_exchange *)(void *)x)->done = true;
            ((struct web_exchange *)(void *)x)->code = m->data.result;
        }
    }
    return OK;
}

static void exchange_free(struct web_exchange *x) {
    if (x->curl) {
        curl_multi_remove_handle(x->client->multi, x->curl);
        curl_easy_cleanup(x->curl);
    }
    curl_slist_free_all(x->headers);
    free(x);
}

enum error web_client_begin(struct web_client *client, const struct web_call *call,
                            struct web_exchange **out) {
    struct web_exchange *x = calloc(1, sizeof *x);
    *out = x;
    if (!x) {
        return ERR_NO_MEMORY;
    }
    x->client = client;
    x->in.reply = &x->reply;
    x->headers = make_headers(call);
    x->curl = curl_easy_init();
    enum error e = x->headers && x->curl ? OK : ERR_NO_MEMORY;
    if (!e) {
        set_up(x->curl, call, x->headers, &x->in);
        curl_easy_setopt(x->curl, CURLOPT_PRIVATE, (char *)(void *)x);
        e = curl_multi_add_handle(client->multi, x->curl) == CURLM_OK ? turn(client)
                                                                      : ERR_NO_MEMORY;
    }
    if (e) {
        exchange_free(x);
        *out = NULL;
    }
    return e;
}

enum error web_client_end(struct web_exchange *x, struct web_reply *out) {
    enum { WAIT_MS = 1000 };
    enum error e = OK;
    while (!x->done && !(e = turn(x->client)) && !x->done) {
        e = curl_multi_poll(x->client->multi, NULL, 0, WAIT_MS, NULL) == CURLM_OK ? OK : ERR_IO;
        if (e) {
            break;
        }
    }
    e = e ? e : take_result(x->curl, x->code, &x->in, &x->reply);
    *out = (struct web_reply){0};
    if (e) {
        web_reply_free(&x->reply);
    } else {
        *out = x->reply;
    }
    exchange_free(x);
    return e;
}

void web_reply_free(struct web_reply *reply) {
    free(reply->body);
    *reply = (struct web_reply){0};
}
