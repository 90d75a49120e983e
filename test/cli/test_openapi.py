"""The description of the web interface is that of the code, and real answers keep to it. $MUSTER is the program.

covers: B6 HA7"""

import http.client
import json
import os
import pathlib
import re
import signal
import subprocess
import tempfile
import unittest

import tap

try:
    import jsonschema
except ImportError:
    jsonschema = None

MUSTER = os.environ["MUSTER"]
ROOT = pathlib.Path(__file__).parents[2]
HOST = f"127.7.{os.getpid() % 200 + 20}.{os.getpid() // 200 % 250 + 1}"  # of this run alone
METHODS = ("GET", "PUT", "POST", "DELETE", "PATCH", "OPTIONS")
K, OPC = "465b5ce8b199b49faa5f0a2ee238a6bc", "cd63cb71954a9f4e48a5994e37a02baf"
PROFILE = {
    "media_profile": 1, "service_ids": ["urn:a"], "shared_ifc_sets": [7],
    "filter_criteria": [{
        "priority": 1, "server_name": "sip:as.example.org", "part": "registered", "cnf": True, "triggers": [
            {"groups": [0], "method": "REGISTER", "registration_types": ["initial", "de"]},
            {"groups": [1], "header": {"name": "From", "content": ".*"}},
            {"groups": [1], "session_case": "originating_registered"}, {"groups": [1], "request_uri": "sip:.*"},
            {"groups": [2], "negated": True, "session_description": {"line": "m", "content": "video"}},
        ],
    }],
}  # fmt: skip
SUBSCRIPTION = {
    "capabilities": {"mandatory": [1], "optional": [2], "servers": ["sip:scscf.example.org:6060"]},
    "charging": {"primary_ccf": "aaa://ccf.example.org"},
    "impis": [{"identity": "a@x.example", "k": K, "opc": OPC, "password": "secret"}],
    "impus": [
        {"identity": "sip:a@x.example", "set": 1, "default": True, "profile": "gold", "display_name": "A",
         "visited_networks": ["v.example"]},
        {"identity": "tel:+447700900101", "set": 1, "profile": "gold"},
    ],
}  # fmt: skip


def source(name):
    """A file of the program."""
    return (ROOT / "src" / name).read_text()


def members(name, array):
    """The strings of a C array."""
    found = re.search(rf"{array}\[\] = {{(.*?)}};", source(name), re.DOTALL)
    return set(re.findall(r'"(\w+)"', found.group(1)))


class OpenApi(unittest.TestCase):
    """Against one HSS, and against the source."""

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.config = pathlib.Path(cls.folder.name) / "home.yaml"
        nodes = ", ".join(f"{n}: {{listen: '{HOST}:{p}'}}" for n, p in
                          (("pcscf", 5060), ("icscf", 4060), ("scscf", 6060), ("hss", 3868)))  # fmt: skip
        cls.config.write_text(
            f"network: {{mcc: '001', mnc: '01'}}\nnodes: {{{nodes}}}\nstore: {{kind: memory}}\n"
            f"web: {{listen: '{HOST}:8080'}}\nlog: error\n"
        )
        cls.process = subprocess.Popen([MUSTER, "run", "-c", cls.config], stdout=subprocess.PIPE, text=True)
        for line in cls.process.stdout:
            if line == "ready\n":
                break
        cls.api = json.loads(cls.call("GET", "/openapi.json")[1])

    @classmethod
    def tearDownClass(cls):
        cls.process.send_signal(signal.SIGTERM)
        cls.process.communicate(timeout=30)
        cls.folder.cleanup()

    @staticmethod
    def call(method, path, body=None, kind="application/json", headers=None):
        """Asks; status, body and headers."""
        connection = http.client.HTTPConnection(HOST, 8080, timeout=30)
        text = body if isinstance(body, (str, type(None))) else json.dumps(body)
        connection.request(method, path, text, {"Content-Type": kind, **(headers or {})} if text else headers or {})
        answer = connection.getresponse()
        got = answer.status, answer.read(), dict(answer.getheaders())
        connection.close()
        return got

    def validator(self, schema):
        """A strict checker of one schema of the description."""
        return jsonschema.Draft202012Validator({"$ref": "#/s", "s": schema, "components": self.api["components"]})

    def template_of(self, path):
        """The path of the description that serves a path."""
        path = path.split("?")[0]
        if path in self.api["paths"]:
            return path
        for template in self.api["paths"]:
            if re.fullmatch(re.sub(r"{\w+}", "[^/]+", template), path):
                return template
        return None

    def ask(self, method, path, body=None, kind="application/json", expected=200, headers=None):
        """Asks, and checks request and answer by the description."""
        status, text, got = self.call(method, path, body, kind, headers)
        self.assertEqual(expected, status, text)
        operation = self.api["paths"][self.template_of(path)][method.lower()]
        if body is not None and expected < 400 and not isinstance(body, str):
            self.validator(operation["requestBody"]["content"][kind]["schema"]).validate(body)
        response = operation["responses"].get(str(status), operation["responses"]["default"])
        if "$ref" in response:
            response = self.api["components"]["responses"][response["$ref"].rsplit("/", 1)[1]]
        content = response.get("content", {})
        if not text:
            self.assertFalse(content, f"{method} {path} {status} has no body")
            return None
        media = got["Content-Type"].split(";")[0]
        self.assertIn(media, content)
        if "ETag" in response.get("headers", {}) and "limit" not in path:
            self.assertRegex(got["ETag"], r'^"[0-9a-f]+"$')
        if media in ("text/plain", "application/xml"):
            return text
        values = [json.loads(text)] if "ndjson" not in media else [json.loads(line) for line in text.splitlines()]
        for value in values:
            self.validator(content[media]["schema"]).validate(value)
        return values[0]

    @unittest.skipUnless(jsonschema, "needs python3-jsonschema")
    def test_real_answers_are_as_described(self):
        ask = self.ask
        self.assertIsNone(jsonschema.Draft202012Validator.check_schema(
            {"components": self.api["components"]["schemas"]}))  # fmt: skip
        ask("PUT", "/profiles/gold", PROFILE, expected=201)
        ask("PUT", "/profiles/gold", PROFILE)
        ask("GET", "/profiles")
        etag = self.call("GET", "/profiles/gold")[2]["ETag"]
        ask("GET", "/profiles/gold", headers={"If-None-Match": etag}, expected=304)
        ask("PUT", "/subscriptions/a", SUBSCRIPTION, expected=201)
        shown = ask("GET", "/subscriptions/a")
        ask("PUT", "/subscriptions/a", shown)
        ask("PUT", "/subscriptions/a", SUBSCRIPTION, expected=412, headers={"If-Match": '"77"'})
        ask("PUT", "/subscriptions/a", {"impis": []}, expected=422)
        ask("PUT", "/subscriptions/a", "{", expected=400)
        ask("POST", "/subscriptions", {"subscriptions": [SUBSCRIPTION]}, expected=422)
        ask("POST", "/subscriptions", {**SUBSCRIPTION, "name": "b"}, expected=409)
        ask("POST", "/subscriptions/sim", {"imsi": "001010000000001", "msisdn": "447700900199", "k": K, "opc": OPC},
            expected=201)  # fmt: skip
        ask("POST", "/subscriptions/sim", [{"user": "u", "password": "p"}], expected=201)
        lines = '{"user":"v","password":"p"}\n{"user":"v","password":"p"}\n{"profile":{"name":"silver"}}\n'
        ask("POST", "/imports/monday?mode=each", lines, "application/x-ndjson")
        ask("POST", "/imports/tuesday", lines, "application/x-ndjson", expected=422)
        ask("GET", "/imports/monday")
        ask("DELETE", "/imports/monday", expected=204)
        ask("GET", "/imports/monday", expected=404)
        criteria = [{**PROFILE["filter_criteria"][0], "priority": 2}]  # the profile "gold" has one of priority 1
        ask("PUT", "/shared-ifc-sets/7", {"filter_criteria": criteria}, expected=201)
        ask("PUT", "/shared-ifc-sets/7", ask("GET", "/shared-ifc-sets/7"))
        ask("GET", "/shared-ifc-sets")
        ask("GET", "/user-data/sip:a@x.example")
        ask("GET", "/user-data/sip:nobody@x.example", expected=404)
        ask("DELETE", "/shared-ifc-sets/7", expected=204)
        ask("POST", "/subscriptions/a/deregister", {"reason": "remove-scscf"}, expected=409)
        ask("GET", "/subscriptions?limit=2")
        ask("GET", "/subscriptions?identity=sip:a@x.example&credentials=digest")
        ask("GET", "/subscriptions?format=lines&limit=2")
        ask("GET", "/subscriptions?limit=0", expected=400)
        ask("GET", "/subscriptions/a?credentials=keys", expected=403)
        ask("DELETE", "/profiles/gold", expected=409)
        ask("DELETE", "/subscriptions/a", expected=204)
        ask("DELETE", "/profiles/gold", expected=204)
        kinds = {c["kind"] for c in ask("GET", "/changes?limit=1000")["changes"]}
        self.assertEqual({"profile-added", "profile-deleted", "subscription-added", "subscription-deleted",
                          "subscriptions-imported"}, kinds)  # fmt: skip
        ue = subprocess.run([MUSTER, "ue", "register", "--user", "sip:u@ims.mnc001.mcc001.3gppnetwork.org", "--password-stdin", "-c", self.config],
                            input="p\n", capture_output=True, text=True, timeout=30, check=False)  # fmt: skip
        ask("GET", "/registrations/sip:u@ims.mnc001.mcc001.3gppnetwork.org")
        self.assertEqual(0, ue.returncode, ue.stderr)
        ask("POST", "/registrations/sip:u@ims.mnc001.mcc001.3gppnetwork.org/reauthenticate", {"seconds": 60})
        ask("POST", "/subscriptions/u/deregister", {"identities": ["u@ims.mnc001.mcc001.3gppnetwork.org"]})
        self.assertEqual("registrations-ended", ask("GET", "/changes?after=-1")["changes"][0]["kind"])
        ask("GET", "/journal?identity=u@ims.mnc001.mcc001.3gppnetwork.org")
        for path in ("/trace", "/metrics", "/health", "/ready", "/openapi.json"):
            ask("GET", path)
        ask("POST", "/reload")

    def test_each_route_and_method_is_described(self):
        routes = set(re.findall(r'{"(/[^"]*)", \w+', source("app/process.c"))) - {"/"}
        routes |= {"/" + c for c in re.findall(r'span_eq\(collection, SPAN\("([\w-]+)"\)\)', source("node/hss/web.c"))}
        self.assertGreater(len(routes), 8)
        actions = set(re.findall(r'span_eq\(more, SPAN\("(\w+)"\)\)', source("node/hss/web.c")))
        actions |= set(re.findall(r'span_eq\(q.action, SPAN\("(\w+)"\)\)', source("app/registrations_web.c")))
        self.assertEqual(actions, {p.split("/")[3] for p in self.api["paths"] if p.count("/") == 3})
        self.assertEqual(routes, {"/" + path.split("/")[1] for path in self.api["paths"]})
        for path, item in self.api["paths"].items():
            described = {m.upper() for m in item if m.upper() in METHODS}
            for method in METHODS:
                probe = re.sub(r"{\w+}", "nobody", path)
                if method in described or path == "/subscriptions/sim":  # it is also the name of a subscription
                    continue
                status, _, headers = self.call(method, probe)
                self.assertEqual(405, status, f"{method} {path} is not described, but served")
                self.assertEqual(described, set(headers["Allow"].split(", ")), path)
            for method in described - {"POST", "DELETE"}:
                self.assertNotIn(self.call(method, re.sub(r"{\w+}", "nobody", path))[0], (405, 501), f"{method} {path}")
        self.assertEqual(404, self.call("GET", "/nowhere")[0])

    def test_members_are_those_of_the_code(self):
        schemas = self.api["components"]["schemas"]
        for schema, name, array in (
            ("Subscription", "json_subscription.c", "subscription_members"),
            ("PrivateIdentity", "json_subscription.c", "impi_members"),
            ("PublicIdentity", "json_subscription.c", "impu_members"),
            ("Sim", "json_subscription.c", "sim_members"),
            ("Client", "json_subscription.c", "client_members"),
            ("Profile", "json_profile.c", "profile_members"),
            ("FilterCriterion", "json_profile.c", "ifc_members"),
            ("Trigger", "json_profile.c", "spt_members"),
        ):
            self.assertEqual(members("node/hss/" + name, array), set(schemas[schema]["properties"]), schema)
        subscription = schemas["Subscription"]["properties"]
        for inner in ("capabilities", "charging"):
            array = "capability_members" if inner == "capabilities" else "charging_members"
            self.assertEqual(members("node/hss/json_subscription.c", array), set(subscription[inner]["properties"]))


tap.main()
