#!/usr/bin/python3
"""Two freeDiameter relays (Debian's freediameterd) stand between Muster's CSCFs and Muster's HSS.

covers: HA8 HF9 HF10

SIPp registers users through them in three streams. In the first, one relay dies by kill -9 with requests in its hands:
they are sent anew over the other with the T flag, no registration fails and no assignment is made twice. In the second
it is back, and both carry requests. In the third the other is stopped as planned (DPR): nothing fails. Last, a third
relay, which the HSS does not know, is refused.

All run in a network namespace of this run alone: freeDiameter does not listen on loopback addresses."""

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
from client_network import run, skip_without
from freediameter import DOMAIN, MUSTER, PROGRAM, Program, Report

HERE = pathlib.Path(__file__).resolve().parent
SPACE = f"mu-agents-{os.getpid()}"
HSS, CORE_WEB, HSS_WEB = "10.66.1.10", "127.0.0.1:8081", "127.0.0.1:8080"
USERS, RATE = 200, 80
PASSWORD = "correct-horse"
WATCHDOG_S = 6

COMMON = """network: {mcc: "001", mnc: "01"}
store: {kind: memory}
log: info
"""

CORE = COMMON + f"""web: {{listen: {CORE_WEB}}}
nodes:
  pcscf: {{}}
  icscf:
    diameter-watchdog-s: {WATCHDOG_S}
    diameter-agents: {{dra-1.{DOMAIN}: 10.66.1.1, dra-2.{DOMAIN}: 10.66.1.2}}
  scscf:
    diameter-watchdog-s: {WATCHDOG_S}
    diameter-agents:
      dra-1.{DOMAIN}: 10.66.1.1:3868
      dra-2.{DOMAIN}: {{address: 10.66.1.2}}
  hss: {{remote: yes, listen: {HSS}}}
"""

HOME = COMMON + f"""web: {{listen: {HSS_WEB}}}
nodes:
  hss:
    listen: {HSS}
    diameter-watchdog-s: {WATCHDOG_S}
    peers: {{dra-1.{DOMAIN}: agent, dra-2.{DOMAIN}: {{role: agent}}}}
  icscf: {{remote: yes}}
  scscf: {{remote: yes}}
"""

RELAY = """Identity = "@NAME@.@DOMAIN@";
Realm = "@DOMAIN@";
Port = 3868;
SecPort = 0;
No_SCTP;
No_IPv6;
ListenOn = "10.66.1.@NUMBER@";
TwTimer = 6;
TcTimer = 1;
TLS_Cred = "@FOLDER@/@NAME@.pem", "@FOLDER@/@NAME@.key";
TLS_CA = "@FOLDER@/authority.pem";
LoadExtension = "/usr/lib/freeDiameter/dbg_msg_dumps.fdx" : "0x0080";
LoadExtension = "/usr/lib/freeDiameter/acl_wl.fdx" : "@FOLDER@/welcome.conf";
LoadExtension = "/usr/lib/freeDiameter/rt_default.fdx" : "@FOLDER@/route.conf";
ConnectPeer = "hss.@DOMAIN@" { ConnectTo = "@HSS@"; No_TLS; No_SCTP; No_IPv6; Port = 3868; };
"""


def inside(*command):
    """The command, in the namespace."""
    return ["ip", "netns", "exec", SPACE, *command]


def numbers(web):
    """The counters of a process: the sum over its nodes, by name ("scscf_sar")."""
    code = f"import urllib.request as u; print(u.urlopen('http://{web}/metrics', timeout=5).read().decode())"
    sums = {}
    for name, value in re.findall(r"^muster_(\w+)_total(?:{[^}]*})? ([0-9.]+)$", run(*inside(sys.executable, "-c", code)).stdout, re.M):
        sums[name] = sums.get(name, 0) + float(value)
    return sums


class Home:
    """The two processes of Muster, and the relays between them."""

    def __init__(self, folder, report):
        self.folder, self.report, self.programs = folder, report, []
        authority = Authority(folder)
        for n in (1, 2, 3):
            name = f"dra-{n}"
            authority.issue(name, f"{name}.{DOMAIN}")
            words = {"NAME": name, "NUMBER": str(n), "FOLDER": str(folder), "DOMAIN": DOMAIN, "HSS": HSS}
            (folder / f"{name}.conf").write_text(re.sub(r"@([A-Z]+)@", lambda m, w=words: w[m[1]], RELAY))
        (folder / "welcome.conf").write_text(f"ALLOW_OLD_TLS ALLOW_IPSEC *.{DOMAIN}\n")
        (folder / "route.conf").write_text(f'DR = "{DOMAIN}" : "hss.{DOMAIN}" += 100 ;\n')
        (folder / "core.yaml").write_text(CORE)
        (folder / "home.yaml").write_text(HOME)
        (folder / "users.csv").write_text("SEQUENTIAL\n" + "".join(
            f"u{n}@{DOMAIN};sip:u{n}@{DOMAIN};[authentication username=u{n}@{DOMAIN} password={PASSWORD}]\n"
            for n in range(USERS)))
        (folder / "users.ndjson").write_text("".join(
            f'{{"user": "u{n}", "password": "{PASSWORD}", "digest": ["MD5"]}}\n' for n in range(USERS)))

    def start(self, name, *command):
        self.programs.append(Program(self.folder, name, inside(*command)))
        return self.programs[-1]

    def start_relay(self, number, life=1):
        return self.start(f"dra-{number}-{life}", PROGRAM, "-dd", "-c", str(self.folder / f"dra-{number}.conf"))

    def wait_for_links(self, relay, ups):
        """Until a relay has its three links, and the CSCFs see it for the so-many-th time."""
        name = relay.path.stem[:5]
        line = f'peer up peer="{name}.{DOMAIN}"'
        end = time.monotonic() + 10
        while self.core.said().count(line) < 2 * ups or self.hss.said().count(line) < ups:
            if time.monotonic() > end:
                return False
            time.sleep(0.05)
        return True

    def begin_stream(self, name):
        command = ["sipp", "127.0.0.1:5060", "-sf", str(HERE / "sipp" / "password.xml"), "-inf", "users.csv",
                   "-i", "127.0.0.1", "-m", str(USERS), "-r", str(RATE), "-l", str(USERS), "-nostdin", "-key", "domain", DOMAIN,
                   "-auth_uri", DOMAIN, "-timeout", "20", "-timeout_error", "-trace_err", "-error_file", f"{name}.errors"]
        return self.start(name, *command)

    def check(self, good, what, *programs):
        """A line of the report, with the ends of logs if it is not so."""
        self.report.check(good, what, *(p.said()[-3000:] for p in programs))

    def failures(self):
        """What CSCFs count when the HSS did not answer them well."""
        seen = numbers(CORE_WEB)
        names = ("icscf_hss_failed", "scscf_hss_failed", "diameter_timeouts", "diameter_unroutable")
        return {name: seen[name] for name in names if seen[name]}


def forwarded(relay):
    """How many requests of Cx it has passed on, and how many of them with the T flag."""
    flags = re.findall(r"FORWARDING: [^\n]*16777216/\d+ f:(R[P-][E-][T-])", relay.said())
    return len(flags), sum(f.endswith("T") for f in flags)


def die(home, relays):
    """kill -9. First the HSS is held for a moment, then the relay: so this has for certain both answers and requests
    in its hands, and some of what is sent anew has been done already."""
    stream = home.begin_stream("dying")
    time.sleep(1)
    home.hss.process.send_signal(signal.SIGSTOP)
    time.sleep(0.2)
    relays[0].process.send_signal(signal.SIGSTOP)
    home.hss.process.send_signal(signal.SIGCONT)
    time.sleep(0.3)
    relays[0].end(signal.SIGKILL)
    alive = stream.process.poll() is None
    relays[0] = home.start_relay(1, 2)
    code = stream.process.wait(25)
    core, hss = numbers(CORE_WEB), numbers(HSS_WEB)
    home.check(alive and code == 0 and not home.failures(),
               f"a relay dies: all {USERS} registrations succeed ({home.failures()})", stream, home.core)
    resent, seen = core["diameter_resent"], forwarded(relays[1])[1]
    home.check(0 < seen <= resent, f"{resent:.0f} requests are sent anew, {seen} of them come by with the T flag", relays[1])
    known = hss["diameter_duplicates"]
    home.check(0 < known < seen, f"the HSS had answered {known:.0f} of them before, and repeats its answers", home.hss)
    home.check(hss["hss_assigned"] == USERS and hss["hss_sar"] == core["scscf_sar"] == USERS,
               f"{hss['hss_assigned']:.0f} assignments by {hss['hss_sar']:.0f} SARs: none twice")


def return_to_both(home, relays):
    """The relay is there again."""
    home.check(home.wait_for_links(relays[0], 2), "the relay is back, and connected", home.core, home.hss)
    before = [forwarded(r)[0] for r in relays]
    stream = home.begin_stream("both")
    code = stream.process.wait(25)
    shares = [forwarded(r)[0] - b for r, b in zip(relays, before)]
    home.check(code == 0 and min(shares) > sum(shares) / 4, f"both relays carry requests: {shares}", stream, home.core)


def stop_as_planned(home, relays):
    """SIGTERM: freeDiameter says DPR to all its peers."""
    before = numbers(CORE_WEB)["diameter_failovers"]
    stream = home.begin_stream("planned")
    time.sleep(1)
    ended = relays[1].end()
    alive = stream.process.poll() is None
    code = stream.process.wait(25)
    home.check(ended == 0 and "'Disconnect-Peer-Answer'" in relays[1].said(), "the other relay stops with DPR", relays[1])
    home.check(alive and code == 0 and not home.failures(),
               f"a relay is stopped: all {USERS} registrations succeed ({home.failures()})", stream, home.core)
    print(f"# {numbers(CORE_WEB)['diameter_failovers'] - before:.0f} links had requests under way when it stopped")
    hss, core = numbers(HSS_WEB), numbers(CORE_WEB)
    home.check(hss["hss_assigned"] == USERS and hss["hss_sar"] == core["scscf_sar"] == 3 * USERS,
               f"{hss['hss_sar']:.0f} SARs in all: none twice")


def refuse_strangers(home):
    """A relay that is not among the peers of the HSS."""
    stranger = home.start_relay(3)
    home.check(stranger.wait_for("'DIAMETER_UNKNOWN_PEER' (3010", 10), "a relay that is not configured gets 3010", stranger)


def meet(home):
    """All that is shown."""
    home.hss = home.start("hss", MUSTER, "run", "-c", "home.yaml")
    home.core = home.start("core", MUSTER, "run", "-c", "core.yaml")
    relays = [home.start_relay(1), home.start_relay(2)]
    home.check(home.hss.wait_for("ready", 10), "the HSS runs", home.hss)
    added = run(*inside(MUSTER, "sub", "import", "--web", HSS_WEB, str(home.folder / "users.ndjson")))
    home.report.check(added.returncode == 0, f"{USERS} users are added", added.stdout + added.stderr)
    linked = all(home.wait_for_links(r, 1) for r in relays) and home.core.wait_for("ready", 10)
    home.check(linked, "CSCFs and HSS are connected to both relays", home.core, home.hss)
    if linked:
        die(home, relays)
        return_to_both(home, relays)
        stop_as_planned(home, relays)
        refuse_strangers(home)
    home.check(home.core.end() == 0 and home.hss.end() == 0, "both processes end gracefully", home.core, home.hss)


def main():
    """Makes the namespace, runs all of it."""
    if not os.path.exists(PROGRAM):
        print("skipped, needs freediameterd and freediameter-extensions")
        return 77
    skip_without("sipp", "openssl")
    report = Report()
    with tempfile.TemporaryDirectory() as name:
        home = None
        try:
            for command in (["netns", "add", SPACE], ["-n", SPACE, "link", "set", "lo", "up"],
                            *(["-n", SPACE, "addr", "add", f"10.66.1.{n}/32", "dev", "lo"] for n in (1, 2, 3, 10))):
                subprocess.run(["ip", *command], check=True)
            home = Home(pathlib.Path(name), report)
            meet(home)
        finally:
            for program in home.programs if home else []:
                program.process.kill()
                program.process.wait()
            run("ip", "netns", "del", SPACE)
    print(f"1..{report.n}")
    return 1 if report.failed else 0


if __name__ == "__main__":
    sys.exit(main())
