"""What an operator sees of registrations and asks of terminals, over the web interface of the S-CSCF. $MUSTER is the program.

covers: A12 B2"""

import json
import os
import pathlib
import socket
import subprocess
import tempfile
import time
import unittest

import tap

MUSTER = os.environ["MUSTER"]
DOMAIN = "ims.mnc001.mcc001.3gppnetwork.org"
ALICE = f"sip:alice.mobile@{DOMAIN}"
HOST = f"127.0.{os.getpid() % 200 + 20}.{os.getpid() // 200 % 250 + 1}"


def until(look, seconds=10):
    """What look says, as soon as it says anything."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        seen = look()
        if seen:
            return seen
        time.sleep(0.05)
    raise AssertionError("it has not come about")


class Operator(unittest.TestCase):

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.file = pathlib.Path(cls.folder.name) / "network.yaml"
        smiths = pathlib.Path(__file__).parents[2] / "config" / "smiths.yaml"
        cls.file.write_text(f"""
network: {{mcc: '001', mnc: '01'}}
nodes:
  pcscf: {{listen: "{HOST}:5060"}}
  icscf: {{listen: "{HOST}:4060", trusted: []}}
  scscf: {{listen: "{HOST}:6060", trusted: [192.0.2.1], subscription-min-s: 90, application-servers: ["sip:as.{DOMAIN}"]}}
  hss: {{listen: "{HOST}:3868"}}
web: {{listen: "{HOST}:8080"}}
subscribers: [{smiths}]
""")
        cls.network = subprocess.Popen([MUSTER, "run", "-c", cls.file, "--memory"], stdout=subprocess.PIPE,
                                       stderr=subprocess.DEVNULL, text=True)
        line = cls.network.stdout.readline()
        while line and line.strip() != "ready":
            line = cls.network.stdout.readline()
        cls.log = open(pathlib.Path(cls.folder.name) / "ue", "w+", encoding="utf-8")
        cls.terminal = subprocess.Popen([MUSTER, "ue", "register", "alice", "--stay", "--expires", "600000", "-c", cls.file], stdout=cls.log,
                                        stderr=subprocess.STDOUT)
        until(lambda: "stays registered" in cls.said())

    @classmethod
    def tearDownClass(cls):
        for process in (cls.terminal, cls.network):
            process.terminate()
            process.wait(15)
        cls.network.stdout.close()
        cls.log.close()
        cls.folder.cleanup()

    @classmethod
    def said(cls):
        return pathlib.Path(cls.log.name).read_text(encoding="utf-8")

    def sub(self, *words):
        return subprocess.run([MUSTER, "sub", *words, "-c", self.file], capture_output=True, text=True, timeout=20)

    def contacts(self, who):
        return json.loads(self.sub("contacts", who, "--json").stdout)

    def test_1_contacts_are_shown(self):
        until(lambda: self.contacts(ALICE)[0]["subscriptions"] == 2)
        seen = self.contacts("tel:+447700900101")[0]
        self.assertEqual(seen["impi"], f"alice.smith@{DOMAIN}")
        self.assertEqual(seen["impus"], [ALICE, "tel:+447700900101"])
        self.assertEqual(seen["event"], "registered")
        self.assertIn("last event        registered, for ", self.sub("contacts", f"alice.smith@{DOMAIN}").stdout)
        self.assertEqual(self.contacts("alice"), self.contacts(f"alice.smith@{DOMAIN}"))
        self.assertIn("no contact of bob is registered", self.sub("contacts", "bob").stdout)
        self.assertIn('knows no subscription or identity "nobody"', self.sub("contacts", "nobody").stderr)

    def test_2_terminals_authenticate_anew(self):
        answer = self.sub("reauthenticate", ALICE, "--within", "2")
        self.assertEqual(answer.stdout, "1 contact has to authenticate within 2 s\n")
        until(lambda: "the network says: shortened, 2 s are left" in self.said())
        until(lambda: "registered again for 600000 s" in self.said())
        self.assertEqual(self.contacts(ALICE)[0]["event"], "refreshed")

    def test_3_who_is_not_there_is_not_asked(self):
        answer = self.sub("reauthenticate", f"bob.smith@{DOMAIN}")
        self.assertEqual((answer.returncode, answer.stdout), (1, ""))
        self.assertIn("No contact of this identity is registered here", answer.stderr)
        self.assertIn("--within takes at least 1", self.sub("reauthenticate", ALICE, "--within", "0").stderr)
        self.assertIn('"bob" is no identity in full', self.sub("reauthenticate", "bob").stderr)
        self.assertEqual(self.sub("reauthenticate").returncode, 2)

    def test_4_strangers_are_not_believed(self):
        for port in (4060, 6060):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
                stranger.bind(("127.0.0.1", 0))
                stranger.settimeout(10)
                here = f"127.0.0.1:{stranger.getsockname()[1]}"
                stranger.sendto(
                    f"SUBSCRIBE {ALICE} SIP/2.0\r\nVia: SIP/2.0/UDP {here};branch=z9hG4bKx\r\nMax-Forwards: 70\r\n"
                    f"From: <{ALICE}>;tag=x\r\nTo: <{ALICE}>\r\nCall-ID: x\r\nCSeq: 1 SUBSCRIBE\r\n"
                    f"Contact: <sip:{here}>\r\nEvent: reg\r\nP-Asserted-Identity: <{ALICE}>\r\n"
                    "Content-Length: 0\r\n\r\n".encode(),
                    (HOST, port),
                )
                self.assertIn(b"SIP/2.0 403 ", stranger.recv(65536))

    def test_5_an_rtr_reaches_the_terminal(self):
        smith = json.loads(self.sub("show", ALICE, "--json").stdout)
        self.assertEqual(self.sub("rm", smith["name"]).returncode, 0)
        until(lambda: "the network says: rejected" in self.said())
        self.assertIn("the network has ended the registration", self.said())
        self.assertEqual(self.contacts(ALICE), [])


if __name__ == "__main__":
    tap.main()
