"""A running network takes its configuration anew while terminals register, tells its service manager, and ends in order.
$MUSTER is the program. covers: A11 HF18"""

import contextlib
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import tempfile
import time
import unittest

import tap

MUSTER = os.environ["MUSTER"]
HOST = "127.0.44.1"
DOMAIN = "ims.mnc001.mcc001.3gppnetwork.org"
K, OPC = "465b5ce8b199b49faa5f0a2ee238a6bc", "cd63cb71954a9f4e48a5994e37a02baf"


def config(folder, log="notice", scscf="", more=""):
    return (f"network: {{mcc: '001', mnc: '01'}}\nnodes:\n  pcscf: {{listen: '{HOST}:5060'}}\n"
            f"  icscf: {{listen: '{HOST}:4060'}}\n  scscf: {{listen: '{HOST}:6060'{scscf}}}\n"
            f"  hss: {{listen: '{HOST}:3868'}}\nstore: {{kind: lmdb, path: '{folder}/store'}}\n"
            f"web: {{listen: '{HOST}:8080'}}\nlog: {log}\n{more}")


class Reload(unittest.TestCase):
    """A network for each case, under a service manager that we play."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="muster-reload-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.file = self.folder / "home.yaml"
        self.file.write_text(config(self.folder), encoding="utf-8")
        self.notices = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(self.notices.close)
        self.notices.bind(str(self.folder / "notify"))
        self.notices.settimeout(20)
        self.log = open(self.folder / "log", "w+", encoding="utf-8")
        self.addCleanup(self.log.close)
        self.core = subprocess.Popen(
            [MUSTER, "run", "-c", str(self.file)], stdout=self.log, stderr=self.log,
            env=os.environ | {"NOTIFY_SOCKET": str(self.folder / "notify"), "WATCHDOG_USEC": "400000"})
        self.addCleanup(self.stop)
        self.wait_for("READY=1")

    def stop(self):
        self.core.terminate()
        try:
            self.assertEqual(0, self.core.wait(20), (self.folder / "log").read_text())
        finally:
            self.core.kill()
            self.core.wait()

    def end_and_start(self):
        self.assertEqual(0, self.core.wait(20), (self.folder / "log").read_text())
        self.notices.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while self.notices.recv(100):
                pass
        self.notices.settimeout(20)
        self.core = subprocess.Popen([MUSTER, "run", "-c", str(self.file)], stdout=self.log, stderr=self.log,
                                     env=os.environ | {"NOTIFY_SOCKET": str(self.folder / "notify")})
        self.wait_for("READY=1")

    def wait_for(self, notice):
        heard = []
        while notice not in heard:
            heard.append(self.notices.recv(100).decode())
        return heard

    def muster(self, *arguments, code=0):
        done = subprocess.run([MUSTER, *arguments, "-c", str(self.file)], capture_output=True, text=True, timeout=60,
                              check=False)
        self.assertEqual(code, done.returncode, done.stdout + done.stderr)
        return done.stdout

    def test_what_can_changes_at_once_and_the_rest_is_named(self):
        (self.folder / "more.yaml").write_text(
            f"sims:\n  - {{imsi: '001010000000007', k: {K}, opc: {OPC}}}\n", encoding="utf-8")
        self.file.write_text(
            config(self.folder, "info", ", contacts-max: 7", "subscribers: [more.yaml]\n"), encoding="utf-8")
        told = self.muster("reload")
        self.assertIn("Changed:\n  log\n  subscribers\n", told)
        self.assertIn("Needs a restart:\n  nodes.scscf.contacts-max\n", told)
        self.muster("ue", "register", "--imsi", "001010000000007", "--k", K, "--opc", OPC)
        self.assertIn(" info ", (self.folder / "log").read_text())
        self.assertIn(' applied="log, subscribers" needs_restart="nodes.scscf.contacts-max"\n', (self.folder / "log").read_text())
        self.assertIn("Nothing in the configuration has changed", self.muster("reload"))

    def test_a_wrong_file_is_refused_and_nothing_changes(self):
        self.file.write_text(config(self.folder, "loud"), encoding="utf-8")
        done = subprocess.run([MUSTER, "reload", "--web", f"{HOST}:8080"], capture_output=True, text=True, check=False)
        self.assertEqual(3, done.returncode, done.stderr)
        self.assertIn("Refused; what runs goes on as it was:\n", done.stdout)
        self.assertRegex(done.stdout, r"home\.yaml:9: log is \"loud\"")
        self.file.write_text(config(self.folder), encoding="utf-8")
        self.assertIn("Nothing in the configuration has changed", self.muster("reload"))

    def test_no_registration_is_lost_while_it_reloads(self):
        with subprocess.Popen(
                [MUSTER, "bench", "registration", "--json", "--users", "200", "--rate", "150", "--seconds", "4",
                 "--warm-up", "0", "--pcscf", f"{HOST}:5060", "--web", f"{HOST}:8080", "--pids", str(self.core.pid)],
                stdout=subprocess.PIPE, text=True) as load:
            for n in range(20):
                time.sleep(0.2)
                self.file.write_text(config(self.folder, ("notice", "warning")[n % 2]), encoding="utf-8")
                self.core.send_signal(signal.SIGHUP)
                self.wait_for("RELOADING=1")
                self.wait_for("READY=1")
            figures = json.loads(load.communicate(timeout=60)[0])
        self.assertEqual(0, figures["failed"])
        self.assertGreater(figures["done_per_s"], 100)

    def test_the_service_manager_hears_of_us(self):
        heard = self.wait_for("WATCHDOG=1") + self.wait_for("WATCHDOG=1")
        self.assertLessEqual(set(heard), {"WATCHDOG=1"})
        self.core.terminate()
        self.wait_for("STOPPING=1")

    def test_a_reload_at_the_same_moment_does_not_keep_it_from_ending(self):
        for first, second in ((signal.SIGHUP, signal.SIGTERM), (signal.SIGTERM, signal.SIGHUP)):
            self.core.send_signal(signal.SIGSTOP)
            os.waitpid(self.core.pid, os.WUNTRACED)
            self.core.send_signal(first)
            self.core.send_signal(second)
            self.core.send_signal(signal.SIGCONT)
            self.end_and_start()

    def test_a_reload_after_the_end_has_begun_does_not_cut_it_short(self):
        for _ in range(3):
            self.core.terminate()
            while self.core.poll() is None:
                self.core.send_signal(signal.SIGHUP)
                time.sleep(0.001)
            self.end_and_start()

    def test_what_was_answered_before_the_end_is_there_afterwards(self):
        for n in range(1, 21):
            self.muster("sub", "add", "--imsi", f"0010100000000{n:02}", "--k", K, "--opc", OPC)
        load = subprocess.Popen(
            [MUSTER, "bench", "registration", "--users", "500", "--seconds", "20", "--warm-up", "0", "--pcscf",
             f"{HOST}:5060", "--web", f"{HOST}:8080", "--pids", str(self.core.pid)],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(load.wait)
        self.addCleanup(load.kill)
        time.sleep(1.5)
        self.core.terminate()
        self.end_and_start()
        load.kill()
        for n in range(1, 21):
            self.muster("sub", "show", f"0010100000000{n:02}@{DOMAIN}")


class Unit(unittest.TestCase):
    """config/muster.service"""

    def test_it_starts_what_exists(self):
        text = pathlib.Path(__file__).resolve().parents[2].joinpath("config/muster.service").read_text()
        self.assertTrue(re.search(r"^Type=notify$", text, re.M))
        self.assertIn("ExecStart=/usr/local/bin/muster run -c /etc/muster/home.yaml", text)
        for word in ("NoNewPrivileges=yes", "ProtectSystem=strict", "StateDirectory=muster", "WatchdogSec="):
            self.assertIn(word, text)


if __name__ == "__main__":
    tap.main()
