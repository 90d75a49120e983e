/* The core of a benchmark: `muster run` as child processes with a configuration of their own. */
#include "app/bench.h"

#include "stack/http/client.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { READY_TRIES = 200, READY_PAUSE_MS = 50, END_TRIES = 200, IMPORT_CHUNK = 5000 };

static enum error complain(enum error e, const char *what, const char *about) {
    fprintf(stderr, "muster bench: %s%s%s\n", what, *about ? ": " : "", about);
    return e;
}

static void pause_ms(long ms) {
    const struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    nanosleep(&t, NULL);
}

/* Addresses that no other run uses: a host of 127.0.0.0/8 by our process id. */
static void choose_addresses(struct bench_core *core) {
    uint32_t pid = (uint32_t)getpid();
    struct addr host = addr_v4(127, (uint8_t)(64 + (pid >> 16) % 64), (uint8_t)(pid >> 8),
                               (uint8_t)(1 + pid % 254), 0);
    for (enum naming_role r = 0; r < NAMING_ROLES; r++) {
        memcpy(core->names.node[r].addr.ip, host.ip, sizeof host.ip);
    }
    core->web = host;
    core->web.port = NAMING_WEB_PORT;
}

static enum error make_folder(struct bench_core *core, const struct bench_options *options) {
    if (options->folder) {
        if (mkdir(options->folder, 0700) && errno != EEXIST) {
            return complain(ERR_IO, "cannot make the folder", options->folder);
        }
        snprintf(core->folder, sizeof core->folder, "%s", options->folder);
        return OK;
    }
    const char *base = getenv("TMPDIR");
    snprintf(core->folder, sizeof core->folder, "%s/muster-bench-XXXXXX", base ? base : "/var/tmp");
    if (!mkdtemp(core->folder)) {
        return complain(ERR_IO, "cannot make a folder", core->folder);
    }
    core->remove_folder = true;
    return OK;
}

/* The configuration of the process with these roles. Others are remote. */
static enum error write_configuration(const struct bench_core *core, unsigned roles, size_t process,
                                      const char *path) {
    FILE *f = fopen(path, "w");
    if (!f) {
        return complain(ERR_IO, "cannot write", path);
    }
    fprintf(f, "network: {mcc: \"%s\", mnc: \"%s\"}\nnodes:\n", core->names.plmn.mcc,
            core->names.plmn.mnc);
    for (enum naming_role r = 0; r < NAMING_ROLES; r++) {
        char at[64];
        struct buf b = buf_init(at, sizeof at - 1);
        addr_put(&b, &core->names.node[r].addr);
        at[b.n] = '\0';
        fprintf(f, "  %s: {listen: \"%s\", remote: %s%s}\n", naming_role_name(r), at,
                roles & 1u << r ? "no" : "yes",
                r == NAMING_PCSCF && !core->reg_event ? ", reg-event: no" : "");
    }
    char web[64];
    struct addr a = core->web;
    a.port = (uint16_t)(a.port + process);
    struct buf b = buf_init(web, sizeof web - 1);
    addr_put(&b, &a);
    web[b.n] = '\0';
    fprintf(
        f, "store: {kind: %s, path: \"%s/store\"}\nweb: {listen: \"%s\"}\nlog: warning\ntrace: 0\n",
        core->store, core->folder, web);
    if (fclose(f)) {
        return complain(ERR_IO, "cannot write", path);
    }
    return OK;
}

static void end_signals(sigset_t *set) {
    sigemptyset(set);
    sigaddset(set, SIGINT);
    sigaddset(set, SIGTERM);
}

void bench_hold_signals(void) {
    sigset_t set;
    end_signals(&set);
    sigprocmask(SIG_BLOCK, &set, NULL);
}

bool bench_interrupted(void) {
    sigset_t set;
    return !sigpending(&set) && (sigismember(&set, SIGINT) == 1 || sigismember(&set, SIGTERM) == 1);
}

/* In the child: becomes `muster run -c path`. It is in a group of its own, so that an interruption
 * at the terminal reaches it through us only. */
static void become_core(const char *path, const char *log, pid_t parent) {
    sigset_t set;
    end_signals(&set);
    setpgid(0, 0);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    int fd = open(log, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (fd < 0 || dup2(fd, STDOUT_FILENO) < 0 || dup2(fd, STDERR_FILENO) < 0 ||
        getppid() != parent) {
        _exit(127);
    }
    close(fd);
    execl("/proc/self/exe", "muster", "run", "-c", path, (char *)NULL);
    _exit(127);
}

static enum error start_process(struct bench_core *core, unsigned roles) {
    char path[BENCH_PATH_MAX + 32], log[BENCH_PATH_MAX + 32];
    snprintf(path, sizeof path, "%s/core-%zu.yaml", core->folder, core->n);
    snprintf(log, sizeof log, "%s/core-%zu.log", core->folder, core->n);
    enum error e = write_configuration(core, roles, core->n, path);
    if (e) {
        return e;
    }
    pid_t parent = getpid(), pid = fork();
    if (pid < 0) {
        return complain(ERR_NO_MEMORY, "cannot start a process", "");
    }
    if (pid == 0) {
        become_core(path, log, parent);
    }
    core->pids[core->n++] = pid;
    return OK;
}

/* What the children wrote, for somebody who wonders why they ended. */
static void show_logs(const struct bench_core *core) {
    for (size_t i = 0; i < core->n && !core->adopted; i++) {
        char path[BENCH_PATH_MAX + 32], line[1024];
        snprintf(path, sizeof path, "%s/core-%zu.log", core->folder, i);
        FILE *f = fopen(path, "r");
        for (size_t lines = 0; f && lines < 40 && fgets(line, sizeof line, f); lines++) {
            fprintf(stderr, "core: %s", line);
        }
        if (f) {
            fclose(f);
        }
    }
}

static bool has_ended(const struct bench_core *core, pid_t pid) {
    siginfo_t info = {0};
    if (core->adopted) {
        return kill(pid, 0) != 0;
    }
    return !waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) && info.si_pid;
}

bool bench_core_has_died(const struct bench_core *core) {
    for (size_t i = 0; i < core->n; i++) {
        if (has_ended(core, core->pids[i])) {
            complain(ERR_CLOSED, "the core ended", "");
            show_logs(core);
            return true;
        }
    }
    return false;
}

static enum error call(const struct bench_core *core, const char *method, const char *path,
                       struct span body, unsigned *status) {
    char url[160];
    struct buf b = buf_init(url, sizeof url - 1);
    buf_cstr(&b, "http://");
    addr_put(&b, &core->web);
    buf_cstr(&b, path);
    url[b.n] = '\0';
    struct web_reply reply;
    const struct web_call c = {.method = method,
                               .url = url,
                               .content_type = SPAN_INIT("application/json"),
                               .body = body,
                               .timeout_s = 60};
    enum error e = web_client_call(&c, &reply);
    if (!e) {
        *status = reply.status;
        bool there = core->adopted && reply.status == 409; /* from an earlier run */
        *status = there ? 200 : *status;
        if (!there && reply.status >= 300 && reply.status != 503) {
            fprintf(stderr, "muster bench: %s %s: %u %.400s\n", method, path, reply.status,
                    reply.body);
        }
        web_reply_free(&reply);
    }
    return e;
}

void bench_subscriber(const struct bench_core *core, uint64_t n, struct bench_subscriber *out) {
    struct span domain = span_from_cstr(core->names.home_domain);
    *out = (struct bench_subscriber){0};
    snprintf(out->imsi, sizeof out->imsi, "%s%s%0*llu", core->names.plmn.mcc, core->names.plmn.mnc,
             (int)(12 - strlen(core->names.plmn.mnc)), (unsigned long long)(n + 1));
    struct buf impi = buf_init(out->impi, sizeof out->impi - 1);
    snprintf(out->msisdn, sizeof out->msisdn, "4477%010llu", (unsigned long long)n);
    naming_put_impi(&impi, span_from_cstr(out->imsi), domain);
    struct buf impu = buf_init(out->impu, sizeof out->impu - 1);
    naming_put_temporary_impu(&impu, span_from_cstr(out->imsi), domain);
    for (size_t i = 0; i < sizeof out->k; i++) {
        out->k[i] = (uint8_t)(i < 8 ? n >> (8 * i) : i);
        out->opc[i] = (uint8_t)(0xa0 + i);
    }
}

static void put_subscriber(const struct bench_core *core, uint64_t n, struct buf *b) {
    struct bench_subscriber s;
    bench_subscriber(core, n, &s);
    buf_printf(b, "{\"imsi\":\"%s\",\"msisdn\":\"%s\",\"k\":\"", s.imsi, s.msisdn);
    buf_hex(b, s.k, sizeof s.k);
    buf_cstr(b, "\",\"opc\":\"");
    buf_hex(b, s.opc, sizeof s.opc);
    buf_cstr(b, "\"}");
}

/* Asks until the HSS serves: at first nobody listens, then it may be 503. */
static enum error call_when_ready(const struct bench_core *core, const char *path,
                                  struct span body) {
    for (size_t i = 0; i < READY_TRIES; i++) {
        unsigned status = 0;
        enum error e = call(core, "POST", path, body, &status);
        if (!e && status != 503) {
            return status < 300 ? OK : complain(ERR_REFUSED, "the HSS took no subscribers", "");
        }
        if (e && e != ERR_UNREACHABLE) {
            return complain(e, "the HSS took no subscribers", error_text(e));
        }
        if (bench_interrupted() || bench_core_has_died(core)) {
            return ERR_CLOSED;
        }
        pause_ms(READY_PAUSE_MS);
    }
    show_logs(core);
    return complain(ERR_TIMEOUT, "the core did not begin to serve", "");
}

static enum error add_subscribers(const struct bench_core *core, uint64_t users) {
    size_t cap = (size_t)IMPORT_CHUNK * 160 + 16;
    char *text = malloc(cap);
    enum error e = text ? OK : ERR_NO_MEMORY;
    for (uint64_t n = 0; n < users && !e;) {
        struct buf b = buf_init(text, cap);
        buf_char(&b, '[');
        for (size_t i = 0; i < IMPORT_CHUNK && n < users; i++, n++) {
            if (i) {
                buf_char(&b, ',');
            }
            put_subscriber(core, n, &b);
        }
        buf_char(&b, ']');
        e = b.overflow ? ERR_TOO_BIG : call_when_ready(core, "/subscriptions/sim", buf_span(&b));
    }
    free(text);
    return e;
}

enum error bench_core_start(const struct bench_options *options, unsigned roles,
                            struct bench_core *core) {
    struct naming_plmn plmn;
    *core = (struct bench_core){
        .reg_event = options->reg_event,
        .store = options->memory ? "memory" : "lmdb",
        .commit = options->memory ? "none" : "flushed",
    };
    enum error e = naming_plmn_parse(SPAN("001"), SPAN("01"), &plmn, NULL);
    if (!e) {
        e = naming_derive(&plmn, &core->names);
    }
    if (!e) {
        choose_addresses(core);
        e = make_folder(core, options);
    }
    if (!options->split && !e) {
        return (e = start_process(core, roles)) ? e : add_subscribers(core, options->users);
    }
    for (int r = NAMING_ROLES - 1; r >= 0 && !e; r--) { /* the HSS first: its web address counts */
        if (roles & 1u << r) {
            e = start_process(core, 1u << r);
        }
    }
    return e ? e : add_subscribers(core, options->users);
}

static enum error adopt_pids(const char *list, struct bench_core *core) {
    for (struct span rest = span_from_cstr(list); rest.n;) {
        uint64_t pid;
        if (!span_to_u64(span_cut(&rest, ','), INT32_MAX, &pid) || pid == 0 ||
            core->n == BENCH_PROCESSES_MAX || kill((pid_t)pid, 0) != 0) {
            return complain(ERR_INVALID, "not a list of running processes", list);
        }
        core->pids[core->n++] = (pid_t)pid;
    }
    return core->n ? OK : complain(ERR_INVALID, "no process is named", "--pids 12,13");
}

enum error bench_core_adopt(const struct bench_options *options, struct bench_core *core) {
    struct naming_plmn plmn;
    struct addr *pcscf = &core->names.node[NAMING_PCSCF].addr;
    *core = (struct bench_core){.store = "theirs", .commit = "theirs", .adopted = true};
    if (naming_plmn_parse(SPAN("001"), SPAN("01"), &plmn, NULL) != OK ||
        naming_derive(&plmn, &core->names) != OK) {
        return ERR_INTERNAL;
    }
    if (!addr_parse(span_from_cstr(options->pcscf), pcscf) || !pcscf->port) {
        return complain(ERR_INVALID, "not an address with a port", options->pcscf);
    }
    if (!addr_parse(span_from_cstr(options->web), &core->web) || !core->web.port) {
        return complain(ERR_INVALID, "not an address with a port", options->web);
    }
    enum error e = adopt_pids(options->pids, core);
    return e ? e : add_subscribers(core, options->users);
}

static int remove_entry(const char *path, const struct stat *st, int kind, struct FTW *ftw) {
    (void)st;
    (void)kind;
    (void)ftw;
    return remove(path);
}

/* Waits for a child that was asked to end. Did it, in order? */
static bool wait_for_end(pid_t pid) {
    int status = 0;
    for (size_t tries = 0; waitpid(pid, &status, WNOHANG) == 0; tries++) {
        if (tries == END_TRIES) {
            kill(pid, SIGKILL);
        }
        pause_ms(READY_PAUSE_MS);
    }
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

bool bench_core_stop(struct bench_core *core) {
    bool in_order = true;
    if (core->adopted) {
        return true;
    }
    for (size_t i = 0; i < core->n; i++) {
        kill(core->pids[i], SIGTERM);
    }
    for (size_t i = 0; i < core->n; i++) {
        in_order = wait_for_end(core->pids[i]) && in_order;
    }
    if (!in_order) {
        complain(ERR_CLOSED, "the core did not end in order", "");
        show_logs(core);
    }
    core->n = 0;
    if (core->remove_folder && nftw(core->folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS)) {
        complain(ERR_IO, "could not remove", core->folder);
    }
    core->remove_folder = false;
    return in_order;
}

uint64_t bench_core_cpu_us(const struct bench_core *core) {
    uint64_t sum = 0;
    for (size_t i = 0; i < core->n; i++) {
        clockid_t clock;
        struct timespec t;
        if (!clock_getcpuclockid(core->pids[i], &clock) && !clock_gettime(clock, &t)) {
            sum += (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
        }
    }
    return sum;
}

uint64_t bench_core_rss_bytes(const struct bench_core *core) {
    uint64_t sum = 0;
    for (size_t i = 0; i < core->n; i++) {
        char path[64];
        unsigned long long size = 0, resident = 0;
        snprintf(path, sizeof path, "/proc/%d/statm", (int)core->pids[i]);
        FILE *f = fopen(path, "r");
        if (f) {
            if (fscanf(f, "%llu %llu", &size, &resident) == 2) {
                sum += resident * (uint64_t)sysconf(_SC_PAGESIZE);
            }
            fclose(f);
        }
    }
    return sum;
}
