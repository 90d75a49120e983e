"""muster explain: each cause of a failed registration is told, with what mends it. $MUSTER is the program.
covers: A11"""

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
HOST = "127.0.42.1"
DOMAIN = "ims.mnc001.mcc001.3gppnetwork.org"
CONFIG = f"""network: {{mcc: '001', mnc: '01'}}
nodes:
  pcscf: {{listen: '{HOST}:5060'}}
  icscf: {{listen: '{HOST}:4060', diameter-timeout-ms: 300}}
  scscf: {{listen: '{HOST}:6060', reg-await-auth-s: 1, contacts-max: 1, expires-min-s: 600}}
  hss: {{listen: '{HOST}:3868'}}
store: {{kind: memory}}
web: {{listen: '{HOST}:8080'}}
log: error
"""
K, OPC = "465b5ce8b199b49faa5f0a2ee238a6bc", "cd63cb71954a9f4e48a5994e37a02baf"
ZEROS = 32 * "0"


def imsi(n):
    return f"00101000000000{n}"


class Explain(unittest.TestCase):
    """One network for all; each case has a subscriber of its own."""

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix="muster-explain-")
        cls.config = str(pathlib.Path(cls.folder.name, "home.yaml"))
        pathlib.Path(cls.config).write_text(CONFIG, encoding="utf-8")
        cls.core = subprocess.Popen([MUSTER, "run", "-c", cls.config], stdout=subprocess.PIPE, text=True)
        for line in cls.core.stdout:
            if line.strip() == "ready":
                break
        for n in range(1, 8):
            cls.muster("sub", "add", "--imsi", imsi(n), "--k", K, "--opc", OPC, "--msisdn", f"+44790000000{n}")

    @classmethod
    def tearDownClass(cls):
        cls.core.terminate()
        cls.core.stdout.close()
        cls.status = cls.core.wait(20)
        cls.folder.cleanup()
        assert cls.status == 0

    @classmethod
    def muster(cls, *arguments):
        command = [MUSTER, *arguments[:2], "-c", cls.config, *arguments[2:]]
        if arguments[0] == "explain":
            command = [MUSTER, "explain", "-c", cls.config, *arguments[1:]]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    def register(self, n, *more, k=K, opc=OPC):
        return self.muster("ue", "register", "--imsi", imsi(n), "--k", k, "--opc", opc, *more)

    def explained(self, identity, reason, *parts):
        """The last attempt failed for this reason; the story has these parts."""
        told = self.muster("explain", identity, "--last", "1")
        self.assertEqual(1, told.returncode, told.stdout + told.stderr)
        self.assertIn(f"\nWhat to mend\n  {reason}: ", told.stdout)
        for part in parts:
            self.assertIn(part, told.stdout)
        self.assertNotIn(K, told.stdout)

    def test_a_success_is_told_step_by_step(self):
        self.register(1)
        told = self.muster("explain", imsi(1))
        self.assertEqual(0, told.returncode, told.stdout + told.stderr)
        self.assertTrue(told.stdout.startswith(f"{imsi(1)}: registered\n"), told.stdout)
        for part in ("pcscf    REGISTER from 127.0.42.1:", "asks the HSS: UAR", "challenges the terminal 401",
                     "right response", "asks the HSS: SAR", "registered 200"):
            self.assertIn(part, told.stdout)
        self.assertNotIn("What to mend", told.stdout)

    def test_what_is_no_attempt(self):
        number = f"sip:+447900000004@{DOMAIN}"
        self.register(4)  # the P-CSCF's SUBSCRIBE is for the number, by the I-CSCF
        told = self.muster("explain", number)
        self.assertEqual(0, told.returncode, told.stdout + told.stderr)
        self.assertIn("a subscription to the registration's state, sent on to the S-CSCF", told.stdout)
        for _ in range(2):  # another contact: the P-CSCF hears that the one before has ended
            self.register(4, "--impu", number)
            told = self.muster("explain", number)
            self.assertEqual(0, told.returncode, told.stdout + told.stderr)
            self.assertRegex(told.stdout, ": (re)?registered\n")
            self.assertNotIn("LIR", told.stdout)
            self.assertNotIn("What to mend", told.stdout)

    def test_wrong_key(self):
        self.register(2, opc=ZEROS)
        self.explained(imsi(2), "autn-refused", "K, or OP/OPc, or AMF differ")
        check = subprocess.run([MUSTER, "sub", "key-check", "--k", K, "--opc", OPC], capture_output=True, text=True,
                               timeout=60, check=True).stdout.strip()
        self.assertIn(f"AKA, key check {check}\n", self.muster("sub", "show", imsi(2)).stdout)
        self.assertNotIn(check, self.register(2, opc=ZEROS).stderr)
        self.assertIn("The card's key check is ", self.register(2, opc=ZEROS).stderr)

    def test_unknown_user(self):
        self.register(9)
        self.explained(imsi(9), "user-unknown", "hss      refused 5001: UAR", "refused 403")

    def test_identities_of_others(self):
        self.register(3, "--impu", "tel:+447900000004")
        self.explained(imsi(3), "identities-do-not-match")

    def test_too_brief(self):
        told = self.register(4, "--expires", "60")
        self.assertEqual(0, told.returncode, told.stderr)  # the terminal asks for more
        self.assertIn("[interval-too-brief]", self.muster("explain", imsi(4)).stdout)

    def test_a_silent_terminal(self):
        self.send_register(imsi(5))
        time.sleep(1.5)
        self.explained(imsi(5), "challenge-unanswered")

    def test_a_wrong_password(self):
        password = ["ue", "register", "--user", f"sip:zoe@{DOMAIN}", "--password-stdin", "-c", self.config]
        subprocess.run([MUSTER, "sub", "add", "-c", self.config, "--user", "zoe", "--password-stdin"], input="good\n",
                       capture_output=True, text=True, timeout=60, check=True)
        subprocess.run([MUSTER, *password], input="bad\n", capture_output=True, text=True, timeout=60, check=False)
        self.explained("zoe", "wrong-response", "zoe: wrong response", f"zoe@{DOMAIN} as sip:zoe@{DOMAIN}")
        time.sleep(1.5)
        self.explained("zoe", "wrong-response")  # also when nobody waits any more

    def test_short_names_mean_the_same_everywhere(self):
        for name in ("ann.one", "ann.two"):
            subprocess.run([MUSTER, "sub", "add", "-c", self.config, "--user", name, "--password-stdin"], input="good\n",
                           capture_output=True, text=True, timeout=60, check=True)
        told = self.muster("explain", "ann")
        self.assertIn(f"the HSS knows it: ann.one@{DOMAIN}", told.stdout)
        several = self.muster("sub", "show", "ann")
        self.assertEqual(1, several.returncode)
        self.assertIn("several subscriptions; which one? ann.one, ann.two", several.stderr)
        self.assertIn("Subscription ann.two", self.muster("sub", "show", f"ann.two@{DOMAIN}").stdout)
        self.assertIn('did you mean ann?', self.muster("sub", "show", "anm").stderr)
        self.assertIn('did you mean ann.one?', self.muster("sub", "rm", "ann.ones").stderr)

    def send_register(self, user):
        with socket.socket(type=socket.SOCK_DGRAM) as s:
            s.bind((HOST, 0))
            me = f"{HOST}:{s.getsockname()[1]}"
            s.sendto(
                (f"REGISTER sip:{DOMAIN} SIP/2.0\r\nVia: SIP/2.0/UDP {me};branch=z9hG4bKx\r\nMax-Forwards: 70\r\n"
                 f"From: <sip:{user}@{DOMAIN}>;tag=a\r\nTo: <sip:{user}@{DOMAIN}>\r\nCall-ID: silent\r\n"
                 f"CSeq: 1 REGISTER\r\nContact: <sip:{user}@{me}>\r\n"
                 f'Authorization: Digest username="{user}@{DOMAIN}", realm="{DOMAIN}", nonce="", '
                 f'uri="sip:{DOMAIN}", response=""\r\nContent-Length: 0\r\n\r\n').encode(),
                (HOST, 5060))
            s.settimeout(5)
            self.assertIn(b"401", s.recv(4096))

    def test_a_contact_too_many(self):
        self.register(6)
        self.register(6, "--local", "127.0.42.2")
        told = self.muster("explain", imsi(6), "--json")
        steps = json.loads(told.stdout)
        self.assertIn("registered", {s["step"] for s in steps})
        self.assertTrue(all({"wall_us", "node", "reason", "detail"} <= set(s) for s in steps))

    def test_who_has_never_tried(self):
        told = self.muster("explain", imsi(7))
        self.assertEqual(1, told.returncode)
        self.assertIn("Nothing about", told.stdout)
        self.assertIn("the HSS knows it", told.stdout)

    def test_who_does_not_exist(self):
        told = self.muster("explain", f"sip:+447900000007@{DOMAIN}x")
        self.assertEqual(1, told.returncode)
        self.assertIn(f"did you mean sip:+447900000007@{DOMAIN}?", told.stdout)

    def test_all_reasons_have_a_remedy(self):
        told = self.muster("explain", "--reasons").stdout
        self.assertGreater(told.count("\n"), 150)
        self.assertIn("hss-silent (icscf, scscf)\n  HSS does not answer\n  No Diameter connection", told)


class Processes(unittest.TestCase):
    """The P-CSCF in one process, the home network in another."""

    HOST = "127.0.42.10"

    def start(self, name, here):
        ports = {"pcscf": 5060, "icscf": 4060, "scscf": 6060, "hss": 3868}
        nodes = "".join(f"  {n}: {{listen: '{self.HOST}:{p}', remote: {'no' if n in here else 'yes'}}}\n"
                        for n, p in ports.items())
        web = f"{self.HOST}:{8080 if 'hss' in here else 8081}"
        config = pathlib.Path(self.folder.name, name)
        config.write_text(f"network: {{mcc: '001', mnc: '01'}}\nnodes:\n{nodes}store: {{kind: memory}}\n"
                          f"web: {{listen: '{web}'}}\nlog: error\n", encoding="utf-8")
        core = subprocess.Popen([MUSTER, "run", "-c", str(config)], stdout=subprocess.PIPE, text=True)

        def stop():
            core.terminate()
            core.stdout.close()
            self.assertEqual(0, core.wait(20))
        self.addCleanup(stop)
        for line in core.stdout:
            if line.strip() == "ready":
                break
        return web

    def run_muster(self, *arguments):
        return subprocess.run([MUSTER, *arguments], capture_output=True, text=True, timeout=60, check=False)

    def test_their_journals_are_told_as_one(self):
        self.folder = tempfile.TemporaryDirectory(prefix="muster-explain-")
        self.addCleanup(self.folder.cleanup)
        home = self.start("home.yaml", {"icscf", "scscf", "hss"})
        edge = self.start("edge.yaml", {"pcscf"})
        self.run_muster("sub", "add", "--web", home, "--imsi", imsi(1), "--k", K, "--opc", OPC)
        tried = self.run_muster("ue", "register", "--imsi", imsi(1), "--k", ZEROS, "--opc", OPC,
                                "--pcscf", f"{self.HOST}:5060")
        self.assertEqual(1, tried.returncode, tried.stdout + tried.stderr)
        told = self.run_muster("explain", imsi(1), "--web", home, "--also", edge)
        self.assertEqual(1, told.returncode, told.stdout + told.stderr)
        places = [told.stdout.find(part) for part in
                  ("pcscf    REGISTER from 127.0.42.10:", "icscf    REGISTER through", "scscf    challenges the terminal 401",
                   "pcscf    answer relayed to the terminal 401", "scscf    refused 403", "pcscf    answer relayed to the terminal 403",
                   "What to mend\n  autn-refused: ")]
        self.assertNotIn(-1, places, told.stdout)
        self.assertEqual(sorted(places), places, told.stdout)
        alone = self.run_muster("explain", imsi(1), "--web", edge)
        self.assertEqual(1, alone.returncode, alone.stdout + alone.stderr)
        self.assertIn(f"{imsi(1)}: refused with 403 by the home network\n", alone.stdout)
        self.assertIn("--also ADDRESS", alone.stdout)
        nobody = self.run_muster("explain", imsi(1), "--web", home, "--also", f"{edge},{self.HOST}:9")
        self.assertEqual(4, nobody.returncode, nobody.stdout + nobody.stderr)
        self.assertIn("autn-refused", nobody.stdout)
        self.assertIn(f"no Muster answers at http://{self.HOST}:9", nobody.stderr)


if __name__ == "__main__":
    tap.main()
