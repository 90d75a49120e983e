"""SIP over TLS: a terminal to its P-CSCF, and between CSCFs of two processes; certificates of others are refused. $MUSTER is
the program.

covers: A4 A6"""

import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "interop"))

import certificates  # noqa: E402
import tap  # noqa: E402

MUSTER = os.environ["MUSTER"]
DOMAIN = "ims.mnc001.mcc001.3gppnetwork.org"
HOST = "127.0.47"


class Tls(unittest.TestCase):
    """One authority; a network, in one process or two, for each case."""

    number = 0

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="muster-tls-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        Tls.number += 1
        self.host = f"{HOST}.{Tls.number}"
        authority = certificates.Authority(self.folder)
        for name in ("pcscf", "icscf", "scscf"):
            # whoever looks for the domain comes to the I-CSCF, and wants to see that name (RFC 5922 7.3)
            authority.issue(name, f"{name}.{DOMAIN}" + (f",DNS:{DOMAIN}" if name == "icscf" else ""))

    def write(self, name, here, extra=None):
        """A configuration with these nodes here and the others remote; CSCFs speak TLS only to each other."""
        ports = {"pcscf": 5060, "icscf": 4060, "scscf": 6060, "hss": 3868}
        nodes = ""
        for node, port in ports.items():
            settings = [f"listen: '{self.host}:{port}'", f"remote: {'no' if node in here else 'yes'}"]
            if node != "hss":
                cert = (extra or {}).get(node, node)
                settings += [f"tls: {{certificate: {cert}.pem, key: {cert}.key}}",
                             "transports: [udp, tcp, tls]" if node == "pcscf" else "transports: [tls]"]
            nodes += f"  {node}: {{{', '.join(settings)}}}\n"
        (self.folder / name).write_text(
            f"network: {{mcc: '001', mnc: '01'}}\nnodes:\n{nodes}store: {{kind: memory}}\ntls: {{trust: authority.pem}}\n"
            f"web: {{listen: '{self.host}:{8080 + len(here)}'}}\nlog: info\nsubscribers: [sims.yaml]\n")
        (self.folder / "sims.yaml").write_text(
            "sims:\n  - {imsi: '001010000000001', k: 8baf473f2f8fd09487cccbd7097c6862, "
            "opc: cdc202d5123e20f62b6d676ac72cb318}\n")

    def start(self, name):
        log = open(self.folder / f"{name}.log", "w+", encoding="utf-8")
        self.addCleanup(log.close)
        core = subprocess.Popen([MUSTER, "run", "-c", str(self.folder / name)], stdout=subprocess.PIPE, stderr=log,
                                text=True)
        self.addCleanup(core.stdout.close)
        self.addCleanup(self.stop, core)
        return core

    def stop(self, core):
        core.terminate()
        try:
            self.assertEqual(0, core.wait(20))
        finally:
            core.kill()
            core.wait()

    @staticmethod
    def wait_until_ready(core):
        said = ""
        for line in core.stdout:
            if line.strip() == "ready":
                return said
            said += line
        raise AssertionError("the core does not start")

    def register(self, transport, *more, code=0):
        done = subprocess.run(
            [MUSTER, "ue", "register", "-c", str(self.folder / "home.yaml"), "--imsi", "001010000000001", "--k",
             "8baf473f2f8fd09487cccbd7097c6862", "--opc", "cdc202d5123e20f62b6d676ac72cb318", "--transport", transport,
             "--timeout", "15", *more], capture_output=True, text=True, timeout=60, check=False)
        logs = "".join(p.read_text() for p in self.folder.glob("*.log"))
        self.assertEqual(code, done.returncode, done.stdout + done.stderr + logs)
        return done.stdout + done.stderr

    def test_a_terminal_registers_over_tls(self):
        self.write("home.yaml", ("pcscf", "icscf", "scscf", "hss"))
        said = self.wait_until_ready(self.start("home.yaml"))
        self.assertRegex(said, rf"(?m)^ +{self.host}:5061 +SIP over TLS$")
        self.assertIn(";transport=tls", self.register("tls"))
        self.register("tcp")

    def test_a_pcscf_with_the_certificate_of_somebody_else_is_not_ours(self):
        self.write("home.yaml", ("pcscf", "icscf", "scscf", "hss"), {"pcscf": "icscf"})
        self.wait_until_ready(self.start("home.yaml"))
        self.assertIn("wrong-name", self.register("tls", code=4))
        self.register("udp")

    def test_cscfs_of_two_processes_speak_tls(self):
        self.write("home.yaml", ("pcscf",))
        self.write("core.yaml", ("icscf", "scscf", "hss"))
        cores = self.start("core.yaml"), self.start("home.yaml")
        for core in cores:
            self.wait_until_ready(core)
        self.register("udp")

    def test_an_icscf_with_the_certificate_of_somebody_else_gets_nothing(self):
        self.write("home.yaml", ("pcscf",))
        self.write("core.yaml", ("icscf", "scscf", "hss"), {"icscf": "scscf"})
        cores = self.start("core.yaml"), self.start("home.yaml")
        for core in cores:
            self.wait_until_ready(core)
        self.assertIn("504", self.register("udp", code=1))


if __name__ == "__main__":
    tap.main()
