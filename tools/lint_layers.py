"""tools/lint_layers.py [ROOT]: includes point to a lower layer, or into the own folder (RULES.md)."""

import pathlib
import re
import sys

LAYERS = {
    "base": 0,
    "rt": 1, "obs": 1,
    "codec": 2, "crypto": 2, "store": 2,
    "stack": 3, "model": 3,
    "node": 4,
    "app": 5,
}  # fmt: skip

# These have a folder for each subject, and the subjects do not know each other.
DIVIDED = {"codec", "stack", "node"}

# (who, whom): reason. A prefix of the including file's path, a prefix of what it includes.
ALLOWED = {
    ("rt/", "obs/"): "links record what they carry",
    ("obs/", "rt/"): "a trace names addresses and times",
    ("store/", "codec/records"): "what it stores are these records",
}

# A higher layer that may not use all below it: (who, whom, what of it is fine).
FORBIDDEN = [
    ("model/", "rt/", {"rt/addr.h"}),
    ("model/", "store/", set()),
    ("crypto/", "rt/", set()),
    ("crypto/", "obs/", set()),
]

INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"')


def folder_of(path):
    """The subject that a file belongs to: "base", "codec/sip"."""
    parts = path.split("/")
    depth = 2 if parts[0] in DIVIDED and len(parts) > 2 else 1
    return "/".join(parts[:depth])


def fault(source, target):
    """What is wrong with `source` including `target`, or None."""
    who, whom = source.split("/")[0], target.split("/")[0]
    if "/" not in target:
        return "includes are written from src/ on"
    if whom not in LAYERS:
        return None  # generated, see spec/
    for start, refused, fine in FORBIDDEN:
        if source.startswith(start) and target.startswith(refused) and target not in fine:
            return f"{start} does not include {refused}"
    if folder_of(source) == folder_of(target) or LAYERS[whom] < LAYERS[who]:
        return None
    if any(source.startswith(a) and target.startswith(b) for a, b in ALLOWED):
        return None
    if LAYERS[whom] > LAYERS[who]:
        return f"layer {LAYERS[who]} ({who}) includes layer {LAYERS[whom]} ({whom})"
    return f"siblings: {folder_of(source)} includes {folder_of(target)}"


def check(root):
    """All faults under root, one line each."""
    src = pathlib.Path(root, "src")
    faults = []
    for path in sorted([*src.rglob("*.c"), *src.rglob("*.h")]):
        source = path.relative_to(src).as_posix()
        if source.split("/")[0] not in LAYERS:
            faults.append(f"src/{source}: this folder is no layer")
            continue
        for number, line in enumerate(path.read_text().splitlines(), 1):
            match = INCLUDE.match(line)
            why = match and fault(source, match[1])
            if why:
                faults.append(f'src/{source}:{number}: "{match[1]}": {why}')
    return faults


if __name__ == "__main__":
    found = check(sys.argv[1] if len(sys.argv) > 1 else ".")
    print("\n".join(found), end="\n" if found else "")
    sys.exit(1 if found else 0)
