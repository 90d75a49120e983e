"""Each rule that the HSS's page names is broken by a test.

covers: B6"""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).parents[3]
# No document breaks these: they are for a cipher that fails, and for a store that refuses a sound record.
INNER = {"self-test", "record"}
PAGE = ROOT / "src/node/hss/README.md"


def main():
    section = PAGE.read_text(encoding="utf-8").split("### Rules", 1)[1].split("\n#", 1)[0]
    rules = set(re.findall(r"`([a-z0-9-]+)`", section))
    tests = "".join(p.read_text(encoding="utf-8") for p in sorted((ROOT / "test").rglob("*")) if p.suffix in (".c", ".py", ".h"))
    sources = "".join(p.read_text(encoding="utf-8") for p in sorted((ROOT / "src").rglob("*.c")))
    missing = sorted(r for r in rules if r not in INNER and f'"{r}"' not in tests)
    unused = sorted(r for r in rules if f'"{r}"' not in sources)
    for rule in missing:
        print(f"{rule}: no test breaks it")
    for rule in unused:
        print(f"{rule}: nothing checks it")
    print(f"{len(rules)} rules")
    sys.exit(1 if missing or unused or len(rules) < 50 else 0)


main()
