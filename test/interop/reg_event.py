#!/usr/bin/python3
"""SIPp subscribes to registration state as an application server, and gets the NOTIFYs; xmllint validates what they carry.

covers: A12 B2

Twenty dialogs subscribe to one user: an application server that the S-CSCF trusts. All are told all there is, then that an
identity is barred, refresh, and leave. One that it does not trust, and a user who asks for somebody else, get 403."""

import pathlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time

import sipp

DIALOGS = 20
ALICE = f"sip:alice.mobile@{sipp.DOMAIN}"
NUMBER = "tel:+447700900101"
ROOT = sipp.HERE.parents[1]


def write_config(path, ports):
    """A home network on ports of its own, which trusts one application server."""
    pcscf, icscf, scscf, hss, web = ports
    path.write_text(
        "network: {mcc: '001', mnc: '01'}\nnodes:\n"
        f"  pcscf: {{listen: '127.0.0.1:{pcscf}'}}\n  icscf: {{listen: '127.0.0.1:{icscf}'}}\n"
        f"  scscf: {{listen: '127.0.0.1:{scscf}', application-servers: ['sip:as.{sipp.DOMAIN}']}}\n"
        f"  hss: {{listen: '127.0.0.1:{hss}'}}\nstore: {{kind: memory}}\nsubscribers: [{ROOT / 'config' / 'smiths.yaml'}]\n"
        f"web: {{listen: '127.0.0.1:{web}'}}\nlog: warning\n")


def until(look, seconds=15):
    """Waits until look says something."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if look():
            return True
        time.sleep(0.05)
    return False


def subscribe(port, asserted):
    """The answer to a SUBSCRIBE of somebody who says who he is."""
    with socket.socket(type=socket.SOCK_DGRAM) as s:
        s.bind(("127.0.0.1", 0))
        s.settimeout(5)
        here = f"127.0.0.1:{s.getsockname()[1]}"
        s.sendto((f"SUBSCRIBE {ALICE} SIP/2.0\r\nVia: SIP/2.0/UDP {here};branch=z9hG4bK{here}\r\nFrom: <{asserted}>;tag=1\r\n"
                  f"To: <{ALICE}>\r\nCall-ID: {here}\r\nCSeq: 1 SUBSCRIBE\r\nMax-Forwards: 70\r\nContact: <sip:{here}>\r\n"
                  f"P-Asserted-Identity: <{asserted}>\r\nEvent: reg\r\nExpires: 600\r\nContent-Length: 0\r\n\r\n").encode(),
                 ("127.0.0.1", port))
        return s.recv(65535).decode().split("\r\n")[0]


def documents(log):
    """The bodies of the NOTIFYs that SIPp logged."""
    return [found[0] for received, text in sipp.messages(log) if received and text.startswith("NOTIFY")
            for found in [re.search(r"<\?xml.*</reginfo>", text, re.DOTALL)] if found]


def xmllint(directory, bodies):
    """What xmllint finds wrong with them."""
    files = []
    for n, body in enumerate(bodies):
        files.append(directory / f"{n}.xml")
        files[-1].write_text(body)
    done = subprocess.run(["xmllint", "--noout", "--nonet", "--schema", str(ROOT / "spec" / "reginfo.xsd"), *map(str, files)],
                          capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else done.stderr[-800:]


def check(directory, ports):
    """TAP."""
    print("1..6")
    config, web = str(directory / "home.yaml"), ("--web", f"http://127.0.0.1:{ports[4]}")
    log = directory / "ue.log"
    with log.open("w") as out:
        terminal = subprocess.Popen([sipp.MUSTER, "ue", "register", "alice", "--stay", "-c", config], stdout=out, stderr=out)
    try:
        good = sipp.ok(1, until(lambda: "stays registered" in log.read_text()), "a terminal is registered")
        caller = subprocess.Popen(
            ["sipp", f"127.0.0.1:{ports[2]}", "-sf", str(sipp.HERE / "sipp" / "reg_event.xml"), "-i", "127.0.0.1", "-m", str(DIALOGS),
             "-r", "200", "-nostdin", "-key", "domain", sipp.DOMAIN, "-key", "user", ALICE, "-timeout", "20", "-timeout_error",
             "-trace_msg", "-message_file", "messages.log", "-trace_err", "-error_file", "errors.log"],
            cwd=directory, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, errors="replace")
        messages = directory / "messages.log"
        told = until(lambda: messages.exists() and len(documents(messages)) >= DIALOGS)
        good &= sipp.ok(2, told, f"{DIALOGS} subscriptions are told all there is")
        good &= sipp.ok(3, "403" in subscribe(ports[2], f"sip:other.{sipp.DOMAIN}")
                        and "403" in subscribe(ports[2], f"sip:bob.mobile@{sipp.DOMAIN}"), "others may not subscribe")
        barred = sipp.muster("sub", "set", *web, NUMBER, "barred=true")
        error = caller.communicate(timeout=30)[1]
        good &= sipp.ok(4, barred.returncode == 0 and caller.returncode == 0,
                        f"they hear of a change, refresh, and leave {barred.stderr} {error[-300:]}")
        bodies = documents(messages)
        fault = xmllint(directory, bodies)
        good &= sipp.ok(5, len(bodies) == 4 * DIALOGS and not fault, f"{len(bodies)} documents are valid {fault}")
        wrong = xmllint(directory, [bodies[0].replace('state="active" event', 'event')]) if bodies else ""
        good &= sipp.ok(6, "attribute 'state' is required" in wrong, "one without a state would not be")
        return good
    finally:
        terminal.terminate()
        terminal.wait(20)


def main():
    for program in ("sipp", "xmllint"):
        if not shutil.which(program):
            print(f"skipped, needs {program}")
            return 77
    with tempfile.TemporaryDirectory(prefix="muster-reg-event-") as name:
        directory = pathlib.Path(name)
        ports = sipp.free_ports(5)
        write_config(directory / "home.yaml", ports)
        log = directory / "core.log"
        with log.open("w") as out:
            core = subprocess.Popen([sipp.MUSTER, "run", "-c", str(directory / "home.yaml")], stdout=out, stderr=out)
        try:
            if not sipp.wait_until_ready(core, log):
                print("1..1\nnot ok 1 - the home network starts\n" + log.read_text(errors="replace")[-3000:])
                return 1
            good = check(directory, ports)
            core.terminate()
            good &= core.wait(20) == 0
            if not good:
                print(log.read_text(errors="replace")[-3000:])
            return 0 if good else 1
        finally:
            if core.poll() is None:
                core.kill()
                core.wait()


if __name__ == "__main__":
    sys.exit(main())
