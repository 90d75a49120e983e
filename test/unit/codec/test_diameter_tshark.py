"""test_diameter_tshark.py LISTER: does tshark read the messages of the corpus as our codec does?

Each well-formed message of test/fuzz/corpus/diameter goes into a capture; tshark must find nothing
malformed in it, and the same AVPs with the same lengths in the same order as LISTER (diameter_list).
Exit status 77 (skipped) without tshark."""

import pathlib
import shutil
import struct
import subprocess
import sys
import tempfile

NEWER_GROUPS = {660, 664}  # Wireshark 4.0 does not know these, and takes them for bytes
CORPUS = pathlib.Path(__file__).resolve().parents[2] / "fuzz/corpus/diameter"

def capture(messages):
    """A capture of raw IPv4; each message in a TCP connection of its own."""
    out = [struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 101)]
    for i, message in enumerate(messages):
        ip = struct.pack(">BBHHHBBHII", 0x45, 0, 40 + len(message), 0, 0, 64, 6, 0, 0x7F000001, 0x7F000001)
        tcp = struct.pack(">HHIIBBHHH", 20000 + i, 3868, 1, 1, 0x50, 0x18, 65535, 0, 0)
        data = ip + tcp + message
        out.append(struct.pack("<IIII", i, 0, len(data), len(data)) + data)
    return b"".join(out)


def ours(lister, path):
    """[(code, length)] of all AVPs, depth first, but for what stands in groups unknown to Wireshark."""
    done = subprocess.run([lister, path], capture_output=True, text=True, check=True)
    pairs, hidden = [], None
    for line in done.stdout.splitlines():
        depth, code, length = map(int, line.split())
        if hidden is not None and depth > hidden:
            continue
        hidden = depth if code in NEWER_GROUPS else None
        pairs.append((code, length))
    return pairs


def theirs(path):
    fields = ["diameter.avp.code", "diameter.avp.len", "_ws.malformed", "_ws.expert.message"]
    command = ["tshark", "-r", path, "-T", "fields", "-E", "separator=|", "-E", "aggregator=,"]
    command += ["-o", "tcp.desegment_tcp_streams:true", "-d", "tcp.port==3868,diameter"]
    for field in fields:
        command += ["-e", field]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    rows = []
    for line in done.stdout.splitlines():
        codes, lengths, malformed, expert = line.split("|", 3)
        pairs = list(zip(map(int, codes.split(",")), map(int, lengths.split(","))))
        rows.append((pairs, malformed, expert))
    return rows


def main():
    if not shutil.which("tshark"):
        print("skipped, needs tshark")
        return 77
    files = sorted(p for p in CORPUS.iterdir() if not p.name.startswith("bad-"))
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "corpus.pcap")
        path.write_bytes(capture([p.read_bytes() for p in files]))
        rows = theirs(path)
    faults = 0
    for file, (pairs, malformed, expert) in zip(files, rows, strict=True):
        mine = ours(sys.argv[1], file)
        if malformed or "alformed" in expert:
            print(f"{file.name}: tshark: {malformed} {expert}")
            faults += 1
        if pairs != mine:
            print(f"{file.name}: ours {mine}\n  theirs {pairs}")
            faults += 1
    print(f"{len(files)} messages, {faults} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
