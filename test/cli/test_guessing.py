"""Who guesses names learns nothing: with `unknown-users: challenge` a stranger and a subscriber with a wrong password get
the same answers, in the same time. $MUSTER is the program.

covers: A11 HA6

Rounds of both alternate, so that whatever else the machine does meets both alike; medians are compared. A round that the
machine spoilt is measured again, twice at most."""

import os
import pathlib
import re
import socket
import statistics
import subprocess
import tempfile
import time
import unittest

import tap

MUSTER = os.environ["MUSTER"]
DOMAIN = "ims.mnc001.mcc001.3gppnetwork.org"
HOST = f"127.0.{os.getpid() % 200 + 20}.{os.getpid() // 200 % 250 + 1}"
ROUNDS, TRIES, APART = 600, 3, 0.05


class Client:
    """A client that says what it likes."""

    def __init__(self):
        self.socket = socket.socket(type=socket.SOCK_DGRAM)
        self.socket.bind((HOST, 0))
        self.socket.connect((HOST, 5060))
        self.socket.settimeout(10)
        self.port = self.socket.getsockname()[1]
        self.count = 0

    def register(self, user, authorization=""):
        """Asks, and waits for the final answer."""
        self.count += 1
        request = (
            f"REGISTER sip:{DOMAIN} SIP/2.0\r\nVia: SIP/2.0/UDP {HOST}:{self.port};branch=z9hG4bK{self.count};rport\r\n"
            f"From: <sip:{user}@{DOMAIN}>;tag={self.count}\r\nTo: <sip:{user}@{DOMAIN}>\r\nMax-Forwards: 70\r\n"
            f"User-Agent: {'long enough for any answer, ' * 20}\r\nCall-ID: call-{self.count}\r\nCSeq: 1 REGISTER\r\nContact: <sip:{user}@{HOST}:{self.port}>\r\n"
            f"{authorization}Content-Length: 0\r\n\r\n")
        self.socket.send(request.encode())
        answer = ""
        while not answer or answer.startswith("SIP/2.0 1"):
            answer = self.socket.recv(65535).decode()
        return answer

    def guess(self, user):
        """A whole try: the answers without what differs by nature, and the seconds that the core took."""
        begin = time.perf_counter()
        first = self.register(user)
        between = time.perf_counter()
        nonce, opaque = (re.search(rf'{name}="([^"]+)"', first)[1] for name in ("nonce", "opaque"))
        header = (
            f'Authorization: Digest username="{user}@{DOMAIN}", realm="{DOMAIN}", nonce="{nonce}", opaque="{opaque}", '
            f'uri="sip:{DOMAIN}", response="{"0" * 64}", algorithm=SHA-256, qop=auth, nc=00000001, cnonce="c"\r\n')
        again = time.perf_counter()
        second = self.register(user, header)
        return [self.shape(first, user), self.shape(second, user)], between - begin + time.perf_counter() - again

    def shape(self, answer, user):
        """What a stranger can compare."""
        answer = answer.replace(user, "USER").replace(str(self.port), "PORT")
        return re.sub(r'(nonce|opaque|tag|branch|call)([="-]+)[^";\r]+|(tag=)\w+', r"\1\2", answer)


class Guessing(unittest.TestCase):
    """One network."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        config = pathlib.Path(folder.name) / "home.yaml"
        config.write_text(
            "network: {mcc: '001', mnc: '01'}\nnodes:\n"
            f"  pcscf: {{listen: '{HOST}:5060', guesses-max: 1000000}}\n  icscf: {{listen: '{HOST}:4060'}}\n"
            f"  scscf: {{listen: '{HOST}:6060', attempts-max: 100}}\n"
            f"  hss: {{listen: '{HOST}:3868', unknown-users: challenge}}\n"
            f"store: {{kind: memory}}\nweb: {{listen: '{HOST}:8080'}}\ntrace: 0\nlog: error\n", encoding="utf-8")
        run = subprocess.Popen([MUSTER, "run", "-c", str(config)], stdout=subprocess.PIPE, text=True)
        self.addCleanup(run.stdout.close)
        self.addCleanup(run.wait)
        self.addCleanup(run.terminate)
        while run.stdout.readline() not in ("ready\n", ""):
            pass
        add = subprocess.run(
            [MUSTER, "sub", "add", "--web", f"{HOST}:8080", "--user", "peter1", "--password-stdin"],
            input="secret\n", capture_output=True, text=True, check=False, timeout=60)
        self.assertEqual(0, add.returncode, add.stdout + add.stderr)
        self.client = Client()
        self.addCleanup(self.client.socket.close)

    def test_strangers_and_subscribers_get_the_same_answers(self):
        known, _ = self.client.guess("peter1")
        unknown, _ = self.client.guess("nobody")
        self.assertEqual(known, unknown)
        self.assertTrue(all(answer.startswith("SIP/2.0 401") for answer in known), known)

    def test_they_get_them_in_the_same_time(self):
        for _ in range(TRIES):
            times = {"peter1": [], "nobody": []}
            for n in range(ROUNDS):
                for user in sorted(times, reverse=n % 2):
                    times[user].append(self.client.guess(user)[1])
            known, unknown = (statistics.median(times[user][50:]) for user in ("peter1", "nobody"))
            print(f"# {known * 1e6:.0f} us for a subscriber, {unknown * 1e6:.0f} us for a stranger")
            if abs(known - unknown) < APART * min(known, unknown):
                return
        self.fail("a stranger can be told by the time that his refusal takes")


if __name__ == "__main__":
    tap.main()
