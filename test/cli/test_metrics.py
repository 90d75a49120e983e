"""Prometheus metrics, health and readiness of a running network: promtool reads them (if Debian's prometheus is
installed), a strict reader of our own does, and they move as terminals register. $MUSTER is the program.
covers: A10"""

import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import time
import unittest
import urllib.error
import urllib.request

import tap

MUSTER = os.environ["MUSTER"]
HOST = "127.0.43.1"
CONFIG = f"""network: {{mcc: '001', mnc: '01'}}
nodes:
  pcscf: {{listen: '{HOST}:5060'}}
  icscf: {{listen: '{HOST}:4060'}}
  scscf: {{listen: '{HOST}:6060'}}
  hss: {{listen: '{HOST}:3868'}}
web: {{listen: '{HOST}:8080'}}
log: error
"""
SIM = ["--imsi", "001010000000001", "--k", "465b5ce8b199b49faa5f0a2ee238a6bc", "--opc",
       "cd63cb71954a9f4e48a5994e37a02baf"]
SAMPLE = re.compile(r'([a-zA-Z_:][a-zA-Z0-9_:]*)(\{[^{}]*\})? (-?[0-9.e+-]+|\+Inf|NaN)')
LABELS = re.compile(r'\{(?:[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*",?)+\}')


def read(text):
    """Samples by name and labels; each rule of the text format holds."""
    found, families, current = {}, {}, None
    assert text.endswith("\n")
    for line in text.splitlines():
        if line.startswith("# HELP "):
            current = line.split(" ", 3)[2]
            assert current not in families, f"{current} is there twice"
            families[current] = None
        elif line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert name == current and families[name] is None and kind in ("counter", "gauge", "histogram"), line
            assert (kind == "counter") == name.endswith("_total") or kind == "histogram", line
            families[name] = kind
        else:
            m = SAMPLE.fullmatch(line)
            assert m and (m[2] is None or LABELS.fullmatch(m[2])), line
            base = re.sub("_(bucket|sum|count)$", "", m[1]) if families[current] == "histogram" else m[1]
            assert base == current, f"{line} stands in {current}"
            assert (m[1], m[2]) not in found, f"twice: {line}"
            found[m[1], m[2]] = float(m[3])
    return found


class Metrics(unittest.TestCase):
    """One network for all cases."""

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix="muster-metrics-")
        cls.config = str(pathlib.Path(cls.folder.name, "home.yaml"))
        pathlib.Path(cls.config).write_text(
            CONFIG + f"store: {{kind: lmdb, path: '{cls.folder.name}/store'}}\n", encoding="utf-8")
        cls.core = subprocess.Popen([MUSTER, "run", "-c", cls.config], stdout=subprocess.PIPE, text=True)
        for line in cls.core.stdout:
            if line.strip() == "ready":
                break
        cls.muster("sub", "add", *SIM)

    @classmethod
    def tearDownClass(cls):
        cls.core.terminate()
        cls.core.stdout.close()
        status = cls.core.wait(20)
        cls.folder.cleanup()
        assert status == 0

    @classmethod
    def muster(cls, *arguments):
        done = subprocess.run([MUSTER, *arguments, "-c", cls.config], capture_output=True, text=True, timeout=60,
                              check=False)
        assert done.returncode == 0, done.stderr
        return done

    @staticmethod
    def get(path):
        try:
            with urllib.request.urlopen(f"http://{HOST}:8080{path}", timeout=10) as r:
                return r.status, r.headers["Content-Type"], r.read().decode()
        except urllib.error.HTTPError as e:
            return e.code, e.headers["Content-Type"], e.read().decode()

    def test_a_strict_reader_takes_all_of_it(self):
        status, kind, text = self.get("/metrics")
        self.assertEqual((200, "text/plain; version=0.0.4; charset=utf-8"), (status, kind))
        self.assertGreater(len(read(text)), 250)

    def test_promtool_takes_it(self):
        if not shutil.which("promtool"):
            self.skipTest("needs prometheus")
        done = subprocess.run(["promtool", "check", "metrics"], input=self.get("/metrics")[2], capture_output=True,
                              text=True, check=False)
        self.assertEqual((0, "", ""), (done.returncode, done.stdout, done.stderr))

    def test_they_move_as_a_terminal_registers(self):
        before = read(self.get("/metrics")[2])
        self.muster("ue", "register", *SIM)
        after = read(self.get("/metrics")[2])

        def moved(name, labels=None):
            return after[name, labels] - before[name, labels]

        self.assertEqual(2, moved("muster_pcscf_registers_total", '{node="pcscf"}'))
        self.assertEqual(1, moved("muster_scscf_contacts", '{node="scscf"}'))
        self.assertEqual(1, moved("muster_reasons_total", '{reason="response-right-unprotected"}'))
        for command, count in (("UAR", 2), ("MAR", 1), ("SAR", 1)):
            labels = f'{{node="hss",procedure="{command}"}}'
            self.assertEqual(count, moved("muster_procedure_seconds_count", labels))
        infinity = '{node="pcscf",procedure="REGISTER",le="+Inf"}'
        self.assertEqual(2, moved("muster_procedure_seconds_bucket", infinity))
        self.assertGreaterEqual(moved("muster_store_commit_seconds_count"), 1)
        self.assertGreater(after["process_resident_memory_bytes", None], 1 << 20)

    def test_health_and_readiness(self):
        status, _, text = self.get("/health")
        self.assertEqual(200, status)
        health = json.loads(text)
        self.assertEqual("alive", health["status"])
        self.assertEqual(4, len(health["listens"]))
        status, _, text = self.get("/ready")
        self.assertEqual(200, status)
        self.assertEqual({"draining": False, "nodes": dict.fromkeys(("pcscf", "icscf", "scscf", "hss"), True)},
                         json.loads(text))


class Forgetful(unittest.TestCase):
    """A process with --memory, whatever its configuration says of a store."""

    def test_metrics_leave_out_the_store_that_is_not_there(self):
        with tempfile.TemporaryDirectory(prefix="muster-metrics-") as folder:
            config = pathlib.Path(folder, "home.yaml")
            config.write_text(CONFIG.replace("127.0.43.1", "127.0.43.3"), encoding="utf-8")
            with subprocess.Popen([MUSTER, "run", "-c", str(config), "--memory"], stdout=subprocess.PIPE, text=True) as core:
                try:
                    for line in core.stdout:
                        if line.strip() == "ready":
                            break
                    with urllib.request.urlopen("http://127.0.43.3:8080/metrics", timeout=10) as r:
                        self.assertFalse("muster_store_bytes" in r.read().decode())
                finally:
                    core.terminate()
                    self.assertEqual(0, core.wait(20))


class NotReady(unittest.TestCase):
    """A process whose HSS does not run."""

    def test_a_network_without_its_hss_is_not_ready(self):
        with tempfile.TemporaryDirectory(prefix="muster-metrics-") as folder:
            config = pathlib.Path(folder, "home.yaml")
            text = CONFIG.replace("127.0.43.1", "127.0.43.2")
            config.write_text(text.replace(":3868'", ":3868', remote: yes"), encoding="utf-8")
            with subprocess.Popen([MUSTER, "run", "-c", str(config)], stdout=subprocess.DEVNULL) as core:
                try:
                    for _ in range(200):
                        try:
                            urllib.request.urlopen("http://127.0.43.2:8080/ready", timeout=5)
                            self.fail("ready without its HSS")
                        except urllib.error.HTTPError as e:
                            self.assertEqual(503, e.code)
                            nodes = json.loads(e.read())["nodes"]
                            self.assertEqual((True, False, False), (nodes["pcscf"], nodes["icscf"], nodes["scscf"]))
                            break
                        except urllib.error.URLError:
                            time.sleep(0.05)
                    else:
                        self.fail("the web interface does not answer")
                finally:
                    core.terminate()
                    self.assertEqual(0, core.wait(20))


if __name__ == "__main__":
    tap.main()
