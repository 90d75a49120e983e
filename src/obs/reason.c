#include "obs/reason.h"

#include "spec/reasons_table.h"

const char *reason_name(enum reason r) {
    return reasons[r].name;
}

const char *reason_text(enum reason r) {
    return reasons[r].text;
}

const char *reason_mend(enum reason r) {
    return reasons[r].mend;
}

const char *reason_nodes(enum reason r) {
    return reasons[r].nodes;
}

bool reason_passes(enum reason r) {
    return reasons[r].later;
}

bool reason_is_of_hop(enum reason r) {
    return reasons[r].hop;
}

enum reason reason_of(struct span name) {
    for (unsigned r = REASON_NONE + 1; r < REASONS; r++) {
        if (span_eq(name, span_from_cstr(reasons[r].name))) {
            return (enum reason)r;
        }
    }
    return REASON_NONE;
}

const char *journal_step_name(enum journal_step s) {
    return steps[s].name;
}

const char *journal_step_text(enum journal_step s) {
    return steps[s].text;
}
