"""tools/coverage.py DIRECTORY [PERCENT]: which share of each parser's lines the tests reach.

Builds there (configured with -Db_coverage=true), runs the unit tests and the replays of the fuzzers' corpora, asks gcov, and prints a
table. Fails if a file is below PERCENT (80)."""

import json
import os
import pathlib
import subprocess
import sys

from build import build

# What reads bytes that others wrote.
PARSERS = (
    "src/codec/**/*.c",
    "src/crypto/base64.c",
    "src/model/aka/nonce.c",
    "src/model/naming/naming.c",
    "src/model/registration/algorithm.c",
    "src/model/registration/request.c",
    "src/node/hss/json_*.c",
    "src/node/hss/web.c",
    "src/node/hss/import.c",
    "src/rt/addr.c",
    "src/stack/http/web.c",
    "src/app/config.c",
    "src/app/config_check.c",
    "src/app/config_nodes.c",
    "src/app/config_tls.c",
    "src/app/settings.c",
    "src/app/flow/parse.c",
    "src/app/flow/fields.c",
    "src/app/*csv*.c",
)
SUITES = ("unit", "fuzz")


def run_tests(directory):
    """Counts from the beginning. False: a test failed."""
    for old in pathlib.Path(directory).rglob("*.gcda"):
        old.unlink()
    command = ["/usr/bin/meson", "test", "-C", directory, "--no-rebuild", "--quiet"]
    command += [word for suite in SUITES for word in ("--suite", suite)]
    return subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False).returncode == 0


def lines_of(directory):
    """By source file: the count of each line that has code."""
    found = {}
    # Relative to the directory, as the compiler was called; a file that no test ran has a .gcno only.
    counters = [str(path.relative_to(directory)) for path in pathlib.Path(directory, "src").rglob("*.gcno")]
    done = subprocess.run(["gcov", "--json-format", "--stdout", *counters], cwd=directory, capture_output=True, text=True, check=True)
    for document in done.stdout.splitlines():
        for file in json.loads(document)["files"]:
            source = os.path.relpath(os.path.join(directory, file["file"]))
            lines = found.setdefault(source, {})
            for line in file["lines"]:
                number = line["line_number"]
                lines[number] = max(lines.get(number, 0), line["count"])
    return found


def report(found, least):
    """Prints the table; the files that are below."""
    files = sorted({str(path) for pattern in PARSERS for path in pathlib.Path().glob(pattern)})
    below, all_lines, all_reached = [], 0, 0
    for file in files:
        lines = found.get(file, {})
        reached = sum(count > 0 for count in lines.values())
        share = 100 * reached / len(lines) if lines else 0
        all_lines += len(lines)
        all_reached += reached
        missed = ",".join(map(str, sorted(number for number, count in lines.items() if not count)))
        print(f"{file:<44} {reached:>5} of {len(lines):>4} lines {share:6.1f} %" + (f"  without {missed}" if share < least else ""))
        if share < least:
            below.append(file)
    print(f"{'all parsers':<44} {all_reached:>5} of {all_lines:>4} lines {100 * all_reached / max(all_lines, 1):6.1f} %")
    return below


def main():
    """Builds, runs, prints."""
    directory = sys.argv[1]
    least = float(sys.argv[2]) if len(sys.argv) > 2 else 80
    if not build(directory):
        return 1
    if not run_tests(directory):
        print("tests fail; see", f"{directory}/meson-logs/testlog.txt")
        return 1
    below = report(lines_of(directory), least)
    for file in below:
        print(f"below {least:g} %: {file}")
    return 1 if below else 0


if __name__ == "__main__":
    sys.exit(main())
