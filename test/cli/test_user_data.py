"""User-Data of the Cx interface (TS 29.228 annex E): every feature has a golden document in user_data/, which is what
the HSS sends, and which xmllint finds valid by spec/userdata.xsd. $MUSTER is the program.
MUSTER_WRITE_GOLDEN=1 writes the golden documents anew.

covers: B6"""

import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest
import urllib.error
import urllib.parse
import urllib.request

import tap

MUSTER = os.environ["MUSTER"]
HOST = f"127.5.{os.getpid() % 200 + 20}.{os.getpid() // 200 % 250 + 1}"  # of this run alone
HERE = pathlib.Path(__file__).parent
SCHEMA = HERE.parent.parent / "spec/userdata.xsd"
GOLDEN = HERE / "user_data"

TRIGGERS = [
    {"groups": [0, 2], "negated": True, "method": "REGISTER", "registration_types": ["initial", "de"]},
    {"groups": [1], "header": {"name": "Accept-Contact", "content": ".*<g.3gpp>&.*"}},
    {"groups": [1], "header": {"name": "X-Present"}},
    {"groups": [1], "session_case": "originating_cdiv"},
    {"groups": [1], "request_uri": "sip:.*@example\\.org"},
    {"groups": [1], "session_description": {"line": "m", "content": "audio"}},
]
PROFILES = {
    "criteria": {
        "filter_criteria": [
            {"priority": 0, "server_name": "sip:as1.example.org;lr", "cnf": True, "triggers": TRIGGERS,
             "on_failure": "terminate", "service_info": "<info>1 & 2</info>", "include_register_request": True},
            {"priority": 7, "part": "unregistered", "server_name": "sip:as2.example.org", "include_register_response": True},
            {"priority": 8, "part": "registered", "server_name": "sips:as3.example.org"},
        ]
    },
    "authorisation": {"media_profile": 17, "service_ids": ["urn:urn-7:3gpp-service.ims.icsi.mmtel", "urn:b<&>"]},
    "shared": {"shared_ifc_sets": [7, 8], "filter_criteria": [{"priority": 1, "server_name": "sip:own.example.org"}]},
}  # fmt: skip
SHARED = [{"priority": 9, "server_name": "sip:shared.example.org"}]

# Name of the golden document: the identity that is asked for, and the identities of its subscription.
CASES = {
    "plain": ("sip:a@h", [{"identity": "sip:a@h"}]),
    "barred": ("sip:b@h", [{"identity": "sip:b@h"}, {"identity": "tel:+4412345", "barred": True}]),
    "display-name": ("sip:c@h", [{"identity": "sip:c@h", "display_name": 'Zoë "<C> & Co'}]),
    "aliases": ("sip:d@h", [{"identity": "sip:d@h", "alias_group": "a1"}, {"identity": "tel:+4412346", "alias_group": "a1"}]),
    "default-first": ("sip:e@h", [{"identity": "tel:+4412347"}, {"identity": "sip:e@h", "default": True}]),
    "two-profiles": (
        "sip:f@h",
        [{"identity": "sip:f@h"}, {"identity": "tel:+4412348", "profile": "authorisation"}, {"identity": "sip:f2@h"}],
    ),
    "criteria": ("sip:g@h", [{"identity": "sip:g@h", "profile": "criteria"}]),
    "authorisation": ("sip:h@h", [{"identity": "sip:h@h", "profile": "authorisation"}]),
    "shared-sets": ("sip:i@h", [{"identity": "sip:i@h", "profile": "shared"}]),
    "wildcarded-user": (
        "tel:+44999123",
        [{"identity": "sip:j@h"}, {"identity": "tel:+44999![0-9]{3}!", "type": "wildcarded_user", "display_name": "PBX"}],
    ),
    "service": ("sip:k@h", [{"identity": "sip:k@h", "type": "psi", "profile": "criteria"}]),
    "wildcarded-service": ("sip:conf-9@h", [{"identity": "sip:!conf-[0-9]+|room(<&)?!@h", "type": "wildcarded_psi"}]),
}  # fmt: skip


class UserData(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.folder.cleanup)
        config = pathlib.Path(cls.folder.name) / "hss.yaml"
        nodes = [f"  {n}: {{listen: '{HOST}', remote: yes}}" for n in ("pcscf", "icscf", "scscf")]
        config.write_text(
            "network: {mcc: '001', mnc: '01'}\nnodes:\n" + "\n".join(nodes)
            + f"\n  hss: {{listen: '{HOST}:3868'}}\nweb: {{listen: '{HOST}:8080'}}\n"
        )  # fmt: skip
        cls.process = subprocess.Popen(
            [MUSTER, "run", "-c", str(config), "--memory"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        cls.addClassCleanup(cls.stop)
        for line in cls.process.stdout:
            if "ready" in line.lower() or "muster sub" in line or "web" in line.lower():
                break
        cls.put("/shared-ifc-sets/7", {"filter_criteria": SHARED})
        for name, profile in PROFILES.items():
            cls.put(f"/profiles/{name}", profile)
        for n, (name, (_, impus)) in enumerate(CASES.items()):
            sets = [{"set": 1, **impu} for impu in impus]
            cls.put(f"/subscriptions/{name}", {"impis": [{"identity": f"user{n}@h"}], "impus": sets})

    @classmethod
    def stop(cls):
        cls.process.terminate()
        cls.process.wait(10)
        cls.process.stdout.close()

    @staticmethod
    def put(path, body):
        request = urllib.request.Request(
            f"http://{HOST}:8080{path}", json.dumps(body).encode(), {"Content-Type": "application/json"}, method="PUT"
        )
        try:
            urllib.request.urlopen(request, timeout=10).close()
        except urllib.error.HTTPError as e:
            raise AssertionError(f"{path}: {e.read().decode()}") from e

    @staticmethod
    def fetch(identity, query=""):
        with urllib.request.urlopen(
            f"http://{HOST}:8080/user-data/{urllib.parse.quote(identity, '')}{query}", timeout=10
        ) as reply:
            assert reply.headers["Content-Type"].startswith("application/xml")
            return reply.read()

    def check_valid(self, *documents):
        if not shutil.which("xmllint"):
            self.skipTest("needs xmllint")
        with tempfile.TemporaryDirectory() as folder:
            names = []
            for n, document in enumerate(documents):
                names.append(f"{folder}/{n}.xml")
                pathlib.Path(names[-1]).write_bytes(document)
            done = subprocess.run(
                ["xmllint", "--noout", "--nonet", "--schema", str(SCHEMA), *names], capture_output=True, text=True, timeout=30
            )
        self.assertEqual(done.returncode, 0, done.stderr)

    def check_golden(self, name, document):
        path = GOLDEN / f"{name}.xml"
        if os.environ.get("MUSTER_WRITE_GOLDEN"):
            path.write_bytes(document + b"\n")
        self.assertEqual(document.decode(), path.read_text(encoding="utf-8").rstrip("\n"))

    def test_each_feature_has_its_document(self):
        for name, (identity, _) in CASES.items():
            with self.subTest(name):
                self.check_golden(name, self.fetch(identity))
        self.check_golden("shared-sets-written-out", self.fetch("sip:i@h", "?shared-ifc-sets=no"))

    def test_all_are_valid_by_the_schema(self):
        documents = [self.fetch(identity, query) for identity, _ in CASES.values() for query in ("", "?shared-ifc-sets=no")]
        self.check_valid(*documents)

    def test_the_schema_takes_what_others_add_and_nothing_else(self):
        good = self.fetch("sip:a@h").decode()
        foreign = good.replace("</ServiceProfile>", '<v:New xmlns:v="urn:v">1</v:New></ServiceProfile>')
        self.check_valid(foreign.encode())
        for bad in (
            good.replace("<PrivateID>user0@h</PrivateID>", ""),
            good.replace("</ServiceProfile>", "<New/></ServiceProfile>"),
            good.replace("sip:a@h", "mailto:a@h"),
        ):
            self.assertNotEqual(bad, good)
            with self.assertRaises(AssertionError):
                self.check_valid(bad.encode())

    def test_the_command_prints_it(self):
        def ask(*arguments):
            return subprocess.run(
                [MUSTER, "sub", *arguments, "--web", f"{HOST}:8080"], capture_output=True, text=True, timeout=30
            )

        self.assertEqual(ask("user-data", "sip:a@h").stdout.strip(), self.fetch("sip:a@h").decode())
        self.assertIn("sip:shared.example.org", ask("user-data", "--no-shared-sets", "sip:i@h").stdout)
        nobody = ask("user-data", "sip:nobody@h")
        self.assertEqual((nobody.returncode != 0, nobody.stdout), (True, ""))
        self.assertIn("nobody has this public identity", nobody.stderr)
        self.assertIn(", wildcard", ask("show", "wildcarded-user").stdout)

    def test_shared_sets_are_shown_and_deleted(self):
        def call(method, path):
            request = urllib.request.Request(f"http://{HOST}:8080{path}", method=method)
            try:
                with urllib.request.urlopen(request, timeout=10) as reply:
                    return reply.status, json.loads(reply.read() or "null")
            except urllib.error.HTTPError as e:
                return e.code, json.loads(e.read())

        self.put("/shared-ifc-sets/9", {"number": 9, "filter_criteria": SHARED})
        self.assertEqual(call("GET", "/shared-ifc-sets/9")[1]["filter_criteria"][0]["server_name"], "sip:shared.example.org")
        self.assertEqual({s["number"] for s in call("GET", "/shared-ifc-sets")[1]["shared_ifc_sets"]}, {7, 9})
        self.assertEqual(call("DELETE", "/shared-ifc-sets/9")[0], 204)
        self.assertEqual(call("GET", "/shared-ifc-sets/9")[0], 404)
        status, problem = call("GET", "/shared-ifc-sets/x")
        self.assertEqual((status, problem["rule"]), (404, "shared-set-number"))
        self.assertNotIn("#7", json.dumps(call("GET", "/profiles")[1]))
        self.assertEqual(call("GET", "/profiles/%237")[0], 404)


if __name__ == "__main__":
    tap.main()
