"""tools/lint.py: everything that RULES.md asks and a program can check. LINT=quick leaves out what
builds or takes long: the second compiler and clang-tidy."""

import os
import pathlib
import re
import subprocess
import sys
import time

from build import build

PYTHON = sys.executable


def tracked(*patterns):
    """The files under version control that match."""
    done = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", *patterns],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return [name for name in done.stdout.splitlines() if pathlib.Path(name).exists()]


def run(*command):
    """Runs a checker; True if it is content. What it says is shown otherwise."""
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if done.returncode:
        print(done.stdout.rstrip())
    return done.returncode == 0


def check_format():
    """clang-format would change nothing."""
    files = tracked("*.c", "*.h")
    return not files or run("clang-format", "--dry-run", "-Werror", *files)


def script(name):
    """One of the checkers beside this file."""
    return lambda: run(PYTHON, f"tools/{name}.py")


def check_gcc():
    """The product compiles with gcc without a warning."""
    return build("build")


def check_clang():
    """The product and its tests compile with clang without a warning."""
    return build("build-clang")


def check_tidy():
    """clang-tidy over our own sources, by .clang-tidy."""
    files = [str(pathlib.Path(name).resolve()) for name in tracked("src/*.c")]
    done = subprocess.run(
        ["run-clang-tidy", "-quiet", "-p", "build-clang", "-j", str(os.cpu_count()), *files],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False,
    )  # fmt: skip
    said = re.sub(r"\x1b\[[0-9;]*m", "", done.stdout).splitlines()
    noise = re.compile(r"^clang-tidy|warnings? generated|^$")
    if done.returncode:
        print("\n".join(line for line in said if not noise.search(line)))
    return done.returncode == 0


CHECKS = [
    ("the checkers themselves", script("test_lint"), True),
    ("format", check_format, True),
    ("layers", script("lint_layers"), True),
    ("documentation and budgets", script("lint_headers"), True),
    ("banned functions and words", script("lint_banned"), True),
    ("copies", script("lint_copies"), True),
    ("reasons", script("lint_reasons"), True),
    ("gcc", check_gcc, False),
    ("clang", check_clang, False),
    ("clang-tidy", check_tidy, False),
]


def main():
    """Runs the checks one after another, all of them, and says which failed."""
    quick = os.environ.get("LINT") == "quick"
    failed = []
    for name, check, is_quick in CHECKS:
        if quick and not is_quick:
            continue
        began = time.monotonic()
        good = check()
        print(f"{name:<30} {'ok' if good else 'FAILED':<8} {time.monotonic() - began:6.1f} s", flush=True)
        if not good:
            failed.append(name)
    print("lint: " + (", ".join(failed) + " failed" if failed else "all is well"))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
