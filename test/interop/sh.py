#!/usr/bin/python3
"""A Diameter peer that shares no code with Muster is an application server: UDR, PUR, SNR and PNR over a TCP socket.

covers: HB6

It packs and unpacks AVPs with Python's struct module. xmllint reads every Sh-Data document that comes by spec/shdata.xsd, tshark
every message of Muster's own capture. Bad requests: entities, a depth of 100,000, too much data, a wrong sequence number, an unknown Data-Reference, an
application server without permission; the log says who asked."""

import os
import pathlib
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time

from freediameter import DOMAIN, MUSTER, Program, Report

ROOT = pathlib.Path(__file__).resolve().parents[2]
HOST = f"127.5.{os.getpid() % 250 + 1}.{os.getpid() // 250 % 250 + 1}"  # of this run alone
SH, TGPP = 16777217, 10415
UDR, PUR, SNR, PNR, CER, DWR = 306, 307, 308, 309, 257, 280
ALICE = f"sip:alice.mobile@{DOMAIN}"

NETWORK = f"""network: {{mcc: "001", mnc: "01"}}
nodes:
  hss:
    listen: {HOST}:3868
    peers: {{as.{DOMAIN}: as, as-2.{DOMAIN}: as, as-3.{DOMAIN}: as}}
    application-servers:
      as.{DOMAIN}: {{udr: all, pur: all, snr: all}}
      as-2.{DOMAIN}: {{udr: all, pur: all, snr: all}}
    repository-bytes-max: 1000
store: {{kind: lmdb, path: store}}
web: {{listen: {HOST}:8080}}
subscribers: [smiths.yaml]
log: info
"""


def avp(code, value, vendor=0):
    """An AVP with the M bit; a list is a group, a number four bytes."""
    if isinstance(value, int):
        value = struct.pack("!I", value)
    elif isinstance(value, list):
        value = b"".join(value)
    elif isinstance(value, str):
        value = value.encode()
    head = struct.pack("!II", code, (0xC0 if vendor else 0x40) << 24 | (12 if vendor else 8) + len(value))
    return head + (struct.pack("!I", vendor) if vendor else b"") + value + bytes(-len(value) % 4)


def avps_of(data):
    """{(vendor, code): value}, the first of each kind."""
    found = {}
    while data:
        code, rest = struct.unpack("!II", data[:8])
        length, vendor = rest & 0xFFFFFF, 0
        start = 8
        if rest >> 31:
            vendor, start = struct.unpack("!I", data[8:12])[0], 12
        found.setdefault((vendor, code), data[start:length])
        data = data[length + -length % 4 :]
    return found


class Peer:
    """A Diameter connection with CER and CEA; answers what the HSS asks in between."""

    def __init__(self, name):
        self.host, self.ids, self.notified = f"{name}.{DOMAIN}", 0, []
        self.stream = socket.create_connection((HOST, 3868), timeout=5)
        self.answer = 2001
        found = self.ask(CER, [avp(257, b"\0\1" + socket.inet_aton("127.0.0.1")), avp(266, 0), avp(269, "python"), self.application(SH)], 0)
        self.result = self.result_of(found)
        self.advertised = struct.pack("!I", SH) in found.get("all", b"")

    @staticmethod
    def application(number):
        return avp(260, [avp(266, TGPP), avp(258, number)])

    @staticmethod
    def result_of(found):
        """Result-Code, or Experimental-Result-Code."""
        value = found.get((0, 268)) or avps_of(found[(0, 297)])[(0, 298)]
        return struct.unpack("!I", value)[0]

    def send(self, flags, command, application, body, ids):
        self.stream.sendall(struct.pack("!IIIII", 1 << 24 | 20 + len(body), flags << 24 | command, application, *ids) + body)

    def receive(self):
        """The next message: header fields and AVPs."""
        head = self.exactly(20)
        length, command, application, hop, end = struct.unpack("!IIIII", head)
        return command >> 24, command & 0xFFFFFF, application, (hop, end), self.exactly((length & 0xFFFFFF) - 20)

    def exactly(self, n):
        data = b""
        while len(data) < n:
            more = self.stream.recv(n - len(data))
            if not more:
                raise ConnectionError("closed")
            data += more
        return data

    def serve(self, message):
        """Answers a request of the HSS."""
        _, command, application, ids, body = message
        found = avps_of(body)
        session = [avp(263, found[(0, 263)])] if (0, 263) in found else []
        identity = [avp(264, self.host), avp(296, DOMAIN)]
        if command == PNR:
            self.notified.append(found)
            result = [avp(268, self.answer)] if self.answer < 5000 else [avp(297, [avp(266, TGPP), avp(298, self.answer)])]
            self.send(0x40, PNR, SH, b"".join([*session, self.application(SH), *result, avp(277, 1), *identity]), ids)
        else:
            self.send(0, command, application, b"".join([*session, avp(268, 2001), *identity]), ids)

    def ask(self, command, avps, application=SH):
        """A request and its answer, as AVPs."""
        self.ids += 1
        base = [avp(264, self.host), avp(296, DOMAIN)]
        if application:
            base = [avp(263, f"{self.host};1;{self.ids}"), self.application(SH), avp(277, 1), *base, avp(283, DOMAIN)]
        self.send(0xC0 if application else 0x80, command, application, b"".join(base + avps), (self.ids, self.ids))
        while True:
            message = self.receive()
            if message[0] & 0x80:
                self.serve(message)
            elif message[3] == (self.ids, self.ids):
                return avps_of(message[4]) | {"all": message[4]}

    def wait_for_notification(self, seconds=5):
        """The next PNR's User-Data, or None."""
        self.stream.settimeout(seconds)
        try:
            while not self.notified:
                self.serve(self.receive())
        except TimeoutError:
            return None
        finally:
            self.stream.settimeout(5)
        return self.notified.pop(0).get((TGPP, 702))


def who(impu):
    return avp(700, [avp(601, impu, TGPP)], TGPP)


def references(*numbers):
    return [avp(703, n, TGPP) for n in numbers]


BOX = avp(704, "voicemail", TGPP)


def repository(number, data):
    inside = f"<ServiceData>{data}</ServiceData>" if data is not None else ""
    return (f"<?xml version='1.0'?><Sh-Data><RepositoryData><ServiceIndication>voicemail</ServiceIndication>"
            f"<SequenceNumber>{number}</SequenceNumber>{inside}</RepositoryData></Sh-Data>")  # fmt: skip


class Test:
    """What is asked, and what is made of it."""

    def __init__(self, report, folder):
        self.report, self.folder, self.documents = report, folder, []

    def result(self, peer, command, *avps):
        found = peer.ask(command, list(avps))
        document = found.get((TGPP, 702))
        if document is not None:
            self.documents.append(document)
        return peer.result_of(found), (document or b"").decode()

    def update(self, peer, document):
        return self.result(peer, PUR, who(ALICE), *references(0), avp(702, document, TGPP))[0]

    def pulls(self, peer):
        check = self.report.check
        code, text = self.result(peer, UDR, who(ALICE), *references(10, 11, 12, 16, 17), avp(708, 0, TGPP))
        check(code == 2001 and ALICE in text and "<IMSUserState>0<" in text and "<MSISDN>447700900101<" in text,
              "UDR: identities, state, S-CSCF, charging, MSISDN in one answer", f"{code} {text}")  # fmt: skip
        sets = [avp(708, n, TGPP) for n in range(4)]
        code, text = self.result(peer, UDR, who(f"sip:cedric@{DOMAIN}"), *references(10, 13), *sets, avp(602, "sip:as.example.com", TGPP))
        check(code == 2001 and text.count("tel:+447700900103") == 3 and "<RegisteredIdentities></" in text and "<IFCs>" in text,
              "UDR: the four Identity-Sets, filter criteria of a Server-Name", f"{code} {text}")  # fmt: skip
        packed = bytes.fromhex("447700091010")
        code, text = self.result(peer, UDR, avp(700, [avp(701, packed, TGPP)], TGPP), *references(17))
        check(code == 2001 and "447700900101" in text, "UDR by MSISDN, packed", f"{code} {text}")
        code, text = self.result(peer, UDR, who(ALICE), *references(14), avp(706, 0, TGPP))
        check(code == 4100 and not text, "location is another domain's: 4100", f"{code} {text}")
        code, text = self.result(peer, UDR, who("sip:nobody@example.com"), *references(11))
        check(code == 5001, "nobody of that name: 5001", str(code))
        code, _ = self.result(peer, UDR, who(ALICE), *references(99))
        check(code == 5004, "a Data-Reference that does not exist: 5004", str(code))

    def updates(self, peer, other):
        check = self.report.check
        codes = [self.update(peer, repository(n, d)) for n, d in ((1, "x"), (0, "<v:a xmlns:v='urn:v'>1</v:a>"), (0, "x"), (2, "x"), (1, "<b/>"))]
        check(codes == [5105, 2001, 5105, 5105, 2001], "PUR: the next sequence number and no other", str(codes))
        nested = "<a>" * 100000 + "</a>" * 100000
        began = time.monotonic()
        codes = [self.update(peer, d) for d in (
            "<!DOCTYPE a [<!ENTITY b 'c'>]>" + repository(2, "&b;"),
            "<!DOCTYPE a SYSTEM 'file:///etc/passwd'>" + repository(2, "x"),
            "no XML", repository(2, nested))]  # fmt: skip
        check(codes == [5100] * 4 and time.monotonic() - began < 2, "entities, DTDs, no XML, depth: 5100, quickly", str(codes))
        check(self.update(peer, repository(2, "x" * 1001)) == 5008, "more than repository-bytes-max: 5008")
        code, text = self.result(other, UDR, who(ALICE), *references(0), BOX)
        check(code == 2001 and "<SequenceNumber>1</SequenceNumber><ServiceData><b/></ServiceData>" in text,
              "after all that the data is what the last good PUR wrote", f"{code} {text}")  # fmt: skip

    def notifications(self, peer, other):
        check = self.report.check
        code, text = self.result(other, SNR, who(ALICE), BOX, avp(710, 1, TGPP), avp(705, 0, TGPP), *references(0))
        check(code == 2001 and "<b/>" in text, "SNR with Send-Data-Indication: the data in SNA", f"{code} {text}")
        code = self.update(peer, repository(2, "<c/>"))
        document = other.wait_for_notification()
        self.documents.append(document or b"")
        check(code == 2001 and document and b"<c/>" in document, "another server's PUR: PNR", repr(document))
        code, _ = self.result(other, SNR, who(ALICE), BOX, avp(705, 1, TGPP), *references(0))
        self.update(peer, repository(3, None))
        check(code == 2001 and other.wait_for_notification(0.5) is None, "unsubscribed: no PNR")

    def strangers(self):
        check = self.report.check
        third, nobody = Peer("as-3"), Peer("stranger")
        codes = [self.result(third, UDR, who(ALICE), *references(11))[0], self.update(third, repository(0, "x")),
                 self.result(third, SNR, who(ALICE), avp(705, 0, TGPP), *references(11))[0]]  # fmt: skip
        check(codes == [5102, 5103, 5104], "without permission: 5102, 5103, 5104", str(codes))
        check(nobody.result == 3010, "not configured: CEA 3010", str(nobody.result))


def lint(report, folder, documents):
    """All documents by the schema."""
    paths = []
    for i, document in enumerate(documents):
        paths.append(folder / f"document-{i}.xml")
        paths[-1].write_bytes(document)
    done = subprocess.run(["xmllint", "--noout", "--schema", ROOT / "spec/shdata.xsd", *paths], capture_output=True, text=True, check=False)
    report.check(done.returncode == 0 and len(paths) >= 6, f"{len(paths)} documents are valid by spec/shdata.xsd", done.stderr)


def capture(report, folder):
    """tshark on Muster's capture."""
    path = folder / "sh.pcapng"
    subprocess.run([MUSTER, "trace", "-c", "network.yaml", "-o", path], cwd=folder, capture_output=True, check=False, timeout=20)
    fields = ["-e", "diameter.cmd.code", "-e", "_ws.malformed", "-e", "diameter.avp.unknown"]
    done = subprocess.run(["tshark", "-r", path, "-T", "fields", *fields], capture_output=True, text=True, check=False)
    rows = [line.split("\t") for line in done.stdout.splitlines() if line.strip()]
    codes = {code for row in rows for code in row[0].split(",")}
    report.check({"306", "307", "308", "309"} <= codes, "tshark sees UDR, PUR, SNR and PNR", done.stdout[-500:] + done.stderr)
    report.check(not any(row[1:] != ["", ""] for row in rows), "nothing malformed, no unknown AVP", done.stdout[-1500:])


def main():
    for program in ("xmllint", "tshark"):
        if not shutil.which(program):
            print(f"skipped, needs {program}")
            return 77
    report = Report()
    with tempfile.TemporaryDirectory(prefix="muster-sh-") as name:
        folder = pathlib.Path(name)
        (folder / "network.yaml").write_text(NETWORK)
        shutil.copy(ROOT / "config/smiths.yaml", folder)
        muster = Program(folder, "muster", [MUSTER, "run", "-c", "network.yaml"])
        try:
            if not muster.wait_for("ready", 15):
                report.check(False, "Muster runs", muster.said())
                return 1
            first, second = Peer("as"), Peer("as-2")
            report.check(first.result == 2001 and first.advertised, "CER, CEA: the HSS announces Sh")
            test = Test(report, folder)
            test.pulls(first)
            test.updates(first, second)
            test.notifications(first, second)
            test.strangers()
            said = muster.said()
            report.check(f"as-3.{DOMAIN}" in said and "as-not-permitted" in said, "the log says who asked", said[-2000:])
            lint(report, folder, test.documents)
            capture(report, folder)
        finally:
            report.check(muster.end(signal.SIGTERM) == 0, "Muster ends in order", muster.said()[-1500:])
    print(f"1..{report.n}")
    return 1 if report.failed else 0


if __name__ == "__main__":
    sys.exit(main())
