#include "app/simulation_jobs.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* A process that runs every n-th seed, and the pipe through which its reports come. */
struct job {
    pid_t pid;
    int reports;
    bool ended;
    char how[128]; /* it ended, if it did so before its time */
};

static bool write_all(int fd, const void *bytes, size_t n) {
    const char *p = bytes;
    while (n) {
        ssize_t done = write(fd, p, n);
        if (done <= 0) {
            return false;
        }
        p += done;
        n -= (size_t)done;
    }
    return true;
}

static bool read_all(int fd, void *bytes, size_t n) {
    char *p = bytes;
    while (n) {
        ssize_t done = read(fd, p, n);
        if (done <= 0) {
            return false;
        }
        p += done;
        n -= (size_t)done;
    }
    return true;
}

/* In the child. A parent that has gone away ends it by SIGPIPE. */
static void work(struct simulation_options options, uint64_t seeds, unsigned first, unsigned step,
                 int reports) {
    uint64_t base = options.seed;
    for (uint64_t i = first; i < seeds; i += step) {
        struct simulation_report report;
        options.seed = base + i;
        enum error e = simulation_run(&options, &report, NULL);
        report.passed = report.passed && !e;
        if (!write_all(reports, &report, sizeof report)) {
            return;
        }
    }
}

static enum error begin(struct job *job, const struct simulation_options *options, uint64_t seeds,
                        unsigned first, unsigned step) {
    int ends[2];
    if (pipe(ends) != 0) {
        return ERR_IO;
    }
    fflush(NULL);
    job->pid = fork();
    if (job->pid == 0) {
        close(ends[0]);
        signal(SIGPIPE, SIG_DFL);
        work(*options, seeds, first, step, ends[1]);
        fflush(NULL);
        _exit(0);
    }
    close(ends[1]);
    job->reports = ends[0];
    if (job->pid < 0) {
        close(ends[0]);
        return ERR_NO_MEMORY;
    }
    return OK;
}

static void end(struct job *job) {
    int status = 0;
    if (job->ended) {
        return;
    }
    job->ended = true;
    close(job->reports);
    while (waitpid(job->pid, &status, 0) < 0) {
    }
    if (WIFSIGNALED(status)) {
        snprintf(job->how, sizeof job->how, "its process was ended by signal %d (%s)",
                 WTERMSIG(status), strsignal(WTERMSIG(status)));
    } else {
        snprintf(job->how, sizeof job->how, "its process ended with status %d",
                 WEXITSTATUS(status));
    }
}

enum error simulation_run_many(const struct simulation_options *options, uint64_t seeds,
                               unsigned jobs, simulation_each_fn *each, void *ctx) {
    struct job all[SIMULATION_JOBS_MAX];
    unsigned n = 0;
    enum error e = OK;
    jobs = jobs > SIMULATION_JOBS_MAX ? SIMULATION_JOBS_MAX : jobs ? jobs : 1;
    for (; n < jobs && n < seeds && !e; n += !e) {
        all[n] = (struct job){0};
        e = begin(&all[n], options, seeds, n, jobs);
    }
    for (uint64_t i = 0; i < seeds && !e; i++) {
        struct job *job = &all[i % jobs];
        struct simulation_report report = {0};
        if (job->ended || !read_all(job->reports, &report, sizeof report)) {
            end(job);
            report = (struct simulation_report){0};
            snprintf(report.fault, sizeof report.fault, "%s", job->how);
        }
        if (!each(ctx, options->seed + i, &report)) {
            break;
        }
    }
    for (unsigned i = 0; i < n; i++) {
        end(&all[i]);
    }
    return e;
}
