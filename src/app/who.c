#include "app/who.h"

#include "app/command.h"

struct span who_user_part(struct span identity) {
    static const struct span schemes[] = {SPAN_INIT("sip:"), SPAN_INIT("sips:"), SPAN_INIT("tel:")};
    for (size_t i = 0; i < COUNT_OF(schemes); i++) {
        if (span_starts_with_nocase(identity, schemes[i])) {
            identity = span_after(identity, schemes[i].n);
            break;
        }
    }
    return span_slice(identity, 0, span_find_char(identity, '@'));
}

enum who_fit who_fits(struct span name, struct span identity) {
    struct span user = who_user_part(identity);
    if (!name.n || !identity.n) {
        return WHO_NOT;
    }
    if (span_eq_nocase(name, identity)) {
        return WHO_WHOLE;
    }
    if (span_eq_nocase(name, user)) {
        return WHO_USER_PART;
    }
    bool begins = user.n > name.n && user.p[name.n] == '.' && span_starts_with_nocase(user, name);
    return begins ? WHO_BEGINNING : WHO_NOT;
}

void who_guess_add(struct who_guess *guess, struct span identity) {
    char whole[WHO_GUESS_MAX], user[WHO_GUESS_MAX], first[WHO_GUESS_MAX];
    struct span part = who_user_part(identity);
    if (!span_to_cstr(identity, whole, sizeof whole) || !span_to_cstr(part, user, sizeof user) ||
        !span_to_cstr(span_slice(part, 0, span_find_char(part, '.')), first, sizeof first)) {
        return;
    }
    const char *const candidates[] = {guess->alike, first, user, whole};
    const char *best = command_suggest(guess->wanted, candidates, COUNT_OF(candidates));
    if (best && best != guess->alike) {
        snprintf(guess->alike, sizeof guess->alike, "%s", best);
    }
    if (!*guess->longer && span_starts_with_nocase(part, span_from_cstr(guess->wanted))) {
        snprintf(guess->longer, sizeof guess->longer, "%s", user);
    }
}

const char *who_guess_best(const struct who_guess *guess) {
    return *guess->alike ? guess->alike : *guess->longer ? guess->longer : NULL;
}
