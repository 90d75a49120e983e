#include "app/reload.h"

#include "app/config_difference.h"
#include "app/subscribers.h"
#include "obs/trace.h"
#include "rt/loop.h"

#include <stdio.h>
#include <stdlib.h>

struct differences {
    FILE *applied, *restart;
};

/* These are taken by reload_apply itself. */
static bool changes_at_once(const char *path) {
    static const char *const names[] = {"log", "trace", "subscribers", "web.tokens-file"};
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        if (strcmp(path, names[i]) == 0) {
            return true;
        }
    }
    return false;
}

static void note(void *ctx, const char *path) {
    struct differences *d = ctx;
    fprintf(changes_at_once(path) ? d->applied : d->restart, "%s\n", path);
}

static enum error list_differences(const struct config *running, const struct config *fresh,
                                   struct reload_report *out) {
    size_t n;
    struct differences d = {open_memstream(&out->applied, &n), NULL};
    if (!d.applied) {
        return ERR_NO_MEMORY;
    }
    d.restart = open_memstream(&out->restart, &n);
    if (d.restart) {
        config_each_difference(running, fresh, note, &d);
    }
    bool failed = !d.restart || fclose(d.restart) != 0;
    failed |= fclose(d.applied) != 0;
    return failed ? ERR_NO_MEMORY : OK;
}

static enum error set_trace(struct loop *loop, uint64_t bytes) {
    if (bytes == 0) {
        trace_disable(loop_trace(loop));
        return OK;
    }
    return trace_enable(loop_trace(loop), (size_t)bytes);
}

enum error reload_apply(const struct config *running, const struct config *fresh,
                        struct network *network, struct loop *loop, struct reload_report *out) {
    char message[1024];
    *out = (struct reload_report){0};
    enum error e = list_differences(running, fresh, out);
    if (!e && fresh->trace_bytes != running->trace_bytes) {
        e = set_trace(loop, fresh->trace_bytes);
    }
    if (e) {
        return e;
    }
    network_set_log_level(network, (enum log_level)fresh->log_level);
    if (network_reload_tls(network, message, sizeof message) != OK) {
        out->trouble = strdup(message);
    }
    char *why = NULL;
    if (subscribers_provision(fresh, network, loop, &why) != OK && !out->trouble) {
        out->trouble = why ? why : strdup("a file of subscribers could not be added");
    } else {
        free(why);
    }
    return OK;
}

void reload_report_free(struct reload_report *r) {
    free(r->faults);
    free(r->applied);
    free(r->restart);
    free(r->trouble);
    *r = (struct reload_report){0};
}
