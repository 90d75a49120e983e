"""tools/requirements.py: every requirement that docs/requirements.md claims, with the flows and tests
that cover it.

A flow says `covers A4 A5` in its headings, a test `covers: A4 A5` in a comment. Fails if a claimed
requirement has no test. Ids that are covered in part, but not claimed, are listed at the end."""

import pathlib
import re
import sys

CLAIM = re.compile(r"^- ([A-Z]{1,2}\d+)\b\s*(.*)$")
ID = re.compile(r"\b[A-Z]{1,2}\d+\b")
FLOW_COVERS = re.compile(r"^covers\s+(.*?)(?:\s#.*)?$", re.MULTILINE)
TEST_COVERS = re.compile(r"covers:\s*((?:[A-Z]{1,2}\d+[ ,]*)+)")
TEST_SUFFIXES = {".c", ".py", ".sh", ""}


def claims(text):
    """Ids and their first words, in the order of the document."""
    found = {}
    for line in text.splitlines():
        match = CLAIM.match(line)
        if match:
            found[match.group(1)] = match.group(2)
    return found


def covered_by_flows(root):
    """Pairs of id and flow."""
    for path in sorted(root.glob("flows/*.flow")):
        for match in FLOW_COVERS.finditer(path.read_text()):
            for requirement in ID.findall(match.group(1)):
                yield requirement, f"flow {path.stem}"


def covered_by_tests(root):
    """Pairs of id and test."""
    for path in sorted(root.glob("test/**/*")):
        if path.is_file() and path.suffix in TEST_SUFFIXES:
            for match in TEST_COVERS.finditer(path.read_text(errors="replace")):
                for requirement in ID.findall(match.group(1)):
                    yield requirement, str(path.relative_to(root))


def collect(root):
    """Claims, and the tests of each id."""
    claimed = claims((root / "docs" / "requirements.md").read_text())
    tests = {}
    for requirement, test in (*covered_by_flows(root), *covered_by_tests(root)):
        tests.setdefault(requirement, [])
        if test not in tests[requirement]:
            tests[requirement].append(test)
    return claimed, tests


def report(claimed, tests, out=sys.stdout):
    """Prints the list; the number of faults."""
    faults = 0
    for requirement, words in claimed.items():
        print(f"{requirement:4} {words}", file=out)
        for test in tests.get(requirement, []):
            print(f"       {test}", file=out)
        if requirement not in tests:
            print("       NOT TESTED: no flow and no test covers it", file=out)
            faults += 1
    for requirement in sorted(set(tests) - set(claimed)):
        print(f"{requirement:4} in part, not claimed: {', '.join(tests[requirement])}", file=out)
    covered = sum(requirement in tests for requirement in claimed)
    print(f"{covered} of {len(claimed)} requirements are tested", file=out)
    return faults


def main():
    """Lists them."""
    root = pathlib.Path(__file__).resolve().parent.parent
    return 1 if report(*collect(root)) else 0


if __name__ == "__main__":
    sys.exit(main())
