"""Digest beside Python's hashlib: 10,000 random users, realms and passwords, with odd characters, zero bytes and
UTF-8, for MD5 and SHA-256, without qop, with auth and with auth-int.

usage: test_digest_python.py DIGEST_LINES"""

import hashlib
import random
import subprocess
import sys

COUNT = 10000
ODD = ['"', "\\", ":", "@", " ", "%", "\x00", "\x7f", "ä", "ß", "€", "日本", "🔑", "'", ",", ";", "=", "<", ">"]


def text(rng, longest):
    """Random bytes of valid UTF-8 with many odd characters; empty now and then."""
    n = rng.randrange(longest + 1)
    return "".join(rng.choice(ODD) if rng.random() < 0.3 else chr(rng.randrange(33, 127)) for _ in range(n)).encode()


def case(rng):
    """hash, qop, and the eight fields."""
    fields = [text(rng, n) for n in (40, 40, 60, 12, 60, 44, 20, 200)]
    return rng.choice(["md5", "sha256"]), rng.choice(["none", "auth", "auth-int"]), fields


def expected(name, qop, fields):
    """RFC 7616 3.4, written down here."""
    user, realm, password, method, uri, nonce, cnonce, body = fields

    def digest(*parts):
        return hashlib.new(name, b":".join(parts)).hexdigest().encode()

    ha1 = digest(user, realm, password)
    ha2 = digest(method, uri, digest(body)) if qop == "auth-int" else digest(method, uri)
    middle = [nonce] if qop == "none" else [nonce, b"0000002a", cnonce, qop.encode()]
    return f"{ha1.decode()} {digest(ha1, *middle, ha2).decode()}"


def main():
    """Compares all of them; says which one differs."""
    rng = random.Random(7616)
    cases = [case(rng) for _ in range(COUNT)]
    lines = "".join(f"{name} {qop} {' '.join(f.hex() or '-' for f in fields)}\n" for name, qop, fields in cases)
    done = subprocess.run([sys.argv[1]], input=lines, capture_output=True, text=True, check=False)
    answers = done.stdout.splitlines()
    for one, answer in zip(cases, answers):
        if expected(*one) != answer:
            print(f"differs: {one}\nexpected {expected(*one)}\ngot      {answer}")
            return 1
    print(f"{len(answers)} of {COUNT} are equal")
    return 0 if len(answers) == COUNT and done.returncode == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
