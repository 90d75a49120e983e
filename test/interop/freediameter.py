#!/usr/bin/python3
"""freeDiameter (Debian's freediameterd) is a peer of Muster's HSS: over TCP, and over TLS from the first byte.

covers: HA8 HF10

Five of them at once: a configured peer over TCP, one over TLS, one that is not configured, one that should come over
TLS and does not, and one of another authority, which trusts the HSS as little as the HSS trusts it. CER, DWR and DPR in both directions; what is claimed is seen in freeDiameter's log and
in Muster's trace.

freeDiameter 1.2.1 leaves loopback addresses out of those that it listens on, so it only connects (Port = 0)."""

import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from certificates import Authority

DOMAIN = "ims.mnc001.mcc001.3gppnetwork.org"
HERE = pathlib.Path(__file__).resolve().parent
MUSTER = os.environ.get("MUSTER", str(HERE.parents[1] / "build" / "muster"))
PROGRAM = "/usr/bin/freeDiameterd"
HOST = f"127.1.{os.getpid() % 250 + 1}.{os.getpid() // 250 % 250 + 1}"  # of this run alone
WATCHDOG_S = 6

NETWORK = """network: {mcc: "001", mnc: "01"}
nodes:
  hss:
    listen: @HOST@:3868
    tls-listen: @HOST@:5658
    diameter-watchdog-s: @WATCHDOG@
    peers:
      plain.@DOMAIN@: {role: icscf, address: 127.0.0.1}
      secure.@DOMAIN@: {role: icscf, tls: yes}
      false.@DOMAIN@: {role: icscf, tls: yes}
      careless.@DOMAIN@: {role: icscf, tls: yes}
store: {kind: memory}
tls: {certificate: hss.pem, key: hss.key, trust: authority.pem}
web: {listen: @HOST@:8080}
log: info
"""

PEER = """Identity = "@NAME@.@DOMAIN@";
Realm = "@DOMAIN@";
Port = 0;
SecPort = 0;
No_SCTP;
No_IPv6;
TwTimer = 30;
TLS_Cred = "@FOLDER@/@NAME@.pem", "@FOLDER@/@NAME@.key";
TLS_CA = "@FOLDER@/@TRUST@.pem";
LoadExtension = "/usr/lib/freeDiameter/dbg_msg_dumps.fdx" : "0x0080";
ConnectPeer = "hss.@DOMAIN@" { ConnectTo = "@HOST@"; @TRANSPORT@ No_SCTP; No_IPv6; };
"""


def fill(text, **words):
    """The text with its @WORDS@."""
    words |= {"HOST": HOST, "DOMAIN": DOMAIN, "WATCHDOG": str(WATCHDOG_S)}
    return re.sub(r"@([A-Z]+)@", lambda m: words[m[1]], text)


class Program:
    """A process with its output in a file."""

    def __init__(self, folder, name, command):
        self.path = folder / f"{name}.log"
        with self.path.open("wb") as out:
            self.process = subprocess.Popen(command, stdout=out, stderr=out, stdin=subprocess.DEVNULL, cwd=folder)

    def said(self):
        """All that it has said."""
        return self.path.read_text(errors="replace")

    def wait_for(self, text, seconds):
        """True once it has said something."""
        deadline = time.monotonic() + seconds
        while text not in self.said():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.05)
        return True

    def end(self, how=signal.SIGTERM, patience_s=8):
        """Asks it to end, and says what it ended with."""
        if self.process.poll() is None:
            self.process.send_signal(how)
        try:
            return self.process.wait(patience_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            return None


class Report:
    """TAP."""

    def __init__(self):
        self.n = self.failed = 0

    def check(self, good, what, *evidence):
        """One line; what was seen instead goes below it."""
        self.n += 1
        self.failed += not good
        print(f"{'ok' if good else 'not ok'} {self.n} - {what}", flush=True)
        if not good:
            for text in evidence:
                print("".join(f"# {line}\n" for line in text.splitlines()[-60:]), flush=True)


def ladder(folder):
    """Muster's ladder of what it has seen."""
    done = subprocess.run([MUSTER, "trace", "--peers", "-c", "network.yaml"], cwd=folder, capture_output=True, text=True,
                          check=False, timeout=20)
    return done.stdout + done.stderr


def start_peer(folder, name, secure, trust="authority"):
    """A freeDiameter of this name."""
    transport = "Port = 5658;" if secure else "No_TLS; Port = 3868;"
    (folder / f"{name}.conf").write_text(
        fill(PEER, NAME=name, TRUST=trust, FOLDER=str(folder), TRANSPORT=transport))
    return Program(folder, name, [PROGRAM, "-dd", "-c", str(folder / f"{name}.conf")])


def meet(folder, report, running):
    """All that is shown; running gets every process that was started."""
    authority = Authority(folder)
    other = Authority(folder, "other")
    for name in ("hss", "plain", "secure", "stranger", "careless"):
        authority.issue(name, f"{name}.{DOMAIN}")
    other.issue("false", f"false.{DOMAIN}")
    (folder / "network.yaml").write_text(fill(NETWORK))
    hss = Program(folder, "muster", [MUSTER, "run", "-c", "network.yaml"])
    running.append(hss)
    report.check(hss.wait_for("ready", 10), "the HSS runs", hss.said())
    plain = start_peer(folder, "plain", False)
    secure = start_peer(folder, "secure", True)
    refused = [start_peer(folder, "stranger", False), start_peer(folder, "careless", False),
               start_peer(folder, "false", True, "other")]
    running += [plain, secure, *refused]

    for peer, how in ((plain, "(TCP,soc#"), (secure, "(TCP,TLS,soc#")):
        name = peer.path.stem
        good = peer.wait_for("-> 'STATE_OPEN'", 10) and f"Connected to 'hss.{DOMAIN}' {how}" in peer.said()
        report.check(good, f"the {name} peer exchanges CER and CEA {how[1:-5]}", peer.said(), hss.said())
        report.check(hss.wait_for(f'diameter peer up peer="{name}.{DOMAIN}"', 5), f"and the HSS has it ({name})", hss.said())
    for peer, why in ((refused[0], "unknown peer"), (refused[1], "this peer is served over TLS only")):
        name = peer.path.stem
        report.check(peer.wait_for("'DIAMETER_UNKNOWN_PEER' (3010", 10), f"the {name} peer gets 3010", peer.said())
        line = f'diameter peer refused origin_host="{name}.{DOMAIN}" result=3010 why="{why}"'
        report.check(line in hss.said(), f"and that is logged: {why}", hss.said())
    report.check(refused[2].wait_for("hasn't got a known issuer", 5) and hss.wait_for("tls peer refused", 5),
                 "without a common authority there is no handshake", refused[2].said(), hss.said())
    report.check("'STATE_WAITCEA'" not in refused[2].said(), "and not even a CER", refused[2].said())

    for peer in (plain, secure):
        name = peer.path.stem
        good = peer.wait_for("'Device-Watchdog-Answer'", 2 * WATCHDOG_S)
        report.check(good, f"the {name} peer answers the watchdog", peer.said())
    for peer in refused:
        peer.end()

    code = plain.end()
    said = plain.said()
    report.check(code == 0 and "'Disconnect-Peer-Answer'" in said, "a peer that ends gets DPA to its DPR", said, hss.said())
    report.check(hss.wait_for(f'diameter peer down peer="plain.{DOMAIN}"', 5), "and the HSS knows it gone", hss.said())
    seen = ladder(folder)
    for what in ("CER", "CEA 2001", "CEA 3010", "DWR", "DWA 2001", "DPR", "DPA 2001"):
        report.check(what in seen, f"Muster's trace has {what}", seen)
    code = hss.end()
    report.check(code == 0 and "stopped" in hss.said(), "the HSS ends gracefully", hss.said())
    good = secure.wait_for("'Disconnect-Peer-Request'", 5) and "'STATE_OPEN'	-> 'STATE_CLOS" in secure.said()
    report.check(good, "its DPR over TLS is understood and answered", secure.said())


def main():
    """Runs all of it."""
    if not os.path.exists(PROGRAM) or not shutil.which("openssl"):
        print("skipped, needs freediameterd, freediameter-extensions and openssl")
        return 77
    report, running = Report(), []
    with tempfile.TemporaryDirectory() as name:
        try:
            meet(pathlib.Path(name), report, running)
        finally:
            for program in running:
                program.end(signal.SIGKILL)
    print(f"1..{report.n}")
    return 1 if report.failed else 0


if __name__ == "__main__":
    sys.exit(main())
