"""muster run and the commands that talk to it: from start to graceful end, nothing by halves.
$MUSTER is the program.

covers: A4 A5 A6 A7 A10 A11 HA8"""

import contextlib
import hashlib
import json
import os
import pathlib
import re
import signal
import socket
import struct
import subprocess
import tempfile
import unittest

import tap

MUSTER = os.environ["MUSTER"]
DOMAIN = "ims.mnc001.mcc001.3gppnetwork.org"
HOST = f"127.0.{os.getpid() % 200 + 20}.{os.getpid() // 200 % 250 + 1}"  # of this run alone
WEB = f"{HOST}:8080"
K, OPC = "465b5ce8b199b49faa5f0a2ee238a6bc", "cd63cb71954a9f4e48a5994e37a02baf"
ALICE_K = "e91f404423b02744f8a59b7dd700afdb"  # of config/smiths.yaml


def muster(*arguments, **options):
    """Runs it; the result has returncode, stdout and stderr."""
    return subprocess.run(
        [MUSTER, *arguments], capture_output=True, text=True, timeout=90, check=False, **options
    )


def avp(code, value):
    """A mandatory AVP of the base protocol."""
    return struct.pack("!II", code, 0x40 << 24 | 8 + len(value)) + value + bytes(-len(value) % 4)


def capabilities(host):
    """A CER of a peer that says it has just been started again."""
    cx = avp(266, struct.pack("!I", 10415)) + avp(258, struct.pack("!I", 16777216))
    avps = (avp(264, host.encode()) + avp(296, DOMAIN.encode()) + avp(257, b"\0\1\x7f\0\0\1")
            + avp(266, struct.pack("!I", 10415)) + avp(269, b"test") + avp(278, struct.pack("!I", 7)) + avp(260, cx))  # fmt: skip
    return struct.pack("!IIIII", 1 << 24 | 20 + len(avps), 0x80 << 24 | 257, 0, 1, 1) + avps


class Running(unittest.TestCase):
    """Each test has a folder and a configuration of its own."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.config = self.folder / "home.yaml"
        self.write_config()

    def write_config(self, more=""):
        """A home network on this run's host."""
        nodes = {"pcscf": 5060, "icscf": 4060, "scscf": 6060, "hss": 3868}
        lines = [f"  {name}: {{listen: '{HOST}:{port}'}}" for name, port in nodes.items()]
        self.config.write_text(
            "network: {mcc: '001', mnc: '01'}\nnodes:\n" + "\n".join(lines)
            + f"\nstore: {{path: '{self.folder}/store'}}\nweb: {{listen: '{WEB}'}}\n"
            + (more or "subscribers: [smiths.yaml]\n")
        )  # fmt: skip

    @contextlib.contextmanager
    def network(self, *options):
        """Runs the configuration until it says that it is ready; ends it gracefully."""
        log = self.folder / "log"
        with log.open("w") as err, subprocess.Popen(
            [MUSTER, "run", "-c", str(self.config), *options],
            stdout=subprocess.PIPE, stderr=err, text=True,
        ) as process:  # fmt: skip
            out = ""
            try:
                for line in process.stdout:
                    out += line
                    if line == "ready\n":
                        break
                self.assertTrue(out.endswith("ready\n"), out + log.read_text())
                yield process
            finally:
                if process.poll() is None:
                    process.send_signal(signal.SIGTERM)
                rest = process.stdout.read()
                self.assertEqual(0, process.wait(30), log.read_text())
                self.assertIn("stopped", rest)

    def good(self, *arguments, **options):
        """What a command prints that must succeed."""
        done = muster(*arguments, **options)
        self.assertEqual(0, done.returncode, done.stdout + done.stderr)
        return done.stdout

    def ue(self, *arguments):
        """A terminal of this network."""
        return self.good("ue", *arguments, "-c", str(self.config))

    def sub(self, *arguments, **options):
        """A command about subscriptions."""
        return self.good("sub", arguments[0], "--web", WEB, *arguments[1:], **options)

    def state(self, identity):
        """Registration state of a public identity."""
        shown = json.loads(self.sub("show", identity, "--json"))
        (impu,) = (i for i in shown["impus"] if i["identity"] == identity)
        return impu["registration"]["state"]

    def test_a_terminal_registers_and_leaves(self):
        alice = f"sip:alice.mobile@{DOMAIN}"
        with self.network():
            self.assertEqual("not registered", self.state(alice))
            text = self.ue("register", "alice")
            self.assertIn("alice is registered for 600000 s", text)
            self.assertIn("<tel:+447700900101>", text)
            self.assertEqual("registered", self.state(alice))
            self.assertEqual("registered", self.state("tel:+447700900101"))
            self.assertEqual("not registered", self.state(f"sip:alice.work@{DOMAIN}"))
            self.assertRegex(self.sub("list"), r"(?m)^smith +2 of 9 ")
            self.assertIn("alice is de-registered", self.ue("deregister", "alice"))
            self.assertEqual("not registered", self.state(alice))

    def test_a_registration_outlives_a_restart(self):
        bob = f"sip:bob.mobile@{DOMAIN}"
        with self.network():
            self.ue("register", "bob")
        with self.network():
            self.assertEqual("registered", self.state(bob))
            self.assertRegex(self.sub("list"), r"(?m)^smith ")
            self.ue("register", "bob")

    def test_a_sim_is_added_changed_and_removed(self):
        imsi = "001010000000077"
        with self.network():
            sim = ["--imsi", imsi, "--msisdn", "+447700900077"]
            self.sub("add", *sim, "--opc", OPC, env=dict(os.environ, MUSTER_K=K))
            again = muster("sub", "add", "--web", WEB, *sim, "--k", K, "--opc", OPC)
            self.assertEqual(1, again.returncode)
            self.assertIn(f"there is a subscription of the name {imsi} already", again.stderr)
            other = muster("sub", "add", "--web", WEB, *sim, "--k", K, "--opc", OPC, "--name", "other")
            self.assertIn(f"another subscription has {imsi}@{DOMAIN}: it is {imsi}", other.stderr)
            text = self.ue("register", "--imsi", imsi, "--k", K, "--opc", OPC)
            self.assertIn(f"sip:+447700900077@{DOMAIN}", text)
            self.sub("set", "tel:+447700900077", "display_name=Some One")
            self.assertIn('"Some One"', self.sub("show", imsi))
            wrong = muster("sub", "set", "--web", WEB, imsi, "colour=blue")
            self.assertEqual(1, wrong.returncode)
            self.assertIn("colour", wrong.stderr)
            self.sub("rm", imsi)
            gone = muster("sub", "show", "--web", WEB, imsi)
            self.assertEqual(1, gone.returncode)

    def test_wrong_keys_are_refused(self):
        with self.network():
            self.sub("add", "--imsi", "001010000000077", "--k", K, "--opc", OPC)
            done = muster("ue", "register", "-c", str(self.config), "--imsi", "001010000000077",
                          "--k", K, "--opc", OPC[::-1])  # fmt: skip
            self.assertEqual(1, done.returncode)
            self.assertIn("001010000000077: ", done.stderr)

    def test_files_are_added_as_a_whole_or_not_at_all(self):
        broken = self.folder / "broken.yaml"
        broken.write_text(
            "subscriptions:\n- name: good\n  impis: [{identity: g@x.org}]\n"
            "  impus: [{identity: 'sip:g@x.org'}]\n"
            "- name: bad\n  impis: [{identity: b@x.org}]\n  impus:\n"
            "  - {identity: 'sip:b@x.org'}\n  - {identity: 'http://b'}\n"
        )
        lines = self.folder / "sims.ndjson"
        sim = {"msisdn": "447700900001", "k": K, "opc": OPC}
        texts = [json.dumps(dict(sim, imsi=f"00101000000000{n}", msisdn=f"44770090000{n}")) for n in range(3)]
        with self.network():
            done = muster("sub", "import", "--web", WEB, str(broken))
            self.assertEqual(3, done.returncode, done.stderr)
            self.assertRegex(done.stderr, rf"(?m)^{re.escape(str(broken))}:9: ")
            self.assertNotIn("good", self.sub("list"))
            lines.write_text("\n".join([*texts, texts[0].replace(K, "xyz")]) + "\n")
            done = muster("sub", "import", "--web", WEB, str(lines))
            self.assertRegex(done.stderr, r"sims\.ndjson:4: ")
            lines.write_text("\n".join(texts) + "\n")
            self.assertRegex(self.sub("import", str(lines)), r"^added 3 in ")
            exported = [line for line in self.sub("export").splitlines() if '"impis"' in line]
            self.assertEqual(4, len(exported))
            self.assertNotIn(K, "".join(exported))

    def test_a_user_has_a_password_that_nobody_sees(self):
        user, secret = f"sip:peter@{DOMAIN}", 'ge"heim: \u00e4'
        register = [MUSTER, "ue", "register", "-c", str(self.config), "--user", user, "--password-stdin"]

        def registers(password):
            done = subprocess.run(register, input=password + "\n", capture_output=True, text=True, check=False, timeout=60)
            return done.returncode == 0 and "SHA-256" in done.stdout

        with self.network():
            add = muster("sub", "add", "--web", WEB, "--user", "peter", "--password-stdin", input=secret + "\n")
            self.assertEqual(0, add.returncode, add.stderr)
            self.assertTrue(registers(secret))
            self.assertFalse(registers("wrong"))
            ha1 = hashlib.sha256(f"peter@{DOMAIN}:{DOMAIN}:{secret}".encode()).hexdigest()
            file = self.folder / "with-credentials.ndjson"
            self.sub("export", "--credentials", "-o", str(file))
            self.assertEqual(0o600, file.stat().st_mode & 0o777)
            self.assertIn(ha1, file.read_text())
            plain = self.sub("export") + self.sub("show", "peter") + self.good("trace", "--web", WEB)
            self.assertNotIn(ha1, plain)
            self.assertNotIn("heim", plain)
            capture = self.folder / "capture.pcapng"
            self.good("trace", "--web", WEB, "-o", str(capture))
            self.assertNotIn("CER", self.good("trace", "--web", WEB))
            self.assertIn("CER", self.good("trace", "--peers", "--web", WEB))
            md5 = hashlib.md5(f"peter@{DOMAIN}:{DOMAIN}:{secret}".encode()).hexdigest()
            for hashed in (ha1, md5):
                self.assertNotIn(hashed.encode(), capture.read_bytes())
            self.sub("rm", "peter")
            only = [line for line in file.read_text().splitlines() if '"peter"' in line]
            file.write_text("\n".join(only) + "\n")
            self.sub("import", str(file))
            self.assertTrue(registers(secret))

    def test_the_trace_shows_what_happened_without_keys(self):
        with self.network():
            self.ue("register", "alice")
            text = self.good("trace", "--web", WEB, "--ascii", "--identity", "alice.mobile")
            for word in ("REGISTER", "UAR", "MAR", "401 Unauthorized", "SAR", "200 OK"):
                self.assertIn(word, text)
            for ending in ("html", "svg", "pcapng", "txt"):
                file = self.folder / f"ladder.{ending}"
                self.good("trace", "--web", WEB, "-o", str(file))
                self.assertGreater(file.stat().st_size, 1000)
                self.assertNotIn(ALICE_K.encode(), file.read_bytes())
                self.assertIsNone(re.search(rb'ck="?[0-9a-f]{32}', file.read_bytes()))

    def test_following_the_trace_shows_messages_as_they_come(self):
        with self.network() as process, subprocess.Popen(
            [MUSTER, "trace", "--web", WEB, "--follow"], stdout=subprocess.PIPE, text=True
        ) as trace:
            self.ue("register", "alice")
            text = ""
            for line in trace.stdout:
                text += line
                if "200 OK" in line and "-> ue:" in line:
                    break
            else:
                self.fail("the trace ended early")
            for word, times in (("UAR", 2), ("UAA", 2), ("MAR", 1), ("MAA", 1), ("SAR", 1), ("SAA", 1)):
                self.assertEqual(times, len(re.findall(rf" {word} ", text)), text)
            process.terminate()
            process.wait(30)
            trace.stdout.read()
            self.assertEqual(4, trace.wait(30))

    def test_nobody_outside_takes_the_name_of_a_node(self):
        stranger = HOST[: HOST.rindex(".")] + ".252"
        with self.network("--memory"):
            for node in ("icscf", "scscf"):
                with socket.create_connection((HOST, 3868), 5, (stranger, 0)) as tcp:
                    tcp.sendall(capabilities(f"{node}.{DOMAIN}"))
                    answer = tcp.makefile("rb").read(4096)  # to its end: he is not kept
                    self.assertIn(avp(268, struct.pack("!I", 3010)), answer)
            self.ue("register", "alice")

    def test_a_taken_address_starts_nothing(self):
        with socket.socket() as taken:
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            taken.bind((HOST, 3868))
            taken.listen()
            done = muster("run", "-c", str(self.config))
            self.assertEqual(5, done.returncode)
            self.assertIn(f"hss cannot start on {HOST}:3868: the address is in use", done.stderr)
            self.assertNotIn("ready", done.stdout)
        with self.network():
            done = muster("run", "-c", str(self.config))
            self.assertEqual(5, done.returncode)
            self.assertTrue(done.stderr.startswith("muster: "), done.stderr)

    def test_a_broken_file_of_subscribers_starts_nothing(self):
        (self.folder / "mine.yaml").write_text("subscriptions:\n- name: x\n  impis: []\n  impus: []\n")
        self.write_config("subscribers: [mine.yaml]\n")
        done = muster("run", "-c", str(self.config))
        self.assertEqual(3, done.returncode)
        self.assertRegex(done.stderr, r"mine\.yaml:\d+: ")

    def test_a_second_signal_ends_at_once_and_leaves_nothing(self):
        with subprocess.Popen(
            [MUSTER, "run", "-c", str(self.config), "--memory"], stdout=subprocess.PIPE, text=True
        ) as process:
            for line in process.stdout:
                if line == "ready\n":
                    break
            process.send_signal(signal.SIGINT)
            process.send_signal(signal.SIGINT)
            process.stdout.read()
            self.assertEqual(0, process.wait(30))
        for port in (5060, 4060, 6060):
            with socket.socket(type=socket.SOCK_DGRAM) as udp:
                udp.bind((HOST, port))
        self.assertFalse((self.folder / "store").exists())


if __name__ == "__main__":
    tap.main()
