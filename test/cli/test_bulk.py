"""muster sub import and export: files of any length and shape, good ones and bad ones.
$MUSTER is the program.

covers: B6"""

import contextlib
import csv
import json
import os
import pathlib
import pty
import random
import signal
import subprocess
import tempfile
import time
import unittest
import urllib.request

import tap

MUSTER = os.environ["MUSTER"]
DOMAIN = "ims.mnc001.mcc001.3gppnetwork.org"
HOST = f"127.3.{os.getpid() % 200 + 20}.{os.getpid() // 200 % 250 + 1}"  # of this run alone
OTHER = f"127.4.{os.getpid() % 200 + 20}.{os.getpid() // 200 % 250 + 1}"
K, OPC = "465b5ce8b199b49faa5f0a2ee238a6bc", "cd63cb71954a9f4e48a5994e37a02baf"


def sim(n, **more):
    """A card as a line of NDJSON."""
    return json.dumps(
        {"imsi": f"00101{n:010d}", "msisdn": f"4477{n:08d}", "k": K, "opc": OPC, **more}, separators=(",", ":")
    )


class Bulk(unittest.TestCase):
    """Each test has an HSS of its own, which may forget."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.host = HOST

    @contextlib.contextmanager
    def hss(self, host=HOST, settings="", options=("--memory",)):
        """Runs an HSS until the block ends."""
        config = self.folder / f"{host}.yaml"
        nodes = [f"  {n}: {{listen: '{host}', remote: yes}}" for n in ("pcscf", "icscf", "scscf")]
        config.write_text(
            "network: {mcc: '001', mnc: '01'}\nnodes:\n" + "\n".join(nodes)
            + f"\n  hss: {{listen: '{host}:3868'{settings}}}\n"
            + f"store: {{path: '{self.folder}/store-{host}'}}\nweb: {{listen: '{host}:8080'}}\n"
        )  # fmt: skip
        log = self.folder / f"{host}.log"
        with log.open("w") as err, subprocess.Popen(
            [MUSTER, "run", "-c", str(config), *options], stdout=subprocess.PIPE, stderr=err, text=True
        ) as process:  # fmt: skip
            try:
                for line in process.stdout:
                    if line == "ready\n":
                        break
                else:
                    self.fail(log.read_text())
                yield process
            finally:
                if process.poll() is None:
                    process.send_signal(signal.SIGTERM)
                process.stdout.read()
                process.wait(30)
                self.assertNotIn("Sanitizer", log.read_text())

    def sub(self, *arguments, host=HOST, code=0, **options):
        """muster sub ...: what it prints."""
        done = subprocess.run(
            [MUSTER, "sub", *map(str, arguments), "--web", f"{host}:8080"],
            capture_output=True, timeout=90, check=False, cwd=self.folder, **options,
        )  # fmt: skip
        self.assertEqual(code, done.returncode, done.stdout + done.stderr)
        return done.stdout.decode(), done.stderr.decode()

    def file(self, name, content):
        """A file with this text or these bytes."""
        path = self.folder / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def total(self):
        """How many the HSS counts."""
        with urllib.request.urlopen(f"http://{HOST}:8080/subscriptions?limit=1", timeout=30) as answer:
            return json.load(answer)["total"]

    def count(self, host=HOST):
        """How many subscriptions there are."""
        return self.sub("export", host=host)[0].count('"impis"')

    def test_one_fault_and_nothing_is_added(self):
        lines = [sim(n) for n in range(50)]
        lines[20] = lines[20].replace(K, "zz")
        lines[30] = sim(3)
        file = self.file("sims.ndjson", "\n".join(lines))
        with self.hss():
            _, err = self.sub("import", file, code=3)
            self.assertIn("sims.ndjson:21: /k: ", err)
            self.assertIn("sims.ndjson:31: /name: line 4 has 001010000000003, too", err)
            self.assertIn("nothing was added", err)
            self.assertNotIn(OPC, err)
            self.assertEqual(0, self.count())
            out, err = self.sub("import", file, "--dry-run", code=3)
            self.assertIn("would add 48, would refuse 2 of 50", out)
            self.assertEqual(0, self.count())

    def test_line_by_line_what_is_right_is_added(self):
        good = [sim(n) for n in range(9)]
        bad = {
            "no json": b'{"imsi": ',
            "a key beside the fault": f'{{"imsi": "001010000000077" "{K}"}}'.encode(),
            "no object": b"[1]",
            "unknown member": sim(50, colour="red").encode(),
            "twice the same": good[2].encode(),
            "taken before": sim(99).encode(),
            "a key with 31 digits": sim(51).replace(K, K[1:]).encode(),
            "no profile of this name": sim(52, profile="gold").encode(),
            "NUL": sim(53).encode().replace(b"00101", b"00\x0001", 1),
            "not UTF-8": sim(54, display_name="x").encode().replace(b'"x"', b'"\xff\xfe"'),
            "much too long": b'{"imsi":"' + b"1" * (9 << 20) + b'"}',
            "deep": b"[" * 5000,
        }
        lines = [line for pair in zip((g.encode() for g in good), bad.values()) for line in pair]
        lines += list(bad.values())[len(good) :]
        file = self.file("mixed.ndjson", b"\xef\xbb\xbf" + b"\r\n".join(lines))
        with self.hss():
            self.sub("import", self.file("old.ndjson", sim(99)))
            out, err = self.sub("import", file, "--per-line", "--rejects", "wrong.ndjson", code=3)
            self.assertIn(f"added {len(good)}, refused {len(bad)}", out)
            self.assertEqual(len(good) + 1, self.count())
            self.assertNotIn(K, err)
            rejects = [json.loads(line) for line in (self.folder / "wrong.ndjson").read_text(errors="replace").splitlines()]
            self.assertEqual(len(bad), len(rejects))
            self.assertEqual(0o600, (self.folder / "wrong.ndjson").stat().st_mode & 0o777)
            for reject in rejects:
                line = lines[reject["line"] - 1]
                self.assertIn(line, bad.values())
                if len(line) < 1000:
                    self.assertEqual(line.decode(errors="replace"), reject["text"].rstrip("\r"))
                self.assertTrue(reject["reason"])
            mended = [r["text"] for r in rejects if "31" not in r["reason"] and K[1:] in r["text"] and K not in r["text"]]
            self.sub("import", self.file("mended.ndjson", mended[0].replace(K[1:], K)))
            self.assertEqual(len(good) + 2, self.count())

    def test_csv_with_all_its_quoting(self):
        rows = [
            ["imsi", "msisdn", "k", "OPC", "name", "display_name", "impi", "impus", "barred", "password", "impis"],
            ["001010000000001", "447700900001", K, OPC, "", 'Alice "the first", Smith', "", "", "", "", ""],
            ["", "", K, OPC, "bob", "Bob", "bob@{domain}", "sip:bob@{domain} tel:+1234", "tel:+1234", "", ""],
            ["", "", "", "", "carol", "", "", '[{"identity":"sip:c@{domain}","default":true}]', "", "",
             json.dumps([{"identity": "c@{domain}", "password": "p"}, {"identity": "d@{domain}", "k": K, "opc": OPC}], indent=1)],
        ]  # fmt: skip
        path = self.folder / "all.csv"
        with path.open("w", newline="") as f:
            csv.writer(f).writerows(rows)
        with self.hss():
            self.assertIn("added 3 in", self.sub("import", path)[0])
            shown = json.loads(self.sub("show", f"bob@{DOMAIN}", "--json")[0])
            self.assertEqual([True, False], [i["default"] for i in shown["impus"]])
            self.assertEqual([False, True], [i["barred"] for i in shown["impus"]])
            shown = json.loads(self.sub("show", "001010000000001", "--json")[0])
            self.assertEqual(3, len(shown["impus"]))

    def test_faults_of_csv_name_the_column(self):
        with self.hss():
            for content, said in (
                ("", "x.csv:1: it is empty"),
                ("imsi,colour\n", "x.csv:1: column colour: there is no column of this name; the first line names"),
                ("imsi,k,k\n", "x.csv:1: column k: named twice"),
                ("k,opc\n", "x.csv:1: the first line names the columns, among them imsi"),
                (f"001010000000001,{K}\n", "x.csv:1: column 1: there is no column"),
                (f"imsi,k,opc\n1,{K},{OPC},\n", "x.csv:2: there are 4 cells, and the first line names 3"),
                (f'imsi,k,opc\n"1"x,{K},{OPC}\n', "x.csv:2: a quote stands where none may"),
                (f'imsi,k,opc\n"1,{K},{OPC}\n', "x.csv:2: a quote stands where none may"),
                (f"imsi,k,opc\n001010000000001,zz,{OPC}\n", "x.csv:2: column k: "),
                (f"imsi,k,opc\n\n\n00101,{K},{OPC}\n", "x.csv:4: column imsi: "),
                (f"imsi,impi,k,opc\n1,a@b,{K},{OPC}\n", "x.csv:2: column impi: a row with imsi"),
                ("impi,impus\na@b,[1,zz\n", "x.csv:2: there are 3 cells"),
                ('impi,impus\na@b,"[1,zz"\n', "x.csv:2: column impus: this is no JSON"),
                ("imsi,k\n,\n", "x.csv:2: one of imsi, user, impi and impis needs a value"),
            ):
                with self.subTest(content):
                    _, err = self.sub("import", self.file("x.csv", content), code=3)
                    self.assertIn(said, err)
                    self.assertNotIn(K, err)

    def test_what_is_exported_is_imported_again_as_it_was(self):
        """Random subscriptions of many shapes, through both formats."""
        seed = random.randrange(1 << 32)
        r = random.Random(seed)
        file = self.file("all.ndjson", "".join(json.dumps(self.random_subscription(r, n)) + "\n" for n in range(60)))
        leave = ", keys-may-leave: yes"
        with self.hss(settings=leave):
            profile = {"profile": {"name": "gold", "service_ids": ["a"]}}
            self.sub("import", self.file("first.ndjson", json.dumps(profile) + "\n" + file.read_text()))
            self.sub("import", "smiths.yaml")
            self.sub("export", "--with-secrets", "-o", "one.ndjson")
            self.sub("export", "--with-secrets", "-o", "one.csv")
            self.assertEqual(0o600, (self.folder / "one.csv").stat().st_mode & 0o777)
        one = (self.folder / "one.ndjson").read_text()
        self.assertIn(K, one)
        profiles = [line for line in one.splitlines() if line.startswith('{"profile"')]
        self.assertEqual(6, len(profiles))
        for name in ("one.ndjson", "one.csv"):
            with self.hss(settings=leave):
                if name == "one.csv":
                    self.sub("import", self.file("profiles.ndjson", "\n".join(profiles)))
                self.assertIn("added 61 in", self.sub("import", name)[0], f"seed {seed}")
                self.assertEqual(one, self.sub("export", "--with-secrets")[0], f"{name}, seed {seed}")

    def random_subscription(self, r, n):
        """A subscription that is right, of any shape."""
        impis = [f"u{n}.{i}@{DOMAIN}" for i in range(r.choice([1, 1, 1, 2, 3]))]
        credentials = [{"k": K, "opc": OPC, "amf": "8001"}, {"password": f"p{n}\u00e9"}, {"ha1_md5": "0" * 32}, {}]
        sets = range(1, r.choice([1, 1, 1, 3]) + 1)
        impus = []
        for s in sets:
            owner = r.choice([*impis, None])
            for i in range(r.randint(1, 3)):
                impu = {"identity": f"sip:s{s}i{i}n{n}@{DOMAIN}", "set": s, "default": i == 0}
                impu |= {"impi": owner} if owner else {}
                impu |= {"barred": True} if i and r.random() < 0.5 else {}
                impu |= {"profile": r.choice(["default", "gold"])}
                impu |= {"display_name": r.choice(["Al, \u00fc", "Bo"])} if r.random() < 0.3 else {}
                impu |= {"visited_networks": [f"v{i}.example"]} if r.random() < 0.1 else {}
                impus.append(impu)
        s = {"name": f"name-{n}", "impis": [{"identity": i} | r.choice(credentials) for i in impis], "impus": impus}
        s |= {"capabilities": {"mandatory": [n], "servers": ["sip:s.example.org"]}} if r.random() < 0.2 else {}
        s |= {"charging": {"primary_ccf": "aaa://c.example.org"}} if r.random() < 0.2 else {}
        return s

    def test_secrets_leave_only_where_they_may(self):
        with self.hss():
            self.sub("import", self.file("a.ndjson", sim(1) + '\n{"user":"bob","password":"x"}\n'))
            out, _ = self.sub("export")
            self.assertNotIn(K, out)
            self.assertNotIn("ha1", out)
            _, err = self.sub("export", "--with-secrets", code=1)
            self.assertIn("keys-may-leave: yes", err)
            self.assertIn("ha1_md5", self.sub("export", "--credentials")[0])
        with self.hss(settings=", keys-may-leave: yes"):
            main, terminal = pty.openpty()
            done = subprocess.run(
                [MUSTER, "sub", "export", "--with-secrets", "--web", f"{HOST}:8080"],
                stdout=terminal, stderr=subprocess.PIPE, timeout=30, check=False,
            )  # fmt: skip
            os.close(terminal)
            os.close(main)
            self.assertEqual(2, done.returncode)
            self.assertIn(b"not written to a terminal", done.stderr)

    def test_after_kill_9_the_rest_is_added_and_nothing_twice(self):
        n = 30000
        lines = [sim(i) for i in range(n)]
        lines[7] = lines[7].replace(K, "")
        file = self.file("many.ndjson", "\n".join(lines))
        with self.hss(options=()) as process:
            command = [MUSTER, "sub", "import", "--per-line", "--web", f"{HOST}:8080", str(file)]
            with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as importing:
                deadline = time.monotonic() + 60
                while self.total() == 0 and time.monotonic() < deadline:
                    time.sleep(0.01)
                process.kill()
                importing.kill()
                process.wait()
        with self.hss(options=()) as process:
            there = self.count()
            self.assertLess(0, there)
            self.assertLess(there, n - 1)
            out, _ = self.sub("import", "--per-line", "--resume", file, code=3)
            self.assertIn(f"of the whole file: added {n - 1} of {n}", out)
            self.assertEqual(n - 1, self.count())
            self.assertIn("added 0 in", self.sub("import", "--per-line", "--resume", file, code=3)[0])
            file.write_text(file.read_text().replace("msisdn", "MSISDN", 1))
            self.assertIn("is not the file", self.sub("import", "--per-line", "--resume", file, code=3)[1])

    def test_standard_input_and_a_bar_on_a_terminal(self):
        with self.hss():
            text = "".join(sim(n) + "\n" for n in range(3))
            self.assertEqual("", self.sub("import", "-", input=text.encode())[1])
            self.assertIn("added 1 in", self.sub("import", "-", "--format", "csv", input=f"imsi,k,opc\n001019999999999,{K},{OPC}\n".encode())[0])
            self.assertEqual(4, self.count())
            main, terminal = pty.openpty()
            file = self.file("more.ndjson", "".join(sim(n) + "\n" for n in range(10, 13)))
            subprocess.run(
                [MUSTER, "sub", "import", str(file), "--web", f"{HOST}:8080"],
                stdout=subprocess.DEVNULL, stderr=terminal, timeout=30, check=True,
            )  # fmt: skip
            shown = os.read(main, 4096)
            os.close(terminal)
            os.close(main)
            self.assertIn(b"more.ndjson [####", shown)
            self.assertTrue(shown.endswith(b"\r\x1b[K"))

    def test_ten_thousand_in_moments(self):
        file = self.file("many.ndjson", "".join(sim(n) + "\n" for n in range(10000)))
        with self.hss(options=()):
            began = time.monotonic()
            self.assertIn("added 10000 in", self.sub("import", file)[0])
            self.assertLess(time.monotonic() - began, 20)  # a sanitizer's build on a busy machine


if __name__ == "__main__":
    tap.main()
