#!/usr/bin/python3
"""SIPp (Debian's sip-tester) registers 200 users with AKAv1-MD5 and registers them again.

covers: A4 A5 A6 A7 A8 A10 A11

SIPp 3.6.1 treats RES as a C string: with a zero byte in it, its response is wrong (about 3 % of all vectors).
Then the S-CSCF challenges again and the scenario answers again (attempts-max is high: several such vectors may
follow each other). So that this excuses nothing else, RES is computed here
from K, OP and RAND for every refused answer: each must hold a zero byte."""

import base64
import os
import pathlib
import random
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time

USERS = 200
RUNS = 3
DOMAIN = "ims.mnc001.mcc001.3gppnetwork.org"
HERE = pathlib.Path(__file__).resolve().parent
MUSTER = os.environ.get("MUSTER", str(HERE.parents[1] / "build" / "muster"))


def free_ports(count):
    """Port numbers that nobody uses now, for UDP and TCP."""
    held, ports = [], []
    while len(ports) < count:
        tcp, udp = socket.socket(), socket.socket(type=socket.SOCK_DGRAM)
        tcp.bind(("127.0.0.1", 0))
        held.append(tcp)
        port = tcp.getsockname()[1]
        try:
            udp.bind(("127.0.0.1", port))
        except OSError:
            continue
        held.append(udp)
        ports.append(port)
    for one in held:
        one.close()
    return ports


def key(rng):
    """16 random bytes in hexadecimal. SIPp decodes them before it reads its keyword, and then takes a bracket, a blank
    or a zero among them for the keyword's: only letters, digits and bytes above 127 are safe."""
    safe = [b for b in range(256) if b > 127 or chr(b).isalnum()]
    return bytes(rng.choice(safe) for _ in range(16)).hex()


def aes(k, block):
    """One block of AES-128."""
    command = ["openssl", "enc", "-aes-128-ecb", "-nopad", "-K", k]
    return subprocess.run(command, input=block, capture_output=True, check=True).stdout


def xor(a, b):
    return bytes(x ^ y for x, y in zip(a, b))


def milenage_res(k, op, rand):
    """f2 of TS 35.206."""
    opc = xor(aes(k, bytes.fromhex(op)), bytes.fromhex(op))
    temp = aes(k, xor(rand, opc))
    c2 = bytes(15) + b"\x01"
    return xor(aes(k, xor(xor(temp, opc), c2)), opc)[8:]


def users():
    """IMSI, K and OP of each user; the same in each run."""
    rng = random.Random(3261)
    return [(f"0010190000{n:05d}", key(rng), key(rng)) for n in range(USERS)]


def write_csv(path, people):
    """SIPp's user file: IMPI, IMPU, and the whole authentication keyword."""
    lines = ["SEQUENTIAL"]
    for imsi, k, op in people:
        impi = f"{imsi}@{DOMAIN}"
        keyword = f"[authentication username={impi} aka_K=0x{k} aka_OP=0x{op} aka_AMF=0x8000]"
        lines.append(f"{impi};sip:{msisdn(imsi)}@{DOMAIN};{keyword}")
    path.write_text("\n".join(lines) + "\n")


def msisdn(imsi):
    return "+44790" + imsi[-7:]


def write_subscribers(path, people):
    """What `muster sub import` reads: a JSON object a line."""
    path.write_text("".join(
        f'{{"imsi": "{imsi}", "msisdn": "{msisdn(imsi)}", "k": "{k}", "op": "{op}", "amf": "8000"}}\n'
        for imsi, k, op in people))


def write_config(path, ports, directory):
    """A home network on ports of its own."""
    pcscf, icscf, scscf, hss, web = ports
    path.write_text(
        "network: {mcc: '001', mnc: '01'}\nnodes:\n"
        f"  pcscf: {{listen: '127.0.0.1:{pcscf}'}}\n  icscf: {{listen: '127.0.0.1:{icscf}'}}\n"
        f"  scscf: {{listen: '127.0.0.1:{scscf}', attempts-max: 100}}\n  hss: {{listen: '127.0.0.1:{hss}'}}\n"
        f"store: {{kind: lmdb, path: '{directory}/store'}}\n"
        f"web: {{listen: '127.0.0.1:{web}'}}\nlog: warning\n")


def messages(path):
    """The messages that SIPp logged, as (received, text)."""
    for part in re.split(r"-{20,}[^\n]*\n", path.read_text(errors="replace")):
        head = re.match(r"\w+ message (sent|received)[^\n]*\n+", part)
        if head:
            yield head[1] == "received", part[head.end():]


def header(text, name):
    found = re.search(rf"^{name}:\s*(.*?)\r?$", text, re.MULTILINE | re.IGNORECASE)
    return found[1] if found else ""


def refused_answers(path):
    """The first answers to a nonce that a 401 followed, as (IMPI, RAND); and how many answers there were."""
    asked, seen, refused = {}, set(), []
    for received, text in messages(path):
        who = header(text, "Call-ID"), header(text, "CSeq")
        credentials = header(text, "Authorization")
        if not received and text.startswith("REGISTER"):
            nonce = re.search(r'\bnonce="([^"]+)"', credentials)
            if nonce and nonce[1] not in seen:
                seen.add(nonce[1])
                impi = re.search(r'username="([^"]+)"', credentials)[1]
                asked[who] = impi, base64.b64decode(nonce[1])[:16]
        elif received and text.startswith("SIP/2.0 401") and who in asked:
            refused.append(asked.pop(who))
    return refused, len(seen)


def run_sipp(directory, ports):
    """Runs the scenario; True if every user got through. Once in some dozen runs SIPp calls a keyword of its own making
    invalid and ends at once, before anything was answered: then, and only then, it is started again."""
    command = [
        "sipp", f"127.0.0.1:{ports[0]}", "-sf", str(HERE / "sipp" / "register.xml"), "-inf", "users.csv",
        "-i", "127.0.0.1", "-m", str(USERS), "-r", "100", "-l", str(USERS), "-nostdin",
        "-key", "domain", DOMAIN, "-auth_uri", DOMAIN, "-timeout", "60", "-timeout_error", "-trace_msg",
        "-message_file", "messages.log", "-trace_err", "-error_file", "errors.log"]
    for _ in range(RUNS):
        done = subprocess.run(command, cwd=directory, stdout=subprocess.DEVNULL,
                              stderr=subprocess.PIPE, text=True, errors="replace", check=False)
        if done.returncode == 0 or "invalid [keyword]" not in done.stderr:
            break
        print("# SIPp stopped at its own scenario and is started again: " + done.stderr.strip()[-120:].replace("\n", " "))
    sys.stderr.write(done.stderr)
    return done.returncode == 0


def ok(number, good, text):
    """One line of TAP."""
    print(f"{'ok' if good else 'not ok'} {number} - {text}", flush=True)
    return good


def muster(*arguments):
    """Runs a muster command to its end."""
    return subprocess.run([MUSTER, *arguments], capture_output=True, text=True, check=False)


def wait_until_ready(core, log, seconds=20):
    """Waits for the line that says the network is up."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and core.poll() is None:
        if "ready" in log.read_text(errors="replace").lower():
            return True
        time.sleep(0.05)
    return False


def check(directory, ports, people):
    """Imports, registers, looks; prints TAP."""
    print("1..4")
    web = f"http://127.0.0.1:{ports[4]}"
    imported = muster("sub", "import", "--web", web, str(directory / "users.ndjson"))
    good = ok(1, imported.returncode == 0, f"{USERS} users imported {imported.stderr.strip()[:200]}")
    good &= ok(2, run_sipp(directory, ports), f"SIPp registered {USERS} users and registered them again")
    refused, answers = refused_answers(directory / "messages.log")
    keys = {f"{imsi}@{DOMAIN}": (k, op) for imsi, k, op in people}
    innocent = [impi for impi, rand in refused if 0 not in milenage_res(*keys[impi], rand)]
    good &= ok(3, not innocent and answers >= USERS,
               f"{len(refused)} of {answers} answers refused, each with a zero byte in RES (SIPp's defect)")
    shown = muster("sub", "show", "--web", web, f"sip:{msisdn(people[-1][0])}@{DOMAIN}")
    good &= ok(4, "scscf" in shown.stdout and shown.returncode == 0, "muster sub show names the S-CSCF of a user")
    return good


def main():
    if not shutil.which("sipp"):
        print("skipped, needs sipp")
        return 77
    with tempfile.TemporaryDirectory(prefix="muster-sipp-") as name:
        directory = pathlib.Path(name)
        ports = free_ports(5)
        people = users()
        write_csv(directory / "users.csv", people)
        write_subscribers(directory / "users.ndjson", people)
        write_config(directory / "home.yaml", ports, directory)
        log = directory / "core.log"
        with log.open("w") as out:
            core = subprocess.Popen([MUSTER, "run", "-c", str(directory / "home.yaml")], stdout=out, stderr=out)
        try:
            if not wait_until_ready(core, log):
                print("1..1\nnot ok 1 - the home network starts\n" + log.read_text(errors="replace")[-3000:])
                return 1
            good = check(directory, ports, people)
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
