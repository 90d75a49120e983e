"""tools/lint_banned.py [ROOT]: functions that RULES.md bans, and words that promise less than done."""

import pathlib
import re
import sys

FUNCTIONS = {
    "strcpy": "span_to_cstr, or a struct buf",
    "strcat": "a struct buf",
    "strncpy": "span_to_cstr",
    "sprintf": "snprintf, or buf_printf",
    "vsprintf": "vsnprintf",
    "strtok": "span_cut",
    "gets": "fgets",
    "alloca": "an arena",
    "atoi": "span_to_u32",
    "atol": "span_to_u64",
    "system": "posix_spawn",
    "popen": "posix_spawn",
}
CALL = re.compile(r"\b(" + "|".join(FUNCTIONS) + r")\s*\(")
WORDS = re.compile(r"\b(TODO|FIXME|XXX|HACK|not implemented|unimplemented|for now)\b", re.IGNORECASE)
NO_CODE = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.DOTALL)

LITERAL = re.compile(r'"(?:\\.|[^"\\\n])*"')


def without_text(code):
    """The code with comments and literals blanked, lines kept."""
    return NO_CODE.sub(lambda m: re.sub(r"[^\n]", " ", m[0]), code)


def check(root):
    """All faults under root, one line each."""
    faults = []
    for folder in ("src", "test", "bench"):
        for path in sorted(pathlib.Path(root, folder).rglob("*.[ch]")):
            whole = path.read_text()
            for number, line in enumerate(without_text(whole).splitlines(), 1):
                for match in CALL.finditer(line):
                    better = FUNCTIONS[match[1]]
                    faults.append(f"{path}:{number}: {match[1]} is banned: use {better}")
            for number, line in enumerate(LITERAL.sub('""', whole).splitlines(), 1):
                match = WORDS.search(line)
                if match:
                    faults.append(f'{path}:{number}: "{match[1]}": finish it, or say what is so')
    return faults


if __name__ == "__main__":
    found = check(sys.argv[1] if len(sys.argv) > 1 else ".")
    print("\n".join(found), end="\n" if found else "")
    sys.exit(1 if found else 0)
