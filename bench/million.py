#!/usr/bin/python3
"""bench/million.py [MUSTER] [--lines N]: a million subscriptions (--lines) into an HSS from a file, and over HTTP with curl; out
again; and what each takes of memory, all touched, in a process that was started anew.

The HSS is a process of its own with its store on the disk ($TMPDIR or /var/tmp). Times are from the start of a command to its end,
CPU time is that of the HSS and of the command; "MiB" is resident at most, "private" what is not the mapped file."""

import argparse
import importlib
import os
import pathlib
import resource
import subprocess
import tempfile
import time

bench = importlib.import_module("import")


def memory(pid):
    """Resident now, at most, and private, in KiB."""
    lines = dict(line.split(":", 1) for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines())
    return [int(lines[name].split()[0]) for name in ("VmRSS", "VmHWM", "RssAnon")]


def timed(hss, name, command):
    """Runs a command; prints what it took."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    before, cpu, began = used.ru_utime + used.ru_stime, bench.cpu(hss.pid), time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    took, used = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    print(f"{name:<26}{took:7.2f} s; CPU of the HSS {bench.cpu(hss.pid) - cpu:.2f} s, "
          f"of the command {used.ru_utime + used.ru_stime - before:.2f} s; "
          f"{memory(hss.pid)[1] >> 10} MiB, private {memory(hss.pid)[2] >> 10} MiB", flush=True)  # fmt: skip
    if done.returncode:
        raise SystemExit(done.stdout[-2000:] + done.stderr[-2000:])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("muster", nargs="?", default="build/muster")
    parser.add_argument("--lines", type=int, default=1000000)
    a = parser.parse_args()
    web = f"{bench.HOST}:8080"
    for way in ("http", "file"):
        with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR", "/var/tmp")) as name:
            folder = pathlib.Path(name)
            bench.write_sims(folder / "sims.ndjson", a.lines)
            hss = bench.start_hss(a.muster, folder)
            if way == "http":
                timed(hss, "import, curl", ["curl", "-sSf", "--data-binary", f"@{folder}/sims.ndjson", f"http://{web}/imports/x"])
            else:
                timed(hss, "import, muster sub", [a.muster, "sub", "import", folder / "sims.ndjson", "--web", web])
                hss.terminate()
                hss.wait()
                hss = bench.start_hss(a.muster, folder)
                timed(hss, "export, muster sub", [a.muster, "sub", "export", "-o", folder / "out.ndjson", "--web", web])
                size = sum(f.stat().st_size for f in (folder / "store").iterdir())
                resident, _, private = memory(hss.pid)
                print(f"memory of each: {resident * 1024 / a.lines:.0f} bytes resident after the export, "
                      f"{(size + private * 1024) / a.lines:.0f} bytes with the whole file mapped "
                      f"(file {size / a.lines:.0f}, private {private * 1024 / a.lines:.0f})")  # fmt: skip
            hss.terminate()
            hss.wait()


if __name__ == "__main__":
    main()
