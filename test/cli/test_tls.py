"""Diameter over TLS between our own nodes in two processes: the HSS here, the CSCFs there. $MUSTER is the program.

covers: HA8 HF9 HF10"""

import contextlib
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "interop"))

import certificates  # noqa: E402
import tap  # noqa: E402

MUSTER = os.environ["MUSTER"]
DOMAIN = "ims.mnc001.mcc001.3gppnetwork.org"
HOST = f"127.2.{os.getpid() % 250 + 1}.{os.getpid() // 250 % 250 + 1}"  # of this run alone
PORTS = {"pcscf": 5060, "icscf": 4060, "scscf": 6060, "hss": 3868}


class Process:
    """A Muster that runs, with what it says."""

    def __init__(self, folder, config, *options):
        self.log = folder / (pathlib.Path(config).stem + ".log")
        with self.log.open("a") as out:
            self.process = subprocess.Popen([MUSTER, "run", "-c", str(folder / config), *options], stdout=out, stderr=out)

    def said(self):
        """All of it, of earlier lives as well."""
        return self.log.read_text()

    def waits_for(self, text, seconds=15, times=1):
        """Has it said this, or does it in time?"""
        deadline = time.monotonic() + seconds
        while self.said().count(text) < times:
            if time.monotonic() > deadline or self.process.poll() is not None:
                return self.said().count(text) >= times
            time.sleep(0.02)
        return True

    def end(self, how=signal.SIGTERM):
        """Ends it; what it ended with."""
        if self.process.poll() is None:
            self.process.send_signal(how)
        try:
            return self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()


class Apart(unittest.TestCase):
    """Each test has a folder, and files of two processes in it."""

    number = 0
    last = ""  # what the terminal said

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        Apart.number += 1
        self.host = f"{HOST[:HOST.rindex('.')]}.{(int(HOST.rsplit('.', 1)[1]) + 60 * Apart.number) % 250 + 1}"
        self.authority = certificates.Authority(self.folder)
        for name in PORTS:
            self.authority.issue(name, f"{name}.{DOMAIN}")

    def write(self, name, here, icscf="icscf"):
        """A file in which the nodes `here` run and the others are remote; the certificate of the I-CSCF may be another's."""
        lines = []
        for node, port in PORTS.items():
            own = icscf if node == "icscf" else node
            settings = [f"listen: '{self.host}:{port}'", f"remote: {'no' if node in here else 'yes'}",
                        f"tls: {{certificate: {own}.pem, key: {own}.key}}"]
            if node in ("icscf", "scscf"):
                settings += ["diameter-tls: yes"]
            if node == "hss":
                settings += [f"tls-listen: '{self.host}:5658'"]
            lines.append(f"  {node}: {{{', '.join(settings)}}}")
        web = 8080 if "hss" in here else 8081
        (self.folder / name).write_text(
            "network: {mcc: '001', mnc: '01'}\nnodes:\n" + "\n".join(lines)
            + f"\nstore: {{path: '{self.folder}/store'}}\nweb: {{listen: '{self.host}:{web}'}}\n"
            + "tls: {trust: authority.pem}\nlog: info\n"
            + "subscribers: [smiths.yaml]\n")  # fmt: skip

    @contextlib.contextmanager
    def running(self, config):
        """A process for a while."""
        process = Process(self.folder, config)
        try:
            yield process
        finally:
            process.end()

    def ue(self, *arguments):
        """A terminal at the CSCFs' process."""
        return subprocess.run([MUSTER, "ue", *arguments, "-c", str(self.folder / "cscf.yaml")], capture_output=True,
                              text=True, timeout=60, check=False)

    def registers(self, seconds=0):
        """Does the terminal get in, if need be at the last attempt in so many seconds?"""
        deadline = time.monotonic() + seconds
        while True:
            done = self.ue("register", "alice")
            self.last = done.stdout + done.stderr
            if done.returncode == 0 or time.monotonic() > deadline:
                return done.returncode == 0
            time.sleep(0.2)

    def write_both(self, **options):
        """The usual two processes."""
        smiths = pathlib.Path(__file__).resolve().parents[2] / "config" / "smiths.yaml"
        (self.folder / "smiths.yaml").write_text(smiths.read_text())
        self.write("hss.yaml", ("hss",), **options)
        self.write("cscf.yaml", ("pcscf", "icscf", "scscf"), **options)

    def test_registration_with_cx_over_tls(self):
        self.write_both()
        with self.running("hss.yaml") as hss, self.running("cscf.yaml") as cscf:
            self.assertTrue(cscf.waits_for("ready"), cscf.said() + hss.said())
            self.assertTrue(self.registers(), self.last + cscf.said() + hss.said())
            ladder = subprocess.run([MUSTER, "trace", "--web", f"{self.host}:8080"], capture_output=True, text=True,
                                    check=False, timeout=20).stdout
            for what in ("UAR", "MAR", "SAR"):
                self.assertIn(what, ladder)
            with open("/proc/net/tcp", encoding="ascii") as table:  # established, to port 5658 and to 3868
                rows = [line.split() for line in table]
            place = "".join(f"{int(part):02X}" for part in reversed(self.host.split(".")))
            counts = [sum(row[2] == f"{place}:{port:04X}" and row[3] == "01" for row in rows) for port in (5658, 3868)]
            self.assertEqual([2, 0], counts)

    def test_the_certificate_of_somebody_else_gets_no_keys(self):
        self.write_both(icscf="pcscf")
        with self.running("hss.yaml") as hss, self.running("cscf.yaml") as cscf:
            self.assertTrue(hss.waits_for("why=\"the certificate is somebody else's\""), hss.said())
            self.assertTrue(hss.waits_for(f'diameter peer up peer="scscf.{DOMAIN}"'), hss.said())
            self.assertNotIn(f'diameter peer up peer="icscf.{DOMAIN}"', hss.said())
            self.assertNotIn("\nready", cscf.said())
            self.assertFalse(self.registers())
            self.assertRegex(self.last, r"\b[45]\d\d\b")

    def test_plain_diameter_is_refused_where_tls_is_agreed(self):
        self.write_both()
        text = (self.folder / "cscf.yaml").read_text().replace("diameter-tls: yes", "diameter-tls: no")
        (self.folder / "cscf.yaml").write_text(text)
        with self.running("hss.yaml") as hss, self.running("cscf.yaml") as cscf:
            self.assertTrue(hss.waits_for('why="this peer is served over TLS only"', times=2), hss.said())
            self.assertNotIn("\nready", cscf.said())

    def test_the_hss_may_stop_or_be_killed(self):
        self.write_both()
        hss = Process(self.folder, "hss.yaml")
        with self.running("cscf.yaml") as cscf:
            self.assertTrue(cscf.waits_for("\nready"), cscf.said() + hss.said())
            for life, how in ((2, signal.SIGTERM), (3, signal.SIGKILL)):
                hss.end(how)
                self.assertTrue(cscf.waits_for("diameter peer down", times=2 * (life - 1)), cscf.said())
                began = time.monotonic()
                self.assertFalse(self.registers())
                self.assertRegex(self.last, r"\b[45]\d\d\b")
                self.assertLess(time.monotonic() - began, 8)  # an answer, not a timeout
                hss = Process(self.folder, "hss.yaml")
                self.assertTrue(cscf.waits_for("diameter peer up", 35, times=2 * life), cscf.said())
                self.assertTrue(self.registers(5), self.last + cscf.said() + hss.said())
        hss.end()

    def test_what_is_wrong_with_a_key_is_said_with_its_line(self):
        self.write_both()
        for how, words in (
            (lambda: (self.folder / "hss.key").write_bytes((self.folder / "pcscf.key").read_bytes()),
             "is not the key of the certificate"),
            (lambda: (self.folder / "hss.key").unlink(), "No such file"),
        ):
            how()
            done = subprocess.run([MUSTER, "run", "-c", str(self.folder / "hss.yaml")], capture_output=True, text=True,
                                  timeout=20, check=False)
            self.assertNotEqual(0, done.returncode)
            self.assertRegex(done.stderr, r"hss\.yaml:6: key of TLS: .*hss\.key")
            self.assertIn(words, done.stderr)

    def test_a_key_for_everybody_to_read_is_warned_of(self):
        self.write_both()
        (self.folder / "hss.key").chmod(0o644)
        with self.running("hss.yaml") as hss:
            self.assertTrue(hss.waits_for("can be read by everybody"), hss.said())


if __name__ == "__main__":
    tap.main()
