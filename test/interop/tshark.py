#!/usr/bin/env python3
"""Wireshark reads the capture of every flow: nothing malformed, every AVP known to its dictionary,
checksums right, no holes in TCP connections, everything decoded as SIP or Diameter. Prints TAP.

covers: A4 A6 A7 A10"""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

MUSTER = os.environ.get("MUSTER", "build/muster")
SIP_PORTS = [base + i for base in (4060, 5060, 6060) for i in range(8)]
OPTIONS = [
    *("-o", "ip.check_checksum:TRUE"),
    *("-o", "udp.check_checksum:TRUE"),
    *("-o", "tcp.check_checksum:TRUE"),
    *(arg for port in SIP_PORTS for arg in ("-d", f"udp.port=={port},sip", "-d", f"tcp.port=={port},sip")),
]
FIELDS = [
    "frame.number", "frame.protocols", "_ws.expert.severity", "_ws.expert.message",
    "diameter.avp.unknown", "ip.checksum.status", "udp.checksum.status", "tcp.checksum.status",
    "tcp.analysis.flags", "tcp.len",
]
WARNING = 0x600000
YOUNGER = {"662", "663"}  # than tshark 4.0's dictionary: Alternate-Digest-Algorithm and -HA1, TS 29.229 6.3.68 and 6.3.69


def read(capture):
    """The packets of a capture, a dictionary of fields each."""
    command = ["tshark", "-r", capture, *OPTIONS, "-T", "fields"]
    for field in FIELDS:
        command += ["-e", field]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr.strip().splitlines()[-1])
    return [dict(zip(FIELDS, line.split("\t"))) for line in done.stdout.splitlines()]


def faults_of_packet(packet):
    """What Wireshark finds wrong with a packet."""
    protocols = packet["frame.protocols"].split(":")
    severities = [int(s) for s in packet["_ws.expert.severity"].split(",") if s]
    transport_only = "tcp" in protocols and packet["tcp.len"] == "0"
    if "_ws.malformed" in protocols:
        yield "malformed"
    unknown = re.findall(r"Unknown AVP (\d+) \(vendor=3GPP\)", packet["_ws.expert.message"])
    younger = sum(avp in YOUNGER for avp in unknown)
    if "diameter" in protocols and sum(s >= WARNING for s in severities) > younger:
        yield f"Diameter: {packet['_ws.expert.message']}"
    if packet["diameter.avp.unknown"] and len(packet["diameter.avp.unknown"].split(",")) > younger:
        yield "an unknown AVP"
    if any(packet[f"{p}.checksum.status"] not in ("", "1") for p in ("ip", "udp", "tcp")):
        yield "a wrong checksum"
    if packet["tcp.analysis.flags"]:
        yield "a hole in a TCP connection"
    if not transport_only and "sip" not in protocols and "diameter" not in protocols:
        yield f"not decoded: {packet['frame.protocols']}"


def faults_of(capture):
    """What Wireshark finds wrong with a capture."""
    packets = read(capture)
    for packet in packets:
        for fault in faults_of_packet(packet):
            yield f"packet {packet['frame.number']}: {fault}"
    if not any("sip" in packet["frame.protocols"] for packet in packets) and len(packets) < 2:
        yield "nothing is in it"


def capture_flow(name, folder):
    """Runs a flow in virtual time, and says where its capture is."""
    path = str(pathlib.Path(folder, f"{name}.pcapng"))
    done = subprocess.run(
        [MUSTER, "demo", name, "--simulated", "--ladder", path],
        capture_output=True, text=True, check=False,
    )
    if done.returncode:
        raise RuntimeError(f"the flow fails: {done.stderr.strip()}")
    return path


def is_damage_found(folder):
    """Control: an AVP code that nobody knows, and a length that cannot be, do not pass."""
    good = pathlib.Path(capture_flow("registration", folder)).read_bytes()
    public_identity, unknown = b"\x00\x00\x02\x59\xc0", b"\x00\x00\xef\x32\xc0"
    damaged = pathlib.Path(folder, "damaged.pcapng")
    damaged.write_bytes(good.replace(public_identity, unknown))
    found = list(faults_of(str(damaged)))
    return any("unknown AVP" in f for f in found) and any("checksum" in f for f in found)


def main():
    """One test a flow, and the control."""
    if not shutil.which("tshark"):
        print("skipped, needs tshark")
        return 77
    listed = subprocess.run([MUSTER, "demo", "--list"], capture_output=True, text=True, check=True)
    names = [line.split("\t")[0] for line in listed.stdout.splitlines()]
    print(f"1..{len(names) + 1}")
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        for i, name in enumerate(names, 1):
            try:
                faults = list(faults_of(capture_flow(name, folder)))
            except RuntimeError as why:
                faults = str(why).splitlines()
            print(f"{'not ok' if faults else 'ok'} {i} - {name}")
            for fault in faults[:20]:
                print(f"# {fault}")
            failed += bool(faults)
        found = is_damage_found(folder)
        print(f"{'ok' if found else 'not ok'} {len(names) + 1} - a damaged capture is found out")
    return 1 if failed or not found else 0


if __name__ == "__main__":
    sys.exit(main())
