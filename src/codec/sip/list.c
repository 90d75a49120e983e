/* Parameters (RFC 3261 25.1 generic-param) and lists of values (7.3.1). Choices: an empty line of a
 * list header is an empty list; an empty value between commas is malformed. */
#include "codec/sip/headers.h"
#include "codec/sip/lex.h"

/* May c stand in an unquoted parameter value: token, host, or what extensions write there? */
static inline bool is_value_char(char c) {
    return lex_is(c, LEX_TOKEN | LEX_PRINTED) && c != ';' && c != ',';
}

bool sip_param_next(struct span *rest, struct span *name, struct span *value) {
    struct span s = *rest;
    lex_skip_blanks(&s);
    *value = SPAN_NONE;
    if (s.n == 0 && !rest->n) {
        *rest = SPAN_NONE;
        return false;
    }
    *name = lex_token(&s);
    if (name->n == 0) {
        return false;
    }
    if (lex_separator(&s, '=')) {
        if (s.n && s.p[0] == '"') {
            if (!lex_quoted(&s, value)) {
                return false;
            }
        } else {
            size_t n = 0;
            while (n < s.n && is_value_char(s.p[n])) {
                n++;
            }
            if (n == 0) {
                return false;
            }
            *value = (struct span){s.p, n};
            s = span_after(s, n);
        }
        lex_skip_blanks(&s);
    }
    if (s.n == 0) {
        *rest = (struct span){s.p, 0};
        return true;
    }
    if (s.p[0] != ';' || s.n == 1) {
        return false;
    }
    *rest = span_after(s, 1);
    return true;
}

bool sip_param(struct span params, struct span name, struct span *value) {
    struct span param_name, param_value;
    while (sip_param_next(&params, &param_name, &param_value)) {
        if (span_eq_nocase(param_name, name)) {
            if (value) {
                *value = param_value;
            }
            return true;
        }
    }
    return false;
}

void sip_unquote(struct buf *b, struct span text) {
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] == '\\' && i + 1 < text.n) {
            i++;
        }
        buf_char(b, text.p[i]);
    }
}

struct sip_list sip_list_of(const struct sip_msg *msg, enum sip_header_id id) {
    return (struct sip_list){.msg = msg, .line = msg->first[id]};
}

struct sip_list sip_list_of_text(struct span text) {
    return (struct sip_list){.rest = lex_trim(text), .line = SIP_NO_HEADER};
}

bool sip_list_next(struct sip_list *list, struct span *value) {
    while (list->rest.n == 0) {
        if (list->rest.p && list->rest.p[-1] == ',') {
            list->malformed = true;
            return false;
        }
        if (list->line == SIP_NO_HEADER) {
            return false;
        }
        list->header = &list->msg->headers[list->line];
        list->line = list->header->next;
        list->rest = list->header->value;
        if (list->rest.n == 0) {
            list->rest = SPAN_NONE;
        }
    }
    size_t end = span_find_char(list->rest, ',');
    if (end < list->rest.n) {
        end = lex_value_end(list->rest);
    }
    if (end == SIZE_MAX) {
        list->malformed = true;
        return false;
    }
    *value = lex_trim(span_slice(list->rest, 0, end));
    if (value->n == 0) {
        list->malformed = true;
        return false;
    }
    /* Behind a comma something must follow: an empty rest whose last byte was a comma tells that.
     */
    list->rest = end < list->rest.n ? lex_trim(span_after(list->rest, end + 1)) : SPAN_NONE;
    return true;
}

size_t sip_list_count(const struct sip_msg *msg, enum sip_header_id id) {
    struct sip_list list = sip_list_of(msg, id);
    struct span value;
    size_t count = 0;
    while (sip_list_next(&list, &value)) {
        count++;
    }
    return count;
}

bool sip_has_token(const struct sip_msg *msg, enum sip_header_id id, struct span token) {
    struct sip_list list = sip_list_of(msg, id);
    struct span value;
    while (sip_list_next(&list, &value)) {
        if (span_eq_nocase(value, token)) {
            return true;
        }
    }
    return false;
}
