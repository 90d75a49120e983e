#include "rt/sim_internal.h"

#include <stdlib.h>

bool sim_place_matches(const char *pattern, const char *name, const struct addr *a) {
    size_t n = strlen(pattern);
    if (n > 0 && pattern[n - 1] == '*') {
        return strncmp(pattern, name, n - 1) == 0;
    }
    if (strcmp(pattern, name) == 0) {
        return true;
    }
    struct addr place;
    if (addr_parse(span_of(pattern, n), &place)) {
        return addr_eq(&place, a);
    }
    return addr_parse_host(span_of(pattern, n), 0, &place) && addr_same_host(&place, a);
}

const struct sim_faults *sim_faults_for(const struct sim *s, const char *from_name,
                                        const struct addr *from, const char *to_name,
                                        const struct addr *to) {
    for (const struct fault_rule *r = s->rules; r; r = r->next) {
        if (sim_place_matches(r->from, from_name, from) && sim_place_matches(r->to, to_name, to)) {
            return &r->faults;
        }
    }
    return &s->default_faults;
}

enum error sim_set_faults(struct sim *s, const char *from, const char *to,
                          const struct sim_faults *faults) {
    struct fault_rule *new = NULL;
    if (faults) {
        size_t n_from = strlen(from) + 1, n_to = strlen(to) + 1;
        new = malloc(sizeof *new + n_from + n_to);
        if (!new) {
            return ERR_NO_MEMORY;
        }
        new->faults = *faults;
        new->from = memcpy((char *)(new + 1), from, n_from);
        new->to = memcpy(new->from + n_from, to, n_to);
    }
    for (struct fault_rule **at = &s->rules; *at; at = &(*at)->next) {
        struct fault_rule *r = *at;
        if (strcmp(r->from, from) == 0 && strcmp(r->to, to) == 0) {
            *at = r->next;
            free(r);
            break;
        }
    }
    if (new) {
        new->next = s->rules;
        s->rules = new;
    }
    return OK;
}

enum error sim_set_faults_between(struct sim *s, const char *a, const char *b,
                                  const struct sim_faults *faults) {
    enum error e = sim_set_faults(s, a, b, faults);
    return e == OK && strcmp(a, b) != 0 ? sim_set_faults(s, b, a, faults) : e;
}

void sim_set_default_faults(struct sim *s, const struct sim_faults *faults) {
    s->default_faults = *faults;
}
