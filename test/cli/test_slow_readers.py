"""Diameter and SIP peers that do not read, or ask without end: each holds a bounded buffer, is dropped in time, and others do
not feel it.
$MUSTER is the program.

covers: HF14"""

import os
import pathlib
import re
import select
import socket
import struct
import subprocess
import tempfile
import time
import unittest
import urllib.request

import tap

MUSTER = os.environ["MUSTER"]
DOMAIN = "ims.mnc001.mcc001.3gppnetwork.org"
HOST = f"127.3.{os.getpid() % 250 + 1}.{os.getpid() // 250 % 250 + 1}"  # of this run alone
CX = 16777216
MEGABYTE = 1 << 20

CONFIG = f"""network: {{mcc: "001", mnc: "01"}}
nodes:
  pcscf: {{listen: {HOST}:5060}}
  icscf: {{listen: {HOST}:4060}}
  scscf: {{listen: {HOST}:6060}}
  hss:
    listen: {HOST}:3868
    peers: {{flood.{DOMAIN}: icscf, lazy.{DOMAIN}: icscf, good.{DOMAIN}: icscf}}
store: {{kind: memory}}
subscribers: []
web: {{listen: {HOST}:8080}}
trace: 0
log: info
"""


def avp(code, data):
    """One AVP of the base protocol."""
    return struct.pack("!II", code, 0x40000000 | 8 + len(data)) + data + bytes(-len(data) % 4)


class Peer:
    """A Diameter peer that reads when it is told to. Small buffers, so that the kernel hides little."""

    def __init__(self, name):
        self.origin = avp(264, f"{name}.{DOMAIN}".encode()) + avp(296, DOMAIN.encode())
        self.number = 0
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.socket.connect((HOST, 3868))
        self.socket.sendall(self.request(257, avp(257, b"\0\1" + bytes([127, 0, 0, 1])) + avp(266, bytes(4))
                                         + avp(269, b"test") + avp(258, struct.pack("!I", CX))))
        self.answer()

    def request(self, command, avps=b""):
        """A request of the base protocol."""
        self.number += 1
        body = self.origin + avps
        return struct.pack("!IIIII", 0x01000000 | 20 + len(body), 0x80000000 | command, 0, self.number, self.number) + body

    def answer(self):
        """Reads one answer; how long it took."""
        began = time.monotonic()
        head = self.socket.recv(20, socket.MSG_WAITALL)
        if len(head) < 20:
            raise ConnectionError("closed")
        self.socket.recv((struct.unpack("!I", head[:4])[0] & 0xFFFFFF) - 20, socket.MSG_WAITALL)
        return time.monotonic() - began

    def watchdog(self):
        """How long a DWA takes."""
        self.socket.sendall(self.request(280))
        return self.answer()

    def send_unread(self, seconds, count=1 << 60):
        """Sends DWRs and reads nothing, until closed or for so long; how many bytes went out."""
        batch = b"".join(self.request(280) for _ in range(50))
        deadline, sent, rest = time.monotonic() + seconds, 0, b""
        self.socket.setblocking(False)
        while time.monotonic() < deadline and sent < count:
            rest = rest or batch
            _, writable, _ = select.select([], [self.socket], [], 0.05)
            try:
                done = self.socket.send(rest) if writable else 0
            except OSError:
                return None
            sent += done
            rest = rest[done:]
        return sent


class Terminal:
    """A SIP client over TCP that reads when it is told to."""

    def __init__(self, name, window=4096):
        self.name = name
        self.number = 0
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
        self.socket.connect((HOST, 5060))

    def request(self):
        """A request that is answered at once, with a refusal."""
        self.number += 1
        return (f"OPTIONS sip:{DOMAIN} SIP/2.0\r\n"
                f"Via: SIP/2.0/TCP {HOST}:5999;branch=z9hG4bK{self.name}{self.number}\r\n"
                f"From: <sip:{self.name}@{DOMAIN}>;tag=1\r\nTo: <sip:{DOMAIN}>\r\nMax-Forwards: 70\r\n"
                f"Call-ID: {self.name}{self.number}\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n").encode()

    def register(self):
        """A request that the core has to work on."""
        self.number += 1
        user = f"{self.name}{self.number}@{DOMAIN}"
        return (f"REGISTER sip:{DOMAIN} SIP/2.0\r\n"
                f"Via: SIP/2.0/TCP {HOST}:5999;branch=z9hG4bK{self.name}{self.number}\r\n"
                f"From: <sip:{user}>;tag=1\r\nTo: <sip:{user}>\r\nMax-Forwards: 70\r\nContact: <sip:{user}>\r\n"
                f"Call-ID: {self.name}{self.number}\r\nCSeq: 1 REGISTER\r\nContent-Length: 0\r\n\r\n").encode()

    def pipeline(self, count, now_and_then):
        """Sends so many REGISTERs as fast as they are taken, and reads what comes."""
        rest = memoryview(b"".join(self.register() for _ in range(count)))
        self.socket.setblocking(False)
        deadline, due = time.monotonic() + 20, time.monotonic()
        while rest and time.monotonic() < deadline:
            readable, writable, _ = select.select([self.socket], [self.socket], [], 0.05)
            if readable:
                self.socket.recv(1 << 20)
            if writable:
                rest = rest[self.socket.send(rest[:1 << 16]):]
            if time.monotonic() >= due:
                now_and_then()
                due = time.monotonic() + 0.05

    def ask(self):
        """How long an answer takes."""
        began, answer = time.monotonic(), b""
        self.socket.sendall(self.request())
        while b"\r\n\r\n" not in answer:
            more = self.socket.recv(65536)
            if not more:
                raise ConnectionError("closed")
            answer += more
        if not answer.startswith(b"SIP/2.0 "):
            raise ValueError(answer)
        return time.monotonic() - began

    def flood(self, seconds):
        """Asks and reads nothing, until closed (how long that took) or for so long (None)."""
        began, rest = time.monotonic(), b""
        self.socket.setblocking(False)
        while time.monotonic() - began < seconds:
            rest = rest or b"".join(self.request() for _ in range(20))
            _, writable, _ = select.select([], [self.socket], [], 0.05)
            try:
                rest = rest[self.socket.send(rest) if writable else 0:]
            except OSError:
                return time.monotonic() - began
        return None


def resident(process):
    """Resident memory of a process, in bytes."""
    fields = pathlib.Path(f"/proc/{process.pid}/statm").read_text(encoding="ascii").split()
    return int(fields[1]) * os.sysconf("SC_PAGE_SIZE")


class SlowReaders(unittest.TestCase):
    """One HSS for all."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.log = pathlib.Path(folder.name, "log")
        config = pathlib.Path(folder.name, "hss.yaml")
        config.write_text(CONFIG, encoding="ascii")
        with self.log.open("w") as out:
            self.process = subprocess.Popen([MUSTER, "run", "-c", str(config)], stdout=out, stderr=out)
        self.addCleanup(self.end)
        self.wait_for("ready", 10)

    def end(self):
        """Ends it gracefully."""
        self.process.terminate()
        self.process.wait(20)

    def wait_for(self, text, seconds):
        """Until the log has it."""
        deadline = time.monotonic() + seconds
        while text not in self.log.read_text():
            self.assertLess(time.monotonic(), deadline, f"{text}: {self.log.read_text()}")
            time.sleep(0.02)

    def test_who_does_not_read_is_dropped_and_nobody_else_feels_it(self):
        good = Peer("good")
        before = sorted(good.watchdog() for _ in range(200))
        memory = resident(self.process)

        lazy = Peer("lazy")  # something waits for it, less than the bound: the silence counts
        lazy.send_unread(1.0, MEGABYTE // 2)
        stalled = time.monotonic()

        flood = Peer("flood")  # the bound counts
        self.assertIsNone(flood.send_unread(20), "it was not closed")
        self.wait_for(f'peer does not read peer="flood.{DOMAIN}"', 5)
        during = sorted(good.watchdog() for _ in range(200))
        self.assertLess(during[198], max(1.2 * before[198], 0.005))
        self.assertLess(resident(self.process) - memory, 16 * MEGABYTE)

        self.wait_for(f'diameter peer down peer="lazy.{DOMAIN}"', 32)
        self.assertLess(time.monotonic() - stalled, 30)
        self.assertLess(good.watchdog(), 1)

    def test_a_terminal_that_does_not_read_is_dropped_as_well(self):
        good, flood = Terminal("good"), Terminal("flood")
        before = sorted(good.ask() for _ in range(200))
        memory = resident(self.process)
        took = flood.flood(35)
        self.assertIsNotNone(took, "it was not closed")
        self.assertLess(took, 30)
        self.assertLess(resident(self.process) - memory, 32 * MEGABYTE)
        during = sorted(good.ask() for _ in range(200))
        self.assertLess(during[198], max(1.2 * before[198], 0.005))


    def test_who_asks_without_end_is_not_read_further(self):
        good, greedy = Terminal("good"), Terminal("greedy", MEGABYTE)
        waits = []
        greedy.pipeline(17000, lambda: waits.append(good.ask()))
        with urllib.request.urlopen(f"http://{HOST}:8080/metrics", timeout=20) as answer:
            text = answer.read().decode()
        refused = int(re.search(r'^muster_sip_connection_busy_total{node="pcscf"} (\d+)', text, re.MULTILINE)[1])
        peak = re.search(r"VmHWM:\s+(\d+)", pathlib.Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii"))[1]
        print(f"# {refused} refused, {int(peak) // 1024} MB at most, others waited at most {max(waits) * 1000:.0f} ms")
        self.assertGreater(refused, 0)
        self.assertLess(max(waits), 3)


if __name__ == "__main__":
    tap.main()
