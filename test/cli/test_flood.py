"""A flood of REGISTERs from invented sources, at ten times what the core can serve: nobody is sent much more than was sent in his
name, and who is registered hardly feels it. $MUSTER is the program.

covers: HA5"""

import json
import os
import pathlib
import re
import select
import socket
import subprocess
import tempfile
import threading
import time
import unittest
import urllib.request

import tap

MUSTER = os.environ["MUSTER"]
DOMAIN = "ims.mnc001.mcc001.3gppnetwork.org"
HOST = f"127.4.{os.getpid() % 250 + 1}.{os.getpid() // 250 % 250 + 1}"  # of this run alone
REGISTERED, OTHERS, SOURCES, VARIANTS = 100, 300, 200, 4000

CONFIG = f"""network: {{mcc: "001", mnc: "01"}}
nodes:
  pcscf: {{listen: {HOST}:5060}}
  icscf: {{listen: {HOST}:4060}}
  scscf: {{listen: {HOST}:6060}}
  hss: {{listen: {HOST}:3868}}
store: {{kind: memory}}
subscribers: []
web: {{listen: {HOST}:8080}}
trace: 0
log: error
"""


def register(number, source, serial):
    """As short a REGISTER as gets a challenge, of a subscriber or, above OTHERS, of nobody."""
    user = f"00101{number + 1:010d}@{DOMAIN}"
    credentials = (f"Authorization: Digest username=\"{user}\", realm=\"{DOMAIN}\", nonce=\"\", uri=\"sip:{DOMAIN}\", response=\"\"\r\n"
                   if number % 2 else "")
    return (f"REGISTER sip:{DOMAIN} SIP/2.0\r\nVia: SIP/2.0/UDP {source};branch=z9hG4bK{serial:x};rport\r\n"
            f"Max-Forwards: 70\r\nFrom: <sip:{user}>;tag={serial:x}\r\nTo: <sip:{user}>\r\nCall-ID: {serial:x}\r\n"
            f"CSeq: 1 REGISTER\r\nContact: <sip:{source}>\r\n"
            f"{credentials}Content-Length: 0\r\n\r\n").encode()


def short_requests(source, serial):
    """What gets the largest answers for its size, of a user with a password: three requests that only one invents."""
    user = f"peter@{DOMAIN}"
    common = f"sip:{DOMAIN}", f"SIP/2.0/UDP {source};branch=z9hG4bK{serial:x}", f"<sip:{user}>", f"{serial:x}"
    plain = ("REGISTER {0} SIP/2.0\r\nVia: {1}\r\nMax-Forwards: 70\r\nFrom: {2};tag=1\r\nTo: {2}\r\nCall-ID: {3}\r\n"
             "CSeq: 1 REGISTER\r\nContact: <sip:h>\r\nContent-Length: 0\r\n\r\n")
    compact = ("REGISTER {0} SIP/2.0\r\nv:{1}\r\nMax-Forwards:9\r\nf:{2};tag=1\r\nt:{2}\r\ni:{3}\r\nCSeq:1 REGISTER\r\n\r\n")
    options = ("OPTIONS sip:pcscf.{0} SIP/2.0\r\nv:{1}\r\nMax-Forwards:9\r\nf:<sip:a>;tag=1\r\nt:<sip:a>\r\ni:{3}\r\n"
               "CSeq:1 OPTIONS\r\n\r\n")
    return [plain.format(*common).encode(), compact.format(*common[:1], common[1] + "c", *common[2:]).encode(),
            options.format(DOMAIN, common[1] + "o", *common[2:]).encode()]


class Flood(threading.Thread):
    """Sends REGISTERs of subscribers and of nobody from many addresses, until stopped."""

    def __init__(self, rate):
        super().__init__()
        self.rate, self.sent, self.seconds, self.replies, self.worst = rate, 0, 0.0, 0, 0.0
        self.stopping = threading.Event()
        self.sockets = []
        for i in range(SOURCES):
            s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            s.bind((f"127.5.{i}.{os.getpid() % 250 + 1}", 0))
            s.setblocking(False)
            s.connect((HOST, 5060))
            self.sockets.append(s)
        self.messages = []
        self.shortest = 1 << 16
        for i in range(VARIANTS):
            s = self.sockets[i % SOURCES]
            host, port = s.getsockname()
            message = register(REGISTERED + i % (2 * OTHERS), f"{host}:{port}", time.monotonic_ns() + i)
            self.messages.append((s, message))
            self.shortest = min(self.shortest, len(message))

    def read(self):
        """Takes what has come back."""
        for s in select.select(self.sockets, [], [], 0)[0]:
            try:
                while True:
                    n = len(s.recv(8192))
                    self.replies += 1
                    self.worst = max(self.worst, n / self.shortest)
            except BlockingIOError:
                pass

    def run(self):
        began = time.monotonic()
        while not self.stopping.is_set():
            self.seconds = time.monotonic() - began
            due = int(self.seconds * self.rate) - self.sent
            for _ in range(min(due, 500)):
                s, m = self.messages[self.sent % VARIANTS]
                # A new transaction each time: the branch's last digits.
                mark = b"%08x" % (self.sent // VARIANTS)
                try:
                    s.send(m.replace(b"z9hG4bK", b"z9hG4bK" + mark, 1))
                except OSError:
                    pass
                self.sent += 1
            if self.sent % 5000 < 500:
                self.read()
            if due < 100:
                time.sleep(0.002)
        self.read()

    def stop(self):
        """Ends it and its sockets."""
        self.stopping.set()
        self.join()
        for s in self.sockets:
            s.close()


class FloodFromInventedSources(unittest.TestCase):
    """One core."""

    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        path = pathlib.Path(self.folder.name) / "c.yaml"
        path.write_text(CONFIG)
        self.core = subprocess.Popen([MUSTER, "run", "-c", path], stdout=subprocess.PIPE, text=True)
        self.addCleanup(self.end)
        for line in self.core.stdout:
            if line.startswith("ready"):
                break

    def end(self):
        self.core.terminate()
        self.core.wait(20)
        self.core.stdout.close()

    def bench(self, name, *arguments):
        """muster bench against the core, under way."""
        return subprocess.Popen([MUSTER, "bench", name, "--pcscf", f"{HOST}:5060", "--web", f"{HOST}:8080", "--pids",
                                 str(self.core.pid), "--json", *arguments], stdout=subprocess.PIPE, text=True)

    def numbers(self, bench):
        text = bench.communicate(timeout=120)[0]
        self.assertEqual(0, bench.returncode)
        return json.loads(text)

    def metric(self, name):
        with urllib.request.urlopen(f"http://{HOST}:8080/metrics", timeout=20) as answer:
            return sum(int(n) for n in re.findall(rf"^{name}(?:{{.*}})? (\d+)$", answer.read().decode(), re.MULTILINE))

    def play(self, source, seconds, apart):
        """Sends the short requests in turn; the bytes that went out, and those that came back, by their messages."""
        sent, received, begin, serial = 0, [], time.monotonic(), 0
        host, port = source.getsockname()
        while time.monotonic() < begin + seconds:
            serial += 1
            for message in short_requests(f"{host}:{port}", serial):
                sent += source.send(message)
            deadline = time.monotonic() + apart
            while select.select([source], [], [], max(0.0, deadline - time.monotonic()))[0]:
                received.append(len(source.recv(8192)))
        while select.select([source], [], [], 0.5)[0]:
            received.append(len(source.recv(8192)))
        return sent, received, time.monotonic() - begin

    def test_an_invented_source_is_sent_little_more_than_was_sent_in_its_name(self):
        add = subprocess.run([MUSTER, "sub", "add", "--web", f"{HOST}:8080", "--user", "peter", "--password-stdin"],
                             input="secret\n", capture_output=True, text=True, check=False, timeout=60)
        self.assertEqual(0, add.returncode, add.stdout + add.stderr)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as source, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
            source.bind((f"127.6.1.{os.getpid() % 250 + 1}", 0))
            other.bind((f"127.6.2.{os.getpid() % 250 + 1}", 0))
            for s in source, other:
                s.connect((HOST, 5060))
            sent, received, seconds = self.play(source, 1.0, 0.005)
            budget = (20 + 5 * seconds) * max(received)
            dropped = self.metric("muster_sip_amplifying_dropped_total")
            print(f"# {sent} bytes in the name of an address, {sum(received)} to it: {sum(received) / sent:.2f}; "
                  f"the largest {max(received)}; {dropped} answers not sent")
            self.assertLessEqual(sum(received), 1.5 * sent + budget)
            self.assertGreater(dropped, 0)
            sent, received, _ = self.play(other, 0.0001, 0.2)  # one of each: who asks as people do is answered
            self.assertEqual(3, len(received))
            print(f"# each alone: {sum(received) / sent:.2f}")

    def test_registered_users_hardly_feel_it(self):
        rate = int(self.numbers(self.bench("registration", "--users", str(REGISTERED + OTHERS), "--seconds", "1",
                                           "--outstanding", "200"))["done_per_s"])
        before = self.metric("muster_pcscf_registered_total")
        users = self.bench("reregistration", "--users", str(REGISTERED), "--rate", "50", "--warm-up", "3", "--seconds", "5")
        deadline = time.monotonic() + 20
        while self.metric("muster_pcscf_registered_total") < before + REGISTERED and time.monotonic() < deadline:
            time.sleep(0.1)
        flood = Flood(10 * rate)
        flood.start()
        try:
            found = self.numbers(users)
        finally:
            flood.stop()
        ended = found["done_per_s"] * 5
        print(f"# R is {rate}/s; the flood was {flood.sent / flood.seconds / rate:.1f} R; "
              f"{self.metric('muster_sip_shed_initial_total')} shed; of registered users {ended:.0f} succeeded, "
              f"{found['failed']} failed, {found['p99_ms']:.0f} ms at 99 %; replies at most {flood.worst:.2f} of a request")
        self.assertGreaterEqual(ended, 0.99 * (ended + found["failed"]))
        self.assertGreater(ended, 0.9 * 250)
        self.assertGreater(flood.replies, 0)
        self.assertLessEqual(flood.worst, 1.5)
        self.assertGreater(self.metric("muster_sip_shed_initial_total"), 0)


if __name__ == "__main__":
    tap.main()
