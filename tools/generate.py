#!/usr/bin/env python3
"""tools/generate.py KIND SPEC... -o DIR: makes C of the definitions in spec/, at build time.

KIND names a module in tools/gen/ with a function generate(specs, out): it reads the files `specs`
and writes its outputs into the folder `out`. A mistake in a definition raises gen.SpecError, which
says file and entry; nothing is written then.
"""

import argparse
import importlib
import pathlib
import sys

from gen import SpecError


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kind")
    parser.add_argument("specs", nargs="+", type=pathlib.Path)
    parser.add_argument("-o", "--out", required=True, type=pathlib.Path)
    args = parser.parse_args()
    try:
        importlib.import_module(f"gen.{args.kind}").generate(args.specs, args.out)
    except SpecError as e:
        sys.exit(f"generate.py: {e}")


if __name__ == "__main__":
    main()
