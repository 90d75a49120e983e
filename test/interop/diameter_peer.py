"""A Diameter peer of a test's own (RFC 6733, TS 29.229): builds and reads messages by hand, plays an S-CSCF.

It shares nothing with Muster's codec, so that both have to mean the same by the standard."""

import itertools
import queue
import socket
import struct
import threading

CX, VENDOR = 16777216, 10415
CER, DWR, DPR = 257, 280, 282
SAR, MAR, RTR, PPR = 301, 303, 304, 305
USER_NAME, PUBLIC_IDENTITY, SERVER_NAME, USER_DATA = 1, 601, 602, 606
ASSIGNMENT_TYPE, REASON, REASON_CODE, REASON_INFO = 614, 615, 616, 617
CHARGING, PRIMARY_CCF, AUTH_ITEM, ASSOCIATED = 618, 621, 612, 632
RESULT, EXPERIMENTAL, EXPERIMENTAL_CODE = 268, 297, 298
USER_UNKNOWN, TOO_MUCH_DATA = 5001, 5008
PERMANENT_TERMINATION, NEW_SERVER_ASSIGNED, SERVER_CHANGE, REMOVE_SCSCF = range(4)


def avp(code, value, vendor=0):
    """An AVP: bytes, a text, a number, or a list of AVPs."""
    if isinstance(value, list):
        value = b"".join(value)
    elif isinstance(value, int):
        value = struct.pack("!I", value)
    elif isinstance(value, str):
        value = value.encode()
    head = 12 if vendor else 8
    flags = 0xC0 if vendor else 0x40
    data = struct.pack("!II", code, flags << 24 | head + len(value))
    data += (struct.pack("!I", vendor) if vendor else b"") + value
    return data + b"\0" * (-len(data) % 4)


def cx(code, value):
    """An AVP of 3GPP."""
    return avp(code, value, VENDOR)


def avps(data):
    """All AVPs of a group or message, in order: (code, bytes)."""
    at = 0
    while at < len(data):
        code, rest = struct.unpack("!II", data[at:at + 8])
        n = rest & 0xFFFFFF
        head = 12 if rest >> 24 & 0x80 else 8
        yield code, data[at + head:at + n]
        at += n + -n % 4


class Message:
    """What came."""

    def __init__(self, data):
        self.request = bool(data[4] & 0x80)
        self.command = struct.unpack("!I", data[4:8])[0] & 0xFFFFFF
        self.application, self.hop, self.end = struct.unpack("!III", data[8:20])
        self.all = list(avps(data[20:]))

    def get(self, *path):
        """The first AVP of a path of codes, as bytes; None: there is none."""
        found = self.all
        for code in path[:-1]:
            inner = next((v for c, v in found if c == code), b"")
            found = list(avps(inner))
        return next((v for c, v in found if c == path[-1]), None)

    def text(self, *path):
        """The same as text."""
        value = self.get(*path)
        return value.decode() if value is not None else None

    def number(self, *path):
        """The same as a number."""
        value = self.get(*path)
        return struct.unpack("!I", value)[0] if value else None

    def texts(self, *path):
        """All AVPs of the last code, as texts."""
        inner = self.all if len(path) == 1 else list(avps(self.get(*path[:-1]) or b""))
        return [v.decode() for c, v in inner if c == path[-1]]


class Peer:
    """A client with one connection. It answers CER's kin by itself; RTR and PPR wait in `asked`, and answer() says
    what becomes of them."""

    def __init__(self, address, host, realm):
        self.host, self.realm = host, realm
        self.asked, self.answers = queue.Queue(), queue.Queue()
        self.numbers = itertools.count(1)
        self.socket = socket.create_connection(address, 10)
        own = socket.inet_aton(self.socket.getsockname()[0])
        self.send(CER, 0, [avp(257, b"\0\1" + own), avp(266, VENDOR), avp(269, "peer"), avp(265, VENDOR),
                           avp(260, [avp(266, VENDOR), avp(258, CX)])])
        threading.Thread(target=self._read, daemon=True).start()
        answer = self.answers.get(timeout=10)
        assert answer.number(RESULT) == 2001, answer.all

    def close(self):
        """Ends the connection as a crash does."""
        self.socket.close()

    def _origin(self):
        return avp(264, self.host) + avp(296, self.realm)

    def _write(self, flags, command, application, hop, end, body):
        data = struct.pack("!II", 1 << 24 | 20 + len(body), flags << 24 | command)
        self.socket.sendall(data + struct.pack("!III", application, hop, end) + body)

    def send(self, command, application, body):
        """A request."""
        n = next(self.numbers)
        self._write(0x80 | (0x40 if application else 0), command, application, n, n, self._origin() + b"".join(body))

    def ask(self, command, body):
        """A request of Cx, and its answer."""
        session = avp(263, f"{self.host};1;{next(self.numbers)}")
        common = [session, avp(260, [avp(266, VENDOR), avp(258, CX)]), avp(277, 1), avp(283, self.realm)]
        self.send(command, CX, common + body)
        return self.answers.get(timeout=10)

    def answer(self, message, result=2001, more=()):
        """Answers; results from 5001 to 5999 that Cx has of its own are experimental ones."""
        own = result in (USER_UNKNOWN, TOO_MUCH_DATA)
        said = (avp(EXPERIMENTAL, [avp(266, VENDOR), avp(EXPERIMENTAL_CODE, result)]) if own else avp(RESULT, result))
        body = avp(263, message.get(263)) + avp(260, [avp(266, VENDOR), avp(258, CX)]) + said
        body += avp(277, 1) + self._origin() + b"".join(more)
        self._write(0x40, message.command, CX, message.hop, message.end, body)

    def wait(self):
        """The next RTR or PPR."""
        return self.asked.get(timeout=10)

    def is_left_alone(self, seconds=0.3):
        """Does no RTR or PPR come for a while?"""
        try:
            self.asked.get(timeout=seconds)
        except queue.Empty:
            return True
        return False

    def _take(self, n):
        data = b""
        while len(data) < n:
            more = self.socket.recv(n - len(data))
            if not more:
                raise ConnectionError
            data += more
        return data

    def _read(self):
        try:
            while True:
                head = self._take(4)
                message = Message(head + self._take((struct.unpack("!I", head)[0] & 0xFFFFFF) - 4))
                if not message.request:
                    self.answers.put(message)
                elif message.command in (DWR, DPR):
                    self._write(0, message.command, 0, message.hop, message.end, avp(RESULT, 2001) + self._origin())
                else:
                    self.asked.put(message)
        except OSError:
            pass
