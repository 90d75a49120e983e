"""tools/build.py DIRECTORY [TARGET...]: runs ninja, one line of progress, everything on failure."""

import re
import subprocess
import sys

PROGRESS = re.compile(r"^\[(\d+)/(\d+)\] ")


def build(directory, targets=()):
    """Builds; True if all went well. What ninja says is shown only when something failed."""
    command = ["ninja", "-C", directory, *targets]
    tty = sys.stdout.isatty()
    said, last = [], 0
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    ) as ninja:
        for line in ninja.stdout:
            said.append(line)
            step = PROGRESS.match(line)
            if not step:
                continue
            done, total = int(step[1]), int(step[2])
            percent = 100 * done // total
            if tty:
                print(f"\rBuilding {directory}: {percent} % ", end="", flush=True)
            elif percent >= last + 25:
                last = percent - percent % 25
                print(f"Building {directory}: {percent} %", flush=True)
        status = ninja.wait()
    if tty and any(PROGRESS.match(line) for line in said):
        print("\r" + " " * 60 + "\r", end="")
    if status:
        print("".join(said[-200:]))
        print(f"Building {directory} failed.")
    return status == 0


if __name__ == "__main__":
    sys.exit(0 if build(sys.argv[1], sys.argv[2:]) else 1)
