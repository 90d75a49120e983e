"""tools/lint_copies.py [ROOT]: runs of 12 equal lines in two places stay under 1 % of the code.

Comments, includes, blank lines and lone braces do not count."""

import collections
import pathlib
import sys

from lint_banned import NO_CODE

RUN = 12
LIMIT_PERCENT = 1.0


def code_lines(path):
    """(line number, text) of the lines that count; literals stay, comments go."""
    keep = NO_CODE.sub(
        lambda m: "\n" * m[0].count("\n") if m[0].startswith(("/*", "//")) else m[0],
        path.read_text(),
    )
    for number, line in enumerate(keep.splitlines(), 1):
        text = " ".join(line.split())
        if text and not text.startswith("#include") and text not in ("{", "}", "};"):
            yield number, text


def check(root):
    """The share of repeated lines in percent, and where the runs are."""
    places = collections.defaultdict(list)
    files = {}
    for path in sorted(pathlib.Path(root, "src").rglob("*.c")):
        files[path] = list(code_lines(path))
        for at in range(len(files[path]) - RUN + 1):
            run = tuple(text for _, text in files[path][at : at + RUN])
            places[run].append((path, at))
    repeated = {
        (path, at + k)
        for found in places.values()
        if len(found) > 1
        for path, at in found
        for k in range(RUN)
    }
    total = sum(map(len, files.values()))
    percent = 100 * len(repeated) / total if total else 0
    starts = sorted(where for where in repeated if (where[0], where[1] - 1) not in repeated)
    return percent, [f"{path}:{files[path][at][0]}: repeated lines begin here" for path, at in starts]


if __name__ == "__main__":
    share, found = check(sys.argv[1] if len(sys.argv) > 1 else ".")
    if share >= LIMIT_PERCENT:
        print("\n".join(found))
        print(f"{share:.1f} % of the code is in runs of {RUN} equal lines; {LIMIT_PERCENT} % at most")
    sys.exit(1 if share >= LIMIT_PERCENT else 0)
