"""muster bench: its numbers have the names that are promised, and it leaves nothing behind.
$MUSTER is the program. covers: A10 A11"""

import json
import os
import signal
import subprocess
import tempfile
import time
import unittest

import tap

MUSTER = os.environ["MUSTER"]
OK, USAGE, SYSTEM = 0, 2, 5
SHORT = ["--users", "20", "--seconds", "1", "--warm-up", "0"]
MEMBERS = {"reg_event", 
    "offered_per_s",
    "done_per_s",
    "failed",
    "p50_ms",
    "p99_ms",
    "core_rss_bytes",
    "users",
    "nodes_per_process",
    "store",
    "commit",
    "version",
}


class Bench(unittest.TestCase):
    """Each run has a folder of its own for what it leaves, which must be nothing."""

    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.environment = os.environ | {"TMPDIR": self.folder.name}

    def bench(self, *arguments, code=OK):
        done = subprocess.run(
            [MUSTER, "bench", *arguments],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            env=self.environment,
        )
        self.assertEqual(code, done.returncode, done.stderr + done.stdout)
        self.assertEqual([], os.listdir(self.folder.name))
        return done

    def numbers(self, unit, *arguments):
        found = json.loads(self.bench(*arguments, *SHORT, "--json").stdout)
        cpu = f"core_cpu_us_per_{unit}"
        self.assertEqual(MEMBERS | {cpu}, set(found))
        self.assertGreater(found["done_per_s"], 0)
        self.assertEqual(0, found["failed"])
        self.assertGreater(found[cpu], 0)
        self.assertGreaterEqual(found["p99_ms"], found["p50_ms"])
        self.assertGreater(found["core_rss_bytes"], 1 << 20)
        self.assertEqual(20, found["users"])
        return found

    def test_registrations_are_measured(self):
        found = self.numbers("registration", "registration")
        self.assertEqual(
            (4, "lmdb", "flushed"), (found["nodes_per_process"], found["store"], found["commit"])
        )

    def test_reregistrations_are_measured_without_a_disk(self):
        found = self.numbers("registration", "reregistration", "--memory")
        self.assertEqual(("memory", "none"), (found["store"], found["commit"]))

    def test_cx_is_measured(self):
        self.assertEqual(1, self.numbers("request", "cx")["nodes_per_process"])

    def test_each_node_may_have_a_process(self):
        self.assertEqual(
            1, self.numbers("registration", "registration", "--split")["nodes_per_process"]
        )

    def test_an_offered_rate_is_kept(self):
        found = self.numbers("registration", "registration", "--rate", "50")
        self.assertAlmostEqual(50, found["offered_per_s"], delta=10)

    def test_a_core_that_somebody_else_started_is_measured(self):
        at = {name: f"127.0.41.1:{port}" for name, port in (("pcscf", 5060), ("web", 8080))}
        config = os.path.join(self.folder.name, "home.yaml")
        with open(config, "w", encoding="utf-8") as f:
            f.write(
                "network: {mcc: '001', mnc: '01'}\nstore: {kind: memory}\nnodes:\n"
                f"  pcscf: {{listen: '{at['pcscf']}'}}\n  icscf: {{listen: '127.0.41.1:4060'}}\n"
                "  scscf: {listen: '127.0.41.1:6060'}\n  hss: {listen: '127.0.41.1:3868'}\n"
                f"web: {{listen: '{at['web']}'}}\n"
            )
        with subprocess.Popen([MUSTER, "run", "-c", config], stdout=subprocess.DEVNULL) as core:
            done = subprocess.run(
                [MUSTER, "bench", "registration", *SHORT, "--json", "--pcscf", at["pcscf"],
                 "--web", at["web"], "--pids", str(core.pid)],
                stdout=subprocess.PIPE, text=True, timeout=60, check=False,
            )  # fmt: skip
            self.assertIsNone(core.poll())
            core.terminate()
        os.remove(config)
        found = json.loads(done.stdout)
        self.assertGreater(found["done_per_s"], 0)
        self.assertGreater(found["core_cpu_us_per_registration"], 0)
        self.assertEqual("theirs", found["store"])

    def test_text_is_for_people(self):
        text = self.bench("cx", *SHORT).stdout
        self.assertEqual(2, text.count("us of CPU for each request"), text)
        self.assertIn("1 outstanding", text)

    def test_an_interruption_leaves_nothing_behind(self):
        for after_s in (0.3, 2):
            process = subprocess.Popen(
                [MUSTER, "bench", "registration", "--seconds", "60"], env=self.environment
            )
            time.sleep(after_s)
            process.send_signal(signal.SIGINT)
            self.assertEqual(SYSTEM, process.wait(timeout=30))
            self.assertEqual([], os.listdir(self.folder.name))

    def test_nonsense_is_refused(self):
        for arguments, text in (
            (["registratoin"], 'did you mean "registration"?'),
            (["--json"], "--json needs a NAME"),
            (["cx", "--rate", "5"], "--rate is for"),
            (["cx", "--users", "0"], "at least 1"),
            (["registration", "--pcscf", "127.0.0.1:5060"], "go together"),
        ):
            self.assertIn(text, self.bench(*arguments, code=USAGE).stderr)


if __name__ == "__main__":
    tap.main()
