"""A network for real SIP clients: two namespaces, core (Muster) and client, with a cable between them.

baresip refuses the loopback interface, and nothing of a client shall reach the machine's own network."""

import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.append(str(HERE.parent / "cli"))

DOMAIN = "ims.mnc001.mcc001.3gppnetwork.org"
MUSTER = os.environ.get("MUSTER", str(HERE.parents[1] / "build" / "muster"))
CORE, CLIENT = "10.66.0.2", "10.66.0.1"
PASSWORD = 'b:1 "z\\ käse'


def run(*command, **more):
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=30, **more)


def skip_without(*programs):
    """Ends the program as skipped unless it may make namespaces and all programs are there."""
    for program in (*programs, "ip"):
        if not shutil.which(program):
            print(f"skipped, needs {program}")
            sys.exit(77)
    probe = f"muster-probe-{os.getpid()}"
    if run("ip", "netns", "add", probe).returncode:
        print("skipped, needs the permission to make network namespaces")
        sys.exit(77)
    run("ip", "netns", "del", probe)


class ClientCase(unittest.TestCase):
    """Each case has namespaces and a home network of its own."""

    SCSCF = "{expires-min-s: 1}"

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="muster-client-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.core, self.client = (f"mu-{name}-{os.getpid()}" for name in ("core", "client"))
        self.make_namespaces()

    def ip(self, *arguments):
        done = run("ip", *arguments)
        self.assertEqual(0, done.returncode, done.stderr)

    def make_namespaces(self):
        for name in (self.core, self.client):
            self.ip("netns", "add", name)
            self.addCleanup(run, "ip", "netns", "del", name)
        self.ip("link", "add", "vcore", "netns", self.core, "type", "veth",
                "peer", "name", "vclient", "netns", self.client)
        for name, link, address in ((self.core, "vcore", CORE), (self.client, "vclient", CLIENT)):
            self.ip("-n", name, "addr", "add", f"{address}/24", "dev", link)
            self.ip("-n", name, "link", "set", "lo", "up")
            self.ip("-n", name, "link", "set", link, "up")
        self.ip("-n", self.client, "route", "add", "default", "via", CORE)

    # Muster

    def config(self, name, nodes):
        path = self.folder / f"{name}.yaml"
        path.write_text("network: {mcc: '001', mnc: '01'}\nnodes:\n" + nodes +
                        "store: {kind: memory}\nlog: info\n", encoding="utf-8")
        return path

    def start(self, config):
        """Starts a process with this configuration and waits until it is ready."""
        log = config.with_suffix(".log")
        with open(log, "w", encoding="utf-8") as out:
            process = subprocess.Popen(["ip", "netns", "exec", self.core, MUSTER, "run", "-c", str(config)],
                                       stdout=out, stderr=out)
        self.addCleanup(self.stop, process)
        self.wait(lambda: "\nready" in log.read_text(errors="replace"), 15, "Muster is not ready", log)
        return process

    def start_home(self):
        config = self.config("home", f"  pcscf: {{listen: '{CORE}:5060'}}\n  icscf: {{}}\n"
                                     f"  scscf: {self.SCSCF}\n  hss: {{}}\n")
        self.log = config.with_suffix(".log")
        return self.start(config)

    def stop(self, process):
        process.send_signal(signal.SIGCONT)
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def muster(self, *arguments, **more):
        return run("ip", "netns", "exec", self.core, MUSTER, *arguments, **more)

    def add_user(self, name, *options, password=PASSWORD):
        done = self.muster("sub", "add", "--user", name, "--password-stdin", *options, input=password + "\n")
        self.assertEqual(0, done.returncode, done.stdout + done.stderr)

    def is_registered(self, name):
        shown = self.muster("sub", "show", f"sip:{name}@{DOMAIN}").stdout
        return "set 1: registered" in shown

    def said(self, pattern):
        """How often Muster's log has it."""
        return len(re.findall(pattern, self.log.read_text(errors="replace")))

    def wait(self, done, seconds, what, *logs):
        end = time.monotonic() + seconds
        while not done():
            if time.monotonic() > end:
                self.fail(what + "".join("\n" + log.read_text(errors="replace")[-6000:] for log in logs))
            time.sleep(0.05)

    # The client

    def client_command(self, *command):
        return ["ip", "netns", "exec", self.client, *command]
