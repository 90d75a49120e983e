#!/usr/bin/python3
"""Kamailio 5.6's IMS modules (Debian's kamailio-ims-modules) beside Muster's nodes: its CSCFs at Muster's HSS, Muster's
CSCFs behind its P-CSCF. A terminal registers, registers again, and de-registers; the HSS says what it believes. The
operator ends a registration, and Kamailio's S-CSCF forgets it.

covers: A4 A5 A6 A7 A10 A11 B4"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path += [str(HERE), str(HERE.parent / "cli")]

import kamailio_network  # noqa: E402
import tap  # noqa: E402

DOMAIN = "ims.mnc001.mcc001.3gppnetwork.org"
MUSTER = os.environ.get("MUSTER", str(HERE.parents[1] / "build" / "muster"))
IMSI = "001010000000001"
KEYS = ["--k", "8baf473f2f8fd09487cccbd7097c6862", "--opc", "cdc202d5123e20f62b6d676ac72cb318"]
ROLES = ("pcscf", "icscf", "scscf", "hss")
PORTS = {"pcscf": 5060, "icscf": 4060, "scscf": 6060, "hss": 3868, "web": 8080}


class Network(unittest.TestCase):
    """Each case has hosts of its own: 127.0.38.10N to 15N."""

    number = 0

    def start(self, kamailio_roles):
        """Kamailio plays these roles, Muster the others."""
        Network.number += 1
        names = list(PORTS)
        self.at = {n: f"127.0.38.{100 + 10 * names.index(n) + self.number}:{p}" for n, p in PORTS.items()}
        folder = tempfile.TemporaryDirectory(prefix="muster-kamailio-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.config = str(self.folder / "home.yaml")
        self.write_config(kamailio_roles)
        log = open(self.folder / "muster.log", "w+", encoding="utf-8")
        self.addCleanup(log.close)
        self.core = subprocess.Popen([MUSTER, "run", "-c", self.config], stdout=log, stderr=log)
        self.addCleanup(self.stop_core)
        self.kamailio = kamailio_network.Kamailio(self.folder, DOMAIN, self.at, kamailio_roles, round_s=1)
        self.addCleanup(self.kamailio.stop)
        self.kamailio.start()
        for role in {"icscf", "scscf"}:
            self.wait_for(f'peer up peer="{role}.{DOMAIN}"')
        self.muster("sub", "add", "-c", self.config, "--imsi", IMSI, "--msisdn", "+447700900199", *KEYS)

    def write_config(self, kamailio_roles):
        nodes = "".join(
            f"  {role}: {{listen: '{self.at[role]}', remote: {'yes' if role in kamailio_roles else 'no'}"
            + (f", name: 'sip:{self.at[role]}'" if role == "scscf" and role in kamailio_roles else "")
            + (", transports: [udp]" if role in kamailio_roles else "") + "}\n"  # see common.cfg
            for role in ROLES)
        pathlib.Path(self.config).write_text(
            f"network: {{mcc: '001', mnc: '01'}}\nnodes:\n{nodes}store: {{kind: memory}}\n"
            f"web: {{listen: '{self.at['web']}'}}\nlog: info\n", encoding="utf-8")

    def log(self):
        return (self.folder / "muster.log").read_text(errors="replace")

    def wait_for(self, text, seconds=20):
        end = time.monotonic() + seconds
        while text not in self.log():
            self.assertIsNone(self.core.poll(), self.log())
            self.assertLess(time.monotonic(), end, f"no {text!r} in\n{self.log()}")
            time.sleep(0.05)

    def stop_core(self):
        self.core.terminate()
        try:
            self.assertEqual(0, self.core.wait(20), self.log())
        finally:
            self.core.kill()
            self.core.wait()

    def muster(self, *arguments):
        done = subprocess.run([MUSTER, *arguments], capture_output=True, text=True, timeout=60, check=False)
        said = "".join(f"\n{role}: {self.kamailio.log(role)[-2000:]}" for role in self.kamailio.running)
        self.assertEqual(0, done.returncode, done.stdout + done.stderr + self.log() + said)
        return done.stdout

    def state(self):
        """What the HSS says of the terminal: registration states of its identities, and its S-CSCF."""
        shown = json.loads(self.muster("sub", "show", "-c", self.config, "--json", IMSI))
        return {impu["registration"]["state"] for impu in shown["impus"]}, shown.get("scscf")

    def ue(self, verb):
        return self.muster("ue", verb, "-c", self.config, "--imsi", IMSI, *KEYS, "--timeout", "20")

    def register_and_deregister(self, scscf):
        out = self.ue("register")
        self.assertIn("tel:+447700900199", out)
        self.assertEqual(({"registered"}, scscf), self.state())
        self.ue("register")
        self.ue("deregister")
        self.assertEqual(({"not registered"}, None), self.state())

    def test_kamailio_s_cscfs_register_a_user_at_our_hss(self):
        self.start(("pcscf", "icscf", "scscf"))
        self.register_and_deregister(f"sip:{self.at['scscf']}")

    def test_kamailio_s_icscf_and_scscf_register_a_user_behind_our_pcscf(self):
        self.start(("icscf", "scscf"))
        self.register_and_deregister(f"sip:{self.at['scscf']}")

    def test_our_cscfs_register_a_user_who_comes_through_kamailio_s_pcscf(self):
        self.start(("pcscf",))
        self.register_and_deregister(f"sip:scscf.{DOMAIN}:6060")

    def at_kamailio(self):
        """What Kamailio's S-CSCF has of the terminal's default identity."""
        return subprocess.run(
            ["kamcmd", "-s", f"unix:{self.folder}/scscf.ctl", "ulscscf.showimpu", f"sip:+447700900199@{DOMAIN}"],
            capture_output=True, text=True, timeout=10, check=False).stdout  # fmt: skip

    def test_kamailio_s_scscf_forgets_whom_our_operator_ends(self):
        self.start(("icscf", "scscf"))
        self.ue("register")
        self.assertIn("state: registered", self.at_kamailio())
        # RTRs without public identities, as of SERVER_CHANGE, Kamailio 5.6.3 does not answer.
        out = self.muster("sub", "deregister", "-c", self.config, IMSI, "--text", "unpaid bills")
        self.assertIn(f"permanent-termination for {IMSI}@{DOMAIN}", out)
        self.assertEqual(({"not registered"}, None), self.state())
        end = time.monotonic() + 10
        while "state: registered" in self.at_kamailio():
            self.assertLess(time.monotonic(), end, self.at_kamailio() + self.log() + self.kamailio.log("scscf"))
            time.sleep(0.1)
        self.ue("register")
        self.assertEqual(({"registered"}, f"sip:{self.at['scscf']}"), self.state())
        self.assertEqual(1, self.at_kamailio().count("client: Muster"), self.at_kamailio())
        self.assertNotIn("is not told", self.log())


if __name__ == "__main__":
    if not kamailio_network.is_installed():
        print("skipped, needs kamailio-ims-modules")
        sys.exit(77)
    tap.main()
