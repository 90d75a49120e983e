#include "app/terminal.h"

#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* The locale's character encoding, as far as its name tells: an unset one is taken for UTF-8. */
static bool is_plain_locale(void) {
    static const char *const names[] = {"LC_ALL", "LC_CTYPE", "LANG"};
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        const char *value = getenv(names[i]);
        if (value && *value) {
            struct span s = span_from_cstr(value);
            return span_eq(s, SPAN("C")) || span_eq(s, SPAN("POSIX")) ||
                   span_find(s, SPAN("8859")) < s.n;
        }
    }
    return false;
}

struct ladder_style terminal_style(bool ascii) {
    struct winsize size;
    const char *no_colour = getenv("NO_COLOR");
    bool terminal = isatty(STDOUT_FILENO);
    return (struct ladder_style){
        .width = terminal && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0,
        .ascii = ascii || is_plain_locale(),
        .colour = terminal && !(no_colour && *no_colour),
    };
}

void terminal_print(struct span text) {
    for (size_t i = 0; i < text.n; i++) {
        putchar(text.p[i] < ' ' || text.p[i] > '~' ? '?' : text.p[i]);
    }
}
