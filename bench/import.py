#!/usr/bin/python3
"""bench/import.py [MUSTER] [--lines N] [OPTION OF sub import ...]: what importing N SIMs (100,000) into a running HSS takes.

The HSS is a process of its own with its store on the disk ($TMPDIR or /var/tmp), the file is NDJSON, and the time is that of
the command from its start to its end: every subscription is durable then. Prints it beside the CPU time of both."""

import argparse
import os
import pathlib
import random
import resource
import subprocess
import tempfile
import time

HOST = f"127.5.{os.getpid() % 200 + 20}.{os.getpid() // 200 % 250 + 1}"  # of this run alone


def write_sims(path, lines):
    """SIMs with keys of their own."""
    r = random.Random(1)
    with path.open("w") as f:
        for n in range(lines):
            k, opc = r.getrandbits(128), r.getrandbits(128)
            f.write(f'{{"imsi":"00101{n:010d}","msisdn":"4477{n:08d}","k":"{k:032x}","opc":"{opc:032x}"}}\n')


def start_hss(muster, folder):
    """An HSS that is ready."""
    config = folder / "hss.yaml"
    others = "".join(f"  {n}: {{listen: '{HOST}', remote: yes}}\n" for n in ("pcscf", "icscf", "scscf"))
    config.write_text(
        f"network: {{mcc: '001', mnc: '01'}}\nnodes:\n{others}  hss: {{listen: '{HOST}:3868'}}\n"
        f"store: {{path: '{folder}/store'}}\nweb: {{listen: '{HOST}:8080'}}\nlog: warning\ntrace: 0\n"
    )
    hss = subprocess.Popen([muster, "run", "-c", config], stdout=subprocess.PIPE, text=True)
    for line in hss.stdout:
        if line == "ready\n":
            return hss
    raise SystemExit("the HSS did not start")


def cpu(pid):
    """User and system time of a process so far, in seconds."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("muster", nargs="?", default="build/muster")
    parser.add_argument("--lines", type=int, default=100000)
    arguments, more = parser.parse_known_args()
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR", "/var/tmp")) as name:
        folder = pathlib.Path(name)
        file = folder / "sims.ndjson"
        write_sims(file, arguments.lines)
        hss = start_hss(arguments.muster, folder)
        before, began = cpu(hss.pid), time.monotonic()
        done = subprocess.run(
            [arguments.muster, "sub", "import", file, "--web", f"{HOST}:8080", *more], check=False, capture_output=True, text=True
        )
        took, hss_cpu = time.monotonic() - began, cpu(hss.pid) - before
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        store = sum(f.stat().st_size for f in (folder / "store").iterdir())
        hss.terminate()
        hss.wait()
    print(done.stdout + done.stderr, end="")
    print(f"  {took:.2f} s; CPU of the HSS {hss_cpu:.2f} s, of the command {used.ru_utime + used.ru_stime:.2f} s; "
          f"the store has {store >> 20} MiB")  # fmt: skip
    raise SystemExit(done.returncode)


if __name__ == "__main__":
    main()
