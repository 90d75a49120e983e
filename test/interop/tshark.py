#!/usr/bin/env python3
"""Wireshark reads the capture of every flow: nothing malformed, every AVP known to its dictionary,
checksums right, no lost bytes in a TCP connection. Prints TAP.

covers: A4 A6 A7 A10"""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

MUSTER = os.environ.get("MUSTER", "build/muster")
SIP_PORTS = [base + i for base in (4060, 5060, 6060) for i in range(8)]
OPTIONS = [
    "-o", "ip.check_checksum:TRUE",
    "-o", "udp.check_checksum:TRUE",
    "-o", "tcp.check_checksum:TRUE",
    *(arg for port in SIP_PORTS for arg in ("-d", f"udp.port=={port},sip")),
]
# What must not be seen, as display filters.
FAULTS = {
    "malformed": "_ws.malformed",
    "unknown AVP": "diameter.avp.unknown",
    "bad checksum": "ip.checksum.status == 0 || udp.checksum.status == 0 || tcp.checksum.status == 0",
    "hole in a TCP stream": "tcp.analysis.lost_segment || tcp.analysis.retransmission"
                            " || tcp.analysis.out_of_order",
    "Diameter error of the dissector": "diameter && _ws.expert.severity >= 0x600000",
}


def tshark(capture, display, *fields):
    """The packets that a display filter lets through, a line each."""
    done = subprocess.run(
        ["tshark", "-r", capture, *OPTIONS, "-Y", display, *fields],
        capture_output=True, text=True, check=False,
    )
    if done.returncode:
        raise RuntimeError(done.stderr.strip().splitlines()[-1])
    return done.stdout.splitlines()


def capture_flow(name, folder):
    """Runs a flow in virtual time, and says where its capture is."""
    path = str(pathlib.Path(folder, f"{name}.pcapng"))
    done = subprocess.run(
        [MUSTER, "demo", name, "--simulated", "--ladder", path],
        capture_output=True, text=True, check=False,
    )
    if done.returncode:
        raise RuntimeError(f"the flow fails: {done.stderr.strip().splitlines()[-1:]}")
    return path


def faults_of(name, folder):
    """What is wrong with a flow's capture, a line each."""
    capture = capture_flow(name, folder)
    for what, display in FAULTS.items():
        for line in tshark(capture, display):
            yield f"{what}: {line}"
    unread = tshark(capture, "(udp && !sip) || (tcp.len > 0 && !diameter)")
    yield from (f"not decoded: {line}" for line in unread)
    if not tshark(capture, "sip || diameter"):
        yield "neither SIP nor Diameter is in it"


def main():
    """One test a flow."""
    if not shutil.which("tshark"):
        print("skipped, needs tshark")
        return 77
    listed = subprocess.run([MUSTER, "demo", "--list"], capture_output=True, text=True, check=True)
    names = [line.split("\t")[0] for line in listed.stdout.splitlines()]
    print(f"1..{len(names)}")
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        for i, name in enumerate(names, 1):
            try:
                faults = list(faults_of(name, folder))
            except RuntimeError as why:
                faults = [str(why)]
            print(f"{'not ok' if faults else 'ok'} {i} - {name}")
            for fault in faults[:20]:
                print(f"# {fault}")
            failed += bool(faults)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
