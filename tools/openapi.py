"""tools/openapi.py INPUT.yaml OUTPUT.json: the description of the web interface as JSON."""

import json
import pathlib
import sys

import yaml


def main():
    """Writes it."""
    source, target = map(pathlib.Path, sys.argv[1:])
    target.write_text(json.dumps(yaml.safe_load(source.read_text()), separators=(",", ":"), ensure_ascii=True) + "\n")


if __name__ == "__main__":
    main()
