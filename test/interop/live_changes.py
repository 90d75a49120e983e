#!/usr/bin/python3
"""An S-CSCF that nobody of Muster wrote hears of changes: PPR and RTR as TS 29.228 6.1.3 and 6.2.2 have them, and what
the HSS makes of its answers.

covers: B1 B3 B4 B5"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path += [str(HERE), str(HERE.parent / "cli")]

import diameter_peer as d  # noqa: E402
import tap  # noqa: E402

DOMAIN = "ims.mnc001.mcc001.3gppnetwork.org"
MUSTER = os.environ.get("MUSTER", str(HERE.parents[1] / "build" / "muster"))
HOST = f"127.7.{os.getpid() % 200 + 20}.{os.getpid() // 200 % 250 + 1}"  # of this run alone
SERVER = f"sip:scscf.{DOMAIN}:6060"
KEYS = {"k": "8baf473f2f8fd09487cccbd7097c6862", "opc": "cdc202d5123e20f62b6d676ac72cb318"}
CONFIG = f"""network: {{mcc: "001", mnc: "01"}}
nodes:
  scscf: {{remote: yes}}
  hss: {{listen: '{HOST}:3868'}}
store: {{kind: lmdb, path: '@FOLDER@/store'}}
web: {{listen: '{HOST}:8080'}}
"""


def family(ccf="one", display="", extra=(), members=("alice", "bob"), **more):
    """A subscription of two, each with a set."""
    impus = [{"identity": f"sip:{m}@{DOMAIN}", "impi": f"{m}@{DOMAIN}", "set": i + 1, "default": True,
              "display_name": display if not i else ""} for i, m in enumerate(members)]
    impus += [{"identity": e, "impi": f"{members[0]}@{DOMAIN}", "set": 1} for e in extra]
    return {"name": "smith", "charging": {"primary_ccf": f"aaa://{ccf}.{DOMAIN}"}, "impus": impus,
            "impis": [{"identity": f"{m}@{DOMAIN}", **KEYS} for m in members], **more}


class LiveChanges(unittest.TestCase):
    """Each case has an HSS and a peer of its own."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="muster-live-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.config = self.folder / "home.yaml"
        self.config.write_text(CONFIG.replace("@FOLDER@", folder.name), encoding="utf-8")
        self.addCleanup(self.stop)
        self.start()
        self.connect()
        self.put(family())
        for member in ("alice", "bob"):
            self.register(member)

    def start(self):
        self.process = subprocess.Popen([MUSTER, "run", "-c", self.config], stdout=subprocess.PIPE, text=True,
                                        stderr=(self.folder / "log").open("a"))
        for line in self.process.stdout:
            if line == "ready\n":
                return
        self.fail((self.folder / "log").read_text())

    def stop(self, kill=False):
        (self.process.kill if kill else self.process.terminate)()
        self.process.communicate(timeout=20)

    def connect(self):
        self.peer = d.Peer((HOST, 3868), f"scscf.{DOMAIN}", DOMAIN)
        self.addCleanup(self.peer.close)

    def sub(self, *arguments):
        done = subprocess.run([MUSTER, "sub", *arguments, "--web", f"{HOST}:8080"], capture_output=True, text=True,
                              timeout=30, check=False)
        self.assertEqual(0, done.returncode, done.stdout + done.stderr)
        return done.stdout

    def put(self, subscription):
        code = subprocess.run(["curl", "-s", "-f", "-X", "PUT", "-d", json.dumps(subscription),
                               "-H", "Content-Type: application/json", "--noproxy", "*",
                               f"http://{HOST}:8080/subscriptions/smith"],
                              capture_output=True, check=False).returncode  # fmt: skip
        self.assertEqual(0, code)

    def register(self, member):
        answer = self.peer.ask(d.SAR, [d.avp(d.USER_NAME, f"{member}@{DOMAIN}"),
                                       d.cx(d.PUBLIC_IDENTITY, f"sip:{member}@{DOMAIN}"),
                                       d.cx(d.SERVER_NAME, SERVER), d.cx(d.ASSIGNMENT_TYPE, 1), d.cx(624, 0)])
        self.assertEqual(2001, answer.number(d.RESULT), answer.all)
        self.assertIn("<IMSSubscription", answer.text(d.USER_DATA))
        self.assertEqual([f"{m}@{DOMAIN}" for m in ("alice", "bob")], answer.texts(d.ASSOCIATED, d.USER_NAME))

    def states(self):
        shown = json.loads(self.sub("show", "smith", "--json"))
        return [impu["registration"]["state"] for impu in shown["impus"]], shown.get("scscf")

    def expect_ppr(self, member):
        message = self.peer.wait()
        self.assertEqual((d.PPR, d.CX), (message.command, message.application))
        self.assertEqual(f"{member}@{DOMAIN}", message.text(d.USER_NAME))
        self.assertEqual((f"scscf.{DOMAIN}", DOMAIN), (message.text(293), message.text(283)))
        return message

    def expect_rtr(self, member, reason, others=(), impus=()):
        message = self.peer.wait()
        self.assertEqual((d.RTR, f"{member}@{DOMAIN}"), (message.command, message.text(d.USER_NAME)))
        self.assertEqual(reason, message.number(d.REASON, d.REASON_CODE))
        self.assertEqual([f"{m}@{DOMAIN}" for m in others], message.texts(d.ASSOCIATED, d.USER_NAME))
        self.assertEqual(list(impus), message.texts(d.PUBLIC_IDENTITY))
        return message

    def test_a_profile_is_pushed_and_charging_functions_reach_both(self):
        self.put(family(extra=["tel:+447700900301"]))
        message = self.expect_ppr("alice")
        self.assertIn("tel:+447700900301", message.text(d.USER_DATA))
        self.assertIsNone(message.get(d.CHARGING))
        self.peer.answer(message)
        self.put(family(ccf="two", extra=["tel:+447700900301"]))
        for member in ("alice", "bob"):
            message = self.expect_ppr(member)
            self.assertEqual(f"aaa://two.{DOMAIN}", message.text(d.CHARGING, d.PRIMARY_CCF))
            self.assertIsNone(message.get(d.USER_DATA))
            self.peer.answer(message, d.USER_UNKNOWN if member == "alice" else 2001)
        self.assertTrue(self.peer.is_left_alone())

    def test_too_much_data_is_a_change_of_server_until_the_last_is_told(self):
        self.put(family(display="Alice"))
        self.peer.answer(self.expect_ppr("alice"), d.TOO_MUCH_DATA)
        message = self.expect_rtr("alice", d.SERVER_CHANGE, others=["bob"])
        self.assertEqual((["not registered"] * 2, None), self.states())
        self.peer.answer(message, more=[d.cx(d.ASSOCIATED, [d.avp(d.USER_NAME, f"alice@{DOMAIN}")])])
        message = self.expect_rtr("bob", d.SERVER_CHANGE)  # the RTA did not name him
        self.peer.answer(message, more=[d.cx(d.ASSOCIATED, [d.avp(d.USER_NAME, f"bob@{DOMAIN}")])])
        self.assertTrue(self.peer.is_left_alone())

    def test_the_operator_ends_one_with_a_word_why(self):
        out = self.sub("deregister", f"bob@{DOMAIN}", "--text", "unpaid bills")
        self.assertIn(f"permanent-termination for bob@{DOMAIN}: sip:bob@{DOMAIN}", out)
        message = self.expect_rtr("bob", d.PERMANENT_TERMINATION, impus=[f"sip:bob@{DOMAIN}"])
        self.assertEqual("unpaid bills", message.text(d.REASON, d.REASON_INFO))
        self.peer.answer(message)
        self.assertEqual((["registered", "not registered"], SERVER), self.states())

    def test_neither_a_lost_answer_nor_two_restarts_lose_it(self):
        self.sub("rm", "smith")
        first = self.peer.wait()  # not answered
        self.assertEqual(d.RTR, first.command)
        self.peer.close()
        self.stop(kill=True)
        self.start()
        self.connect()
        ended = set()
        for _ in range(2):
            message = self.peer.wait()
            self.assertEqual(d.PERMANENT_TERMINATION, message.number(d.REASON, d.REASON_CODE))
            ended |= set(message.texts(d.PUBLIC_IDENTITY))
            self.peer.answer(message)
        self.assertEqual({f"sip:alice@{DOMAIN}", f"sip:bob@{DOMAIN}"}, ended)
        self.assertTrue(self.peer.is_left_alone())


if __name__ == "__main__":
    tap.main()
