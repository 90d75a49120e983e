/* YAML files by schema, with errors that help: file, line, what is wrong, what would be right.
 *
 * A schema is a table of settings for one mapping: name, kind, and where the value goes. Reading
 * goes on after a fault, so that one look shows all of them; whoever reads a file uses nothing of
 * it unless settings_faults is 0. libyaml parses; a table of libcyaml's would tell only the first
 * fault and forget the lines that later checks need.
 *
 * Memory is an arena's: it lasts until settings_close, faults included. */
#ifndef MUSTER_APP_SETTINGS_H
#define MUSTER_APP_SETTINGS_H

#include "base/arena.h"
#include "base/error.h"
#include "rt/addr.h"

struct settings;
struct yaml_node_s;

/** A value in the file: a scalar, a sequence or a mapping. */
typedef const struct yaml_node_s *setting_value;

/** An entry of a mapping whose names are free. */
struct setting_entry {
    const char *name; /* in the arena */
    unsigned line;    /* of the name */
    setting_value value;
};

/** Reads such an entry into object. */
typedef void setting_entry_fn(struct settings *s, const struct setting_entry *entry, void *object);

/** Reads a value that has an inner structure, into object. */
typedef void setting_read_fn(struct settings *s, setting_value value, void *object);

enum setting_kind {
    SETTING_TEXT,   /* const char *, not empty */
    SETTING_NUMBER, /* uint32_t from min to max */
    SETTING_SIZE,   /* uint64_t from min to max: bytes, with KiB, MiB or GiB behind if one likes */
    SETTING_FLAG,   /* bool: yes, no, true, false, on, off */
    SETTING_CHOICE, /* int: the index of the word in choices */
    SETTING_ADDR,   /* struct addr: "127.0.0.1:5060", or the host alone: then the port is min,
                     * which may be 0 */
    SETTING_PART,   /* whatever read makes of it; gets the object of the mapping */
};

struct setting {
    const char *name; /* NULL ends a table */
    enum setting_kind kind;
    size_t at; /* offsetof the value in the object */
    uint64_t min, max;
    const char *const *choices; /* NULL-terminated */
    setting_read_fn *read;
    bool required;
};

/** A row of a table: name, kind, offset in the object, then what the kind needs by name (".min =
 * 1"). */
#define SETTING(name_, kind_, at_, ...)                                                            \
    { .name = (name_), .kind = (kind_), .at = (at_), __VA_ARGS__ }

/** A row for a value with an inner structure. */
#define SETTING_GROUP(name_, read_, ...)                                                           \
    SETTING(name_, SETTING_PART, 0, .read = (read_), __VA_ARGS__)

/** Reads a whole file ("-": standard input) into *out (freed by the caller with free).
 * ERR_NOT_FOUND, ERR_PERMISSION, ERR_IO, ERR_NO_MEMORY, ERR_TOO_BIG. */
MUST_CHECK enum error settings_read_file(const char *path, char **out, size_t *n);

/** Parses a file, or the given content under the name of a file. ERR_NO_MEMORY, or ERR_NOT_FOUND,
 * ERR_PERMISSION, ERR_IO of the file; a syntax error is a fault and not an error. */
MUST_CHECK enum error settings_open(const char *path, const struct span *content,
                                    struct settings **out);

/** From now on required settings may be missing: for a file that only changes another one. */
void settings_partial(struct settings *s);

/** Frees it with all that was read from it. NULL is allowed. */
void settings_close(struct settings *s);

/** The document's root; NULL after a syntax error or for an empty file. */
setting_value settings_root(const struct settings *s);

/** The file's name. */
const char *settings_path(const struct settings *s);

/** Reads a mapping by its table: unknown and repeated names, wrong kinds and missing required
 * settings are faults. */
void settings_read(struct settings *s, setting_value value, const struct setting *table,
                   void *object);

/** Calls read for each item of a sequence; a fault if value is none (`what` says of what). */
void settings_each_item(struct settings *s, setting_value value, const char *what,
                        setting_read_fn *read, void *object);

/** Calls read for each entry of a mapping whose names are free; repeated names are faults. */
void settings_each_entry(struct settings *s, setting_value value, const char *what,
                         setting_entry_fn *read, void *object);

/** Reads a sequence of numbers into the arena. */
void settings_numbers(struct settings *s, setting_value value, uint64_t max, const uint32_t **out,
                      size_t *n);

/** Reads one scalar as text; NULL after a fault. `what` names it in the message. */
const char *settings_text(struct settings *s, setting_value value, const char *what);

/** The line of a value, from 1. */
unsigned settings_line(setting_value value);

/** Is it a single value? */
bool setting_is_scalar(setting_value value);

/** Is it a list? */
bool setting_is_sequence(setting_value value);

/** Is it a group of settings? */
bool setting_is_mapping(setting_value value);

/** The value of an entry; NULL if there is none, or value is no mapping. */
setting_value settings_entry(const struct settings *s, setting_value value, const char *name);

/** The value at a JSON pointer ("/2/identities/0"), or the nearest one above it that exists. */
setting_value settings_at_pointer(const struct settings *s, struct span pointer);

/** The line where the name of an entry stands; that of value if there is no such entry. */
unsigned settings_entry_line(const struct settings *s, setting_value value, const char *name);

/** Notes a fault at a line: "FILE:LINE: message". Line 0: the file as a whole. */
void settings_fault(struct settings *s, unsigned line, const char *format, ...) PRINTF_LIKE(3, 4);

/** How many faults there are; the first FAULTS_SHOWN of them are kept. */
size_t settings_faults(const struct settings *s);
enum { FAULTS_SHOWN = 20 };

/** The faults, a line each; empty without any. */
struct span settings_fault_text(const struct settings *s);

/** Memory that lasts as long as the settings. */
struct arena *settings_arena(struct settings *s);

#endif
