#include "app/progress.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { EVERY_US = 100000, WIDTH = 30 };

static uint64_t now_us(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

void progress_begin(struct progress *p, const char *what, uint64_t size, bool quiet) {
    *p = (struct progress){.what = what, .size = size, .began_us = now_us()};
    p->on = !quiet && isatty(STDERR_FILENO);
}

void progress_begin_at(struct progress *p, uint64_t done, uint64_t items) {
    p->from_items = items;
    p->began_us = now_us();
    progress_show(p, done, items);
}

void progress_show(struct progress *p, uint64_t done, uint64_t items) {
    uint64_t now = now_us();
    if (!p->on || (p->shown && now - p->shown_us < EVERY_US)) {
        return;
    }
    double s = (double)(now - p->began_us) / 1e6;
    double rate = s > 0 ? (double)(items - p->from_items) / s : 0;
    const char *slash = strrchr(p->what, '/');
    const char *what = slash ? slash + 1 : p->what;
    if (p->size) {
        char bar[WIDTH + 1];
        uint64_t part = done < p->size ? done : p->size;
        size_t full = (size_t)(part * WIDTH / p->size);
        memset(bar, '.', WIDTH);
        memset(bar, '#', full);
        bar[WIDTH] = '\0';
        fprintf(stderr, "\r\033[K%.30s [%s] %3llu %%  %llu lines, %.0f a second", what, bar,
                (unsigned long long)(part * 100 / p->size), (unsigned long long)items, rate);
    } else {
        fprintf(stderr, "\r\033[K%.30s  %llu lines, %.0f a second", what, (unsigned long long)items,
                rate);
    }
    fflush(stderr);
    p->shown = true;
    p->shown_us = now;
}

void progress_clear(struct progress *p) {
    if (p->shown) {
        fputs("\r\033[K", stderr);
        fflush(stderr);
        p->shown = false;
    }
}
