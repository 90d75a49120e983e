#!/usr/bin/python3
"""linphone, an ordinary SIP client, registers with a password (SIP Digest, SHA-256 as the network prefers), and comes
back after a 503 when Retry-After says so.

covers: A4 A11"""

import re
import signal
import subprocess
import time

import client_network
from client_network import CLIENT, CORE, DOMAIN, PASSWORD, ClientCase

CONFIG = """[sip]
sip_port=5070
sip_tcp_port=-1
sip_tls_port=-1
default_proxy=0
register_only_when_network_is_up=0
guess_hostname=0
contact=<sip:{user}@{client}>

[auth_info_0]
username={user}
userid={user}@{domain}
passwd={password}
realm={domain}
domain={domain}

[proxy_0]
reg_proxy=<sip:{core};transport=udp>
reg_identity=sip:{user}@{domain}
reg_expires=600
reg_sendregister=1
publish=0
"""


class Linphone(ClientCase):
    """One client against a whole home network."""

    def start_client(self, user, password):
        home = self.folder / "home-of-client"
        (home / ".local/share/linphone").mkdir(parents=True)
        config = home / "rc"
        config.write_text(CONFIG.format(user=user, password=password, domain=DOMAIN, core=CORE, client=CLIENT),
                          encoding="utf-8")
        self.client_log = home / "log"
        self.environment = ["env", f"HOME={home}", "LC_ALL=C.UTF-8"]
        self.shell("init", "-c", str(config), "-d", "6", "-l", str(self.client_log))
        self.addCleanup(self.shell, "exit")

    def shell(self, *arguments):
        command = self.client_command(*self.environment, "linphonecsh", *arguments)
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=20).stdout

    def client_text(self):
        return self.client_log.read_text(errors="replace") if self.client_log.exists() else ""

    def logs(self):
        return (self.log, *([self.client_log] if self.client_log.exists() else []))

    def test_it_registers_with_sha256_and_leaves(self):
        self.start_home()
        self.add_user("bob")
        self.start_client("bob", PASSWORD)
        self.wait(lambda: self.is_registered("bob"), 12, "bob is not registered", *self.logs())
        self.assertRegex(self.client_text(), r"Authorization:.*algorithm=SHA-256")
        self.assertIn("registered, identity=", self.shell("status", "register"))
        self.shell("unregister")
        self.wait(lambda: not self.is_registered("bob"), 8, "bob has not left", *self.logs())

    def test_it_comes_back_when_retry_after_says(self):
        # The HSS is a process of its own, which stops: one request waits for it, and the I-CSCF takes no more.
        others = "  {}: {{remote: yes}}\n"
        hss = self.start(self.config("hss", f"  pcscf: {{remote: yes, listen: '{CORE}:5060'}}\n"
                                     + others.format("icscf") + others.format("scscf") + "  hss: {}\n"))
        core = self.config("core", f"  pcscf: {{listen: '{CORE}:5060'}}\n"
                                   "  icscf: {pending-max: 1, diameter-timeout-ms: 8000}\n"
                                   f"  scscf: {self.SCSCF}\n" + others.format("hss"))
        self.log = core.with_suffix(".log")
        core.write_text(core.read_text() + "web: {listen: '127.0.0.1:8081'}\nsubscribers: []\n")
        self.start(core)
        for name in ("alice", "bob"):
            self.add_user(name)
        hss.send_signal(signal.SIGSTOP)
        first = subprocess.Popen(
            self.client_command(client_network.MUSTER, "ue", "register", "--user", f"sip:alice@{DOMAIN}",
                                "--password-stdin", "--pcscf", f"{CORE}:5060", "--local", CLIENT),
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, text=True)
        self.addCleanup(self.stop, first)
        first.stdin.write(PASSWORD + "\n")
        first.stdin.close()
        time.sleep(0.5)
        self.start_client("bob", PASSWORD)
        self.wait(lambda: "SIP/2.0 503" in self.client_text(), 6, "no 503", *self.logs())
        refused = time.monotonic()
        seconds = int(re.search(r"SIP/2.0 503.*?Retry-After: (\d+)", self.client_text(), re.DOTALL)[1])
        hss.send_signal(signal.SIGCONT)
        self.wait(lambda: self.is_registered("bob"), seconds + 5, "bob does not come back", *self.logs())
        self.assertAlmostEqual(seconds, time.monotonic() - refused, delta=2)


if __name__ == "__main__":
    client_network.skip_without("linphonecsh")
    import tap
    tap.main()
