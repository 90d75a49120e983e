"""tools/lint_headers.py [ROOT]: every public declaration has its comment; nothing outgrows its budget.

A comment directly above a function that begins with "/* long:" and gives a reason lifts the limit
of that function."""

import json
import pathlib
import subprocess
import sys

FILE_LINES = 800
FUNCTION_LINES = 100


def tags(files, kinds):
    """What ctags finds of these kinds: dictionaries with path, line, name, kind and perhaps end."""
    if not files:
        return []
    done = subprocess.run(
        ["ctags", "--output-format=json", "--languages=C", "--language-force=C",
         f"--kinds-C={kinds}", "--fields=+ne", "-f", "-", "-L", "-",
         "-I", "MUST_CHECK,PRINTF_LIKE+"],
        input="\n".join(map(str, files)), capture_output=True, text=True, check=True,
    )  # fmt: skip
    return [json.loads(line) for line in done.stdout.splitlines()]


def comment_above(lines, line):
    """The comment that ends directly above the declaration at line (from 1), or ""."""
    at = line - 2
    while at >= 0 and not lines[at].rstrip().endswith("*/"):
        text = lines[at].strip()
        if not text or text[-1] in ";}{" or text.startswith("#"):
            return ""
        at -= 1
    end = at
    while at >= 0 and "/*" not in lines[at]:
        at -= 1
    return "\n".join(lines[at : end + 1]).strip() if at >= 0 else ""


def is_public(tag, lines):
    """Is it declared for others? Function types are those that end in _fn."""
    if tag["kind"] == "typedef":
        return tag["name"].endswith("_fn")
    return "#define" not in lines[tag["line"] - 1]


def undocumented(headers):
    """Prototypes, inline functions and function types without a /** */ comment of their own."""
    texts = {str(path): path.read_text().splitlines() for path in headers}
    for tag in tags(headers, "pft"):
        lines = texts[tag["path"]]
        if is_public(tag, lines):
            if not comment_above(lines, tag["line"]).startswith("/**"):
                yield f"{tag['path']}:{tag['line']}: {tag['name']} has no /** */ comment"


def oversized(files):
    """Files and functions over their budgets."""
    for path in files:
        n = len(path.read_text().splitlines())
        if n > FILE_LINES:
            yield f"{path}: {n} lines, {FILE_LINES} at most"
    for tag in tags([path for path in files if path.suffix in (".c", ".h")], "f"):
        n = tag.get("end", tag["line"]) - tag["line"] + 1
        if n > FUNCTION_LINES:
            lines = pathlib.Path(tag["path"]).read_text().splitlines()
            if not comment_above(lines, tag["line"]).startswith("/* long:"):
                where = f"{tag['path']}:{tag['line']}"
                yield f"{where}: {tag['name']} has {n} lines, {FUNCTION_LINES} at most"


def sources(root, folders, suffixes):
    """The files of these kinds in these folders, sorted."""
    return sorted(
        path
        for folder in folders
        for path in pathlib.Path(root, folder).rglob("*")
        if path.suffix in suffixes
    )


def check(root):
    """All faults under root, one line each."""
    headers = sources(root, ["src"], {".h"})
    files = sources(root, ["src", "test", "tools", "spec"], {".c", ".h", ".py"})
    return [*undocumented(headers), *oversized(files)]


if __name__ == "__main__":
    found = check(sys.argv[1] if len(sys.argv) > 1 else ".")
    print("\n".join(found), end="\n" if found else "")
    sys.exit(1 if found else 0)
