"""tools/lint_reasons.py [ROOT]: every reason of spec/reasons.yaml is given somewhere in src/."""

import pathlib
import sys

import yaml


def main():
    """Prints the reasons that nobody gives; the exit code says if there are any."""
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ".")
    sources = "".join(p.read_text() for p in (root / "src").rglob("*.c"))
    bad = [r["name"] for r in yaml.safe_load((root / "spec/reasons.yaml").read_text())["reasons"]
           if f"REASON_{r['name'].upper().replace('-', '_')}" not in sources]
    for name in bad:
        print(f"spec/reasons.yaml: nobody gives the reason {name}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
