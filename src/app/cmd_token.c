/* muster token: who may use the web interface. A file has a line for each token: its name, its
 * rights, and the hash of it; the token itself is printed once, when it is made. */
#include "app/command.h"
#include "app/config.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEFAULT_FILE "tokens.yaml"

/* Reads the file if there is one. An exit code. */
static int read_file(const char *path, struct settings **out) {
    enum error e = settings_open(path, NULL, out);
    if (e == ERR_NOT_FOUND) {
        return EXIT_CODE_OK;
    }
    if (e) {
        return command_fail(EXIT_CODE_SYSTEM, "%s: %s", path, error_text(e));
    }
    if (settings_faults(*out)) {
        fwrite(settings_fault_text(*out).p, 1, settings_fault_text(*out).n, stderr);
        return EXIT_CODE_CONFIG;
    }
    return EXIT_CODE_OK;
}

static bool has_token(const struct settings *s, const char *name) {
    return s && settings_root(s) && settings_entry(s, settings_root(s), name);
}

static bool put(int fd, const char *text) {
    size_t n = strlen(text);
    return write(fd, text, n) == (ssize_t)n;
}

/* Does the file end within a line, as one that was edited by hand may? */
static bool ends_within_line(int fd, off_t size) {
    char last = '\n';
    return size > 0 && pread(fd, &last, 1, size - 1) == 1 && last != '\n';
}

/* Appends a line; a new file is for its owner only. */
static int append(const char *path, const char *line) {
    int fd = open(path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    struct stat st = {0};
    if (fd < 0) {
        return command_fail(EXIT_CODE_SYSTEM, "%s: %s", path, strerror(errno));
    }
    bool good = fstat(fd, &st) == 0;
    static const char heading[] =
        "# Tokens of the web interface (web: tokens-file). muster token new NAME --rights ... adds "
        "one.\n";
    good = good && (st.st_size > 0 || put(fd, heading));
    good = good && (!ends_within_line(fd, st.st_size) || put(fd, "\n")) && put(fd, line);
    good &= close(fd) == 0;
    return good ? EXIT_CODE_OK : command_fail(EXIT_CODE_SYSTEM, "%s: cannot be written", path);
}

static int make(const char *path, const char *name, enum web_right right) {
    char token[WEB_TOKEN_TEXT + 8], line[256];
    uint8_t hash[WEB_TOKEN_HASH];
    struct buf b = buf_init(line, sizeof line - 1);
    if (web_token_new(token) != OK || web_token_hash(span_from_cstr(token), hash) != OK) {
        return command_fail(EXIT_CODE_SYSTEM, "no randomness");
    }
    buf_printf(&b, "%s: {rights: %s, sha256: \"", name, web_right_name(right));
    buf_hex(&b, hash, sizeof hash);
    buf_cstr(&b, "\"}\n");
    line[b.n] = '\0';
    int code = append(path, line);
    if (!code) {
        puts(token);
        fprintf(stderr,
                "%s may %s; this is the only time that the token is shown. A running "
                "Muster takes it after \"muster reload\".\n",
                name, web_right_name(right));
    }
    OPENSSL_cleanse(token, sizeof token);
    return code;
}

static int token_new(const struct command *self, int argc, char **argv) {
    const char *path = DEFAULT_FILE, *rights = NULL;
    const struct option_def options[] = {
        TEXT_OPTION("rights", "WORD",
                    "read: everything but secrets; write: changes, too; admin: also credentials\n"
                    "and reloading",
                    &rights),
        TEXT_OPTION("file", "FILE", "the file of tokens (" DEFAULT_FILE ")", &path),
        {0},
    };
    const struct usage usage = {
        .arguments = "NAME --rights read|write|admin",
        .text =
            "Makes a token for the web interface, prints it, and adds its hash to a file, which\n"
            "the configuration names as web: tokens-file. NAME is who gets it: it stands in\n"
            "the log and beside each change that is made with it.",
        .options = options,
        .examples =
            "  muster token new billing --rights read\n"
            "  muster token new alice --rights admin --file /etc/muster/tokens.yaml > alice.token",
        .min_args = 1,
        .max_args = 1,
    };
    struct args rest;
    struct settings *s = NULL;
    enum web_right right = WEB_READ;
    int code;
    if (!command_parse(self, &usage, argc, argv, &rest, &code)) {
        return code;
    }
    if (!rights || !web_right_parse(span_from_cstr(rights), &right)) {
        return command_usage_error(self, "--rights is read, write or admin");
    }
    if (!web_token_name_ok(span_from_cstr(rest.v[0]))) {
        return command_usage_error(self, "a name has letters, digits and -._@, at most %d",
                                   WEB_TOKEN_NAME_MAX);
    }
    code = read_file(path, &s);
    if (!code && has_token(s, rest.v[0])) {
        code = command_fail(EXIT_CODE_FAILED,
                            "%s has a token of the name %s already; \"muster token "
                            "rm\" takes it away",
                            path, rest.v[0]);
    }
    code = code ? code : make(path, rest.v[0], right);
    settings_close(s);
    return code;
}

static void print_token(struct settings *s, const struct setting_entry *entry, void *object) {
    setting_value rights = settings_entry(s, entry->value, "rights");
    (void)object;
    printf("%-24s %s\n", entry->name, rights ? settings_text(s, rights, "rights") : "?");
}

static int token_list(const struct command *self, int argc, char **argv) {
    const char *path = DEFAULT_FILE;
    const struct option_def options[] = {
        TEXT_OPTION("file", "FILE", "the file of tokens (" DEFAULT_FILE ")", &path), {0}};
    const struct usage usage = {
        .arguments = "", .text = "Lists names and rights of the tokens.", .options = options};
    struct args rest;
    struct settings *s = NULL;
    int code;
    if (!command_parse(self, &usage, argc, argv, &rest, &code)) {
        return code;
    }
    code = read_file(path, &s);
    if (!code && s && settings_root(s)) {
        settings_each_entry(s, settings_root(s), "tokens", print_token, NULL);
    } else if (!code) {
        printf("%s has no tokens; \"muster token new\" makes one\n", path);
    }
    settings_close(s);
    return code;
}

/* Does a line go on with the entry that began before it? */
static bool goes_on(struct span line) {
    return line.n && strchr(" \t}", line.p[0]);
}

/* The new file is its owner's and group's as the old one was: a Muster that runs as another user
 * reads it. */
static bool keep_owner(int fd, const char *path) {
    struct stat st;
    return stat(path, &st) == 0 && (geteuid() != 0 || fchown(fd, st.st_uid, st.st_gid) == 0) &&
           fchmod(fd, st.st_mode & 07777) == 0;
}

/* Writes the file anew without the entry that begins in a line, and puts it in place of the old
 * one. */
static int rewrite(const char *path, unsigned line) {
    char *text = NULL, fresh[1100];
    bool within = false;
    size_t n = 0;
    enum error e = settings_read_file(path, &text, &n);
    snprintf(fresh, sizeof fresh, "%s.new", path);
    int fd = e ? -1 : open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    FILE *f = fd < 0 ? NULL : fdopen(fd, "w");
    struct span rest = span_of(text, n);
    for (unsigned i = 1; f && rest.n; i++) {
        size_t end = span_find_char(rest, '\n') + 1;
        within = i == line || (within && goes_on(rest));
        if (!within) {
            fwrite(rest.p, 1, end < rest.n ? end : rest.n, f);
        }
        rest = span_after(rest, end);
    }
    bool good = f && !ferror(f) && keep_owner(fd, path);
    good &= f && fclose(f) == 0;
    good = good && rename(fresh, path) == 0;
    free(text);
    return good ? EXIT_CODE_OK : command_fail(EXIT_CODE_SYSTEM, "%s: cannot be written", path);
}

static int token_rm(const struct command *self, int argc, char **argv) {
    const char *path = DEFAULT_FILE;
    const struct option_def options[] = {
        TEXT_OPTION("file", "FILE", "the file of tokens (" DEFAULT_FILE ")", &path), {0}};
    const struct usage usage = {
        .arguments = "NAME",
        .text = "Takes a token away. A running Muster refuses it after \"muster reload\".",
        .options = options,
        .min_args = 1,
        .max_args = 1,
    };
    struct args rest;
    struct settings *s = NULL;
    int code;
    if (!command_parse(self, &usage, argc, argv, &rest, &code)) {
        return code;
    }
    code = read_file(path, &s);
    if (!code && !has_token(s, rest.v[0])) {
        code = command_fail(EXIT_CODE_FAILED, "%s has no token of the name %s", path, rest.v[0]);
    } else if (!code) {
        code = rewrite(path, settings_entry_line(s, settings_root(s), rest.v[0]));
    }
    if (!code) {
        printf("removed %s\n", rest.v[0]);
    }
    settings_close(s);
    return code;
}

int cmd_token(const struct command *self, int argc, char **argv) {
    static const struct command commands[] = {
        {"token new", "makes one, prints it, and adds its hash to a file", token_new},
        {"token list", "lists names and rights", token_list},
        {"token rm", "takes one away", token_rm},
    };
    (void)self;
    return command_dispatch("muster token", "Tokens for the web interface: who may do what.",
                            commands, COUNT_OF(commands), argc, argv);
}
