"""muster doctor: finds what is wrong with a set-up before it is started, and says what to mend. $MUSTER is the
program. covers: A5"""

import json
import os
import pathlib
import socket
import subprocess
import tempfile
import unittest

import tap

MUSTER = os.environ["MUSTER"]
HOST = "127.0.45.1"


class Doctor(unittest.TestCase):
    """A configuration for each case."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="muster-doctor-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def doctor(self, text, code=0):
        """The findings, as level and what."""
        file = self.folder / "home.yaml"
        file.write_text(text, encoding="utf-8")
        done = subprocess.run([MUSTER, "doctor", "-c", str(file), "--json"], capture_output=True, text=True, timeout=60,
                              check=False)
        self.assertEqual(code, done.returncode, done.stdout + done.stderr)
        return json.loads(done.stdout) if done.stdout else done.stderr

    def config(self, network="mcc: '001', mnc: '01'", pcscf="", store="", more=""):
        return (f"network: {{{network}}}\nnodes:\n  pcscf: {{listen: '{HOST}:5060'{pcscf}}}\n"
                f"  icscf: {{listen: '{HOST}:4060'}}\n  scscf: {{listen: '{HOST}:6060'}}\n"
                f"  hss: {{listen: '{HOST}:3868'}}\nstore: {{{store or f'path: {self.folder}/store'}}}\n"
                f"web: {{listen: '{HOST}:8080'}}\n{more}")

    def assert_finding(self, findings, level, part):
        for f in findings:
            if f["level"] == level and part in f["what"]:
                return f
        self.fail(f"no {level} with {part!r} in {json.dumps(findings, indent=1)}")

    def test_a_good_one_has_no_error(self):
        findings = self.doctor(self.config())
        self.assertNotIn("error", {f["level"] for f in findings})
        self.assert_finding(findings, "ok", "home domain and realm are")
        self.assert_finding(findings, "ok", "pcscf can listen on 127.0.45.1:5060 (SIP over UDP)")
        self.assert_finding(findings, "ok", "a flush takes")

    def test_a_port_that_somebody_has(self):
        with socket.socket(type=socket.SOCK_DGRAM) as s:
            s.bind((HOST, 5060))
            f = self.assert_finding(self.doctor(self.config(), 1), "error", "pcscf cannot listen on 127.0.45.1:5060")
        self.assertIn("home.yaml:3", f["where"])
        self.assertIn("ss -lnp", f["mend"])

    def test_an_address_of_another_machine(self):
        text = self.config().replace(f"{HOST}:6060", "192.0.2.1:6060")
        self.assertIn("ip address", self.assert_finding(self.doctor(text, 1), "error", "scscf cannot listen")["mend"])

    def test_a_running_one_is_no_error(self):
        file = self.folder / "home.yaml"
        file.write_text(self.config(), encoding="utf-8")
        with subprocess.Popen([MUSTER, "run", "-c", str(file)], stdout=subprocess.PIPE, text=True) as core:
            for line in core.stdout:
                if line.strip() == "ready":
                    break
            findings = self.doctor(self.config())
            core.terminate()
        self.assert_finding(findings, "ok", "hss listens on 127.0.45.1:3868 (Diameter): it runs")

    def test_a_peer_that_is_believed_by_its_name_alone(self):
        hss = "{listen: '%s:3868', peers: {as.example.com: as, scscf2.example.com: %s}}"
        text = self.config().replace(f"{{listen: '{HOST}:3868'}}", hss)
        text = text.replace(f"icscf: {{listen: '{HOST}:4060'", f"icscf: {{remote: yes, listen: '{HOST}:4060'")
        findings = self.doctor(text % ("192.0.2.1", "{role: scscf, address: 192.0.2.2}"), 1)
        named = [f["what"].split(" he is ")[1] for f in findings if " he is " in f["what"]]
        self.assertEqual(["icscf.ims.mnc001.mcc001.3gppnetwork.org", "as.example.com"], named)
        findings = self.doctor(text % ("192.0.2.1", "scscf"), 1)
        self.assert_finding(findings, "warning", "is scscf2.example.com, and gets authentication vectors")
        self.assertNotIn(" he is ", json.dumps(self.doctor(text % (HOST, "scscf"))))

    def test_a_store_that_forgets_and_one_that_cannot_be(self):
        self.assert_finding(self.doctor(self.config(store="kind: memory")), "warning", "forgets its subscribers")
        self.assert_finding(self.doctor(self.config(store="path: /proc/nowhere"), 1), "error", "nothing can be written")

    def test_a_domain_that_cards_do_not_find(self):
        text = self.config(network="mcc: '001', mnc: '01', domain: ims.example.org")
        self.assert_finding(self.doctor(text), "note", "the home domain is ims.example.org")

    def test_a_dns_that_does_not_answer(self):
        text = self.config(more="dns: {servers: ['127.0.45.9:53'], timeout-ms: 100, attempts: 1}\n")
        f = self.assert_finding(self.doctor(text, 1), "error", "no DNS server answers about")
        self.assertIn("asked: 127.0.45.9:53", f["what"])

    def test_a_key_that_everybody_knows(self):
        (self.folder / "subscribers.yaml").write_text(
            "sims:\n  - {imsi: '001010000000001', k: 465b5ce8b199b49faa5f0a2ee238a6bc, "
            "opc: cd63cb71954a9f4e48a5994e37a02baf}\n", encoding="utf-8")
        findings = self.doctor(self.config(more="subscribers: [subscribers.yaml]\n"))
        self.assert_finding(findings, "warning", "stands in a standard")
        self.assertNotIn("465b5ce8", json.dumps(findings))

    def test_a_file_of_subscribers_that_run_refuses(self):
        file = self.folder / "subscribers.yaml"
        for text, where, part in ((f"- {{imsi: '001010000000001', k: '0123', opc: '{32 * '0'}'}}\n", 1, "32 hexadecimal"),
                                  ("subscriptions:\n  - [x\n", 3, "not YAML")):
            file.write_text(text, encoding="utf-8")
            f = self.assert_finding(self.doctor(self.config(more="subscribers: [subscribers.yaml]\n"), 1), "error", part)
            self.assertEqual(f"{file}:{where}", f["where"])

    def test_a_node_elsewhere_that_is_not_there(self):
        text = self.config().replace(f"hss: {{listen: '{HOST}:3868'", f"hss: {{remote: yes, listen: '{HOST}:3868'")
        self.assert_finding(self.doctor(text), "warning", f"hss, in another process, takes no connection at {HOST}:3868")

    def test_an_hss_elsewhere_must_know_us(self):
        text = self.config().replace(f"hss: {{listen: '{HOST}:3868'}}", f"hss: {{listen: '{HOST}:3868', remote: yes}}")
        self.assert_finding(self.doctor(text), "note", "must know scscf as a peer: scscf.ims.mnc001.mcc001")

    def test_an_agent_that_is_not_there(self):
        with socket.socket() as there:
            there.bind((HOST, 0))
            there.listen()
            port = there.getsockname()[1]
            text = self.config().replace(
                f"scscf: {{listen: '{HOST}:6060'}}",
                f"scscf:\n    listen: '{HOST}:6060'\n    diameter-agents:\n"
                f"      dra-1.example.org: '{HOST}:{port}'\n      dra-2.example.org: '{HOST}:1'").replace(
                f"hss: {{listen: '{HOST}:3868'}}", f"hss: {{listen: '{HOST}:3868', peers: {{dra-1.example.org: agent}}}}")
            findings = self.doctor(text)
        self.assert_finding(findings, "ok", f"the agent dra-1.example.org of scscf takes connections at {HOST}:{port}")
        f = self.assert_finding(findings, "warning",
                                f"the agent dra-2.example.org of scscf takes no connection at {HOST}:1: Connection refused")
        self.assertIn("home.yaml:9", f["where"])

    def test_a_wrong_file_is_the_readers(self):
        self.assertIn("home.yaml:1", self.doctor("network: {mcc: 'x'}\n", 3))


if __name__ == "__main__":
    tap.main()
