#include "stack/http/client.h"

#include <curl/curl.h>
#include <stdlib.h>

enum { DEFAULT_TIMEOUT_S = 30, CONNECT_TIMEOUT_S = 5, FIRST_CAPACITY = 4096 };

struct incoming {
    struct web_reply *reply;
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
static struct curl_slist *make_headers(const struct web_call *call) {
    struct curl_slist *headers = curl_slist_append(NULL, "Expect:");
    char line[256];
    int n = snprintf(line, sizeof line, "Content-Type: %.*s", SPAN_ARG(call->content_type));
    if (headers && call->content_type.n && n > 0 && (size_t)n < sizeof line) {
        struct curl_slist *longer = curl_slist_append(headers, line);
        if (!longer) {
            curl_slist_free_all(headers);
        }
        headers = longer;
    }
    return headers;
}

static CURLcode perform(CURL *curl, const struct web_call *call, struct curl_slist *headers,
                        struct incoming *in) {
    long timeout_s = call->timeout_s ? (long)call->timeout_s : DEFAULT_TIMEOUT_S;
    curl_easy_setopt(curl, CURLOPT_URL, call->url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http");
    curl_easy_setopt(curl, CURLOPT_PROXY, "");
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, call->method);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_TIMEOUT_S);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT, timeout_s);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, in);
    if (call->body.n) {
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, call->body.p);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)call->body.n);
    }
    return curl_easy_perform(curl);
}

enum error web_client_call(const struct web_call *call, struct web_reply *out) {
    *out = (struct web_reply){0};
    struct incoming in = {.reply = out};
    struct curl_slist *headers = make_headers(call);
    CURL *curl = curl_easy_init();
    enum error result = ERR_NO_MEMORY;
    if (headers && curl) {
        result = error_from_curl(perform(curl, call, headers, &in), &in);
    }
    if (result == OK) {
        long status = 0;
        curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
        out->status = (unsigned)status;
        char nothing = '\0';
        if (!out->body && take_body(&nothing, 0, 0, &in) == 0 && in.failed) {
            result = in.failed;
        }
    }
    curl_easy_cleanup(curl);
    curl_slist_free_all(headers);
    if (result != OK) {
        web_reply_free(out);
    }
    return result;
}

void web_reply_free(struct web_reply *reply) {
    free(reply->body);
    *reply = (struct web_reply){0};
}
