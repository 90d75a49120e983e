/* Runs a fuzz harness over files, without a fuzzer: the corpora in `make test`, and a finding that
 * somebody wants to look at. Arguments are files and folders; each file is also cut at every length
 * up to 300 and then tried with each byte of its first 300 changed. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { FILE_MAX = 1 << 20, VARIED = 300 };

static unsigned long inputs;

/* Each in a block of its own, so that reading beyond it is seen. */
static void try_bytes(const uint8_t *bytes, size_t n) {
    uint8_t *copy = malloc(n ? n : 1);
    if (!copy) {
        abort();
    }
    memcpy(copy, bytes, n);
    LLVMFuzzerTestOneInput(copy, n);
    free(copy);
    inputs++;
}

static int try_file(const char *path) {
    static uint8_t bytes[FILE_MAX];
    FILE *f = fopen(path, "rb");
    if (!f) {
        perror(path);
        return 1;
    }
    size_t n = fread(bytes, 1, sizeof bytes, f);
    fclose(f);
    try_bytes(bytes, n);
    for (size_t i = 0; i < n && i < VARIED; i++) {
        uint8_t was = bytes[i];
        try_bytes(bytes, i);
        bytes[i] ^= (uint8_t)(1u << i % 8);
        try_bytes(bytes, n);
        bytes[i] = was;
    }
    return 0;
}

static int try_path(const char *path) {
    struct stat st;
    if (stat(path, &st) != 0 || !S_ISDIR(st.st_mode)) {
        return try_file(path);
    }
    DIR *d = opendir(path);
    int failed = !d;
    for (struct dirent *e; d && (e = readdir(d));) {
        char file[4096];
        snprintf(file, sizeof file, "%s/%s", path, e->d_name);
        failed |= e->d_name[0] != '.' && try_file(file);
    }
    if (d) {
        closedir(d);
    }
    return failed;
}

int main(int argc, char **argv) {
    int failed = 0;
    for (int i = 1; i < argc; i++) {
        failed |= try_path(argv[i]);
    }
    printf("%lu inputs\n", inputs);
    return failed;
}
