"""Compares spec/diameter/ with Wireshark's dictionary: code, type and M bit of every AVP, values of the
enumerations. Differences stand below, each with its reason; one that is gone is an error too.
Exit status 77 (skipped) without Wireshark's dictionary."""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "tools"))
from gen.diameter import Model  # noqa: E402

DICTIONARY = pathlib.Path("/usr/share/wireshark/diameter")
VENDORS = {None: 0, "None": 0, "TGPP": 10415, "ETSI": 13019}
TYPES = {
    "OctetString": {"OctetString", "OctetStringOrUTF8", "IPAddress"},
    "UTF8String": {"UTF8String", "OctetStringOrUTF8", "OctetString"},
    "DiameterIdentity": {"DiameterIdentity"},
    "DiameterURI": {"DiameterURI"},
    "Unsigned32": {"Unsigned32", "AppId", "VendorId"},
    "Unsigned64": {"Unsigned64"},
    "Enumerated": {"Enumerated"},
    "Address": {"IPAddress"},
    "Time": {"Time"},
    "Grouped": {"Grouped"},
}

# (name, what): why ours differs.
M_CLEAR = "TS 29.229 table 6.3.1 says M must not be set (V alone)"
DIFFERENCES = {
    ("Digest-Realm", "M"): "TS 29.229 table 6.3.1: M must be set; Wireshark has RFC 4740 without a rule",
    ("Digest-QoP", "M"): "the same",
    ("Digest-Algorithm", "M"): "the same",
    ("Digest-HA1", "M"): "the same",
    ("Result-Code", "type"): "RFC 6733 7.1: Unsigned32; Wireshark names the values",
    ("Experimental-Result-Code", "type"): "RFC 6733 7.7: Unsigned32; Wireshark names the values",
    ("Session-Binding", "type"): "RFC 6733 8.17: Unsigned32, a bit mask",
    ("Authorization-Lifetime", "type"): "RFC 6733 8.9: Unsigned32; it was Integer32 in RFC 3588",
    ("Inband-Security-Id", "type"): "RFC 6733 6.10: Unsigned32; Wireshark names the values",
    ("Termination-Cause", "values"): "RFC 6733 8.15: 1 to 8; Wireshark adds those of RADIUS (RFC 7155)",
    ("OC-Report-Type", "values"): "RFC 7683 7.6: two; Wireshark adds RFC 8581's",
    ("Supported-Features", "M"): "TS 29.229 7.2.1: set only for what the receiver must understand",
    ("Feature-List-ID", "M"): M_CLEAR,
    ("Feature-List", "M"): M_CLEAR,
    ("Supported-Applications", "M"): M_CLEAR,
    ("Associated-Identities", "M"): M_CLEAR,
    ("Data-Reference", "values"): "TS 29.329 6.3.4: 1 to 9 are undefined; Wireshark lists them",
    **{
        (name, "M"): "TS 29.329 table 6.3.1 says M must not be set (V alone)"
        for name in (
            "Requested-Nodes",
            "Serving-Node-Indication",
            "Pre-paging-Supported",
            "Local-Time-Zone-Indication",
            "UDR-Flags",
        )
    },
    ("UDR-Flags", "type"): "TS 29.329 6.3.28: Unsigned32, a bit mask",
    ("Wildcarded-Public-Identity", "name"): "TS 29.229 renamed Wildcarded-PSI",
    ("Wildcarded-Public-Identity", "M"): M_CLEAR,
    ("LIA-Flags", "M"): M_CLEAR,
    ("Initial-CSeq-Sequence-Number", "M"): M_CLEAR,
    ("SAR-Flags", "M"): M_CLEAR,
    ("WebRTC-Authentication-Function-Name", "M"): M_CLEAR,
    ("WebRTC-Web-Server-Function-Name", "M"): M_CLEAR,
    **{
        (name, "unknown"): "newer than Wireshark's dictionary; checked against other dictionaries of TS 29.229 Release 16"
        for name in (
            "RTR-Flags",
            "P-CSCF-Subscription-Info",
            "Registration-Time-Out",
            "Alternate-Digest-Algorithm",
            "Alternate-Digest-HA1",
            "Failed-PCSCF",
            "PCSCF-FQDN",
            "PCSCF-IP-Address",
        )
    },
    **{
        (name, "unknown"): "TS 29.329 6.3.29 to 6.3.31; Wireshark 4.0 has them in a comment"
        for name in ("Call-Reference-Info", "Call-Reference-Number", "AS-Number")
    },
}
NEWER = {key for key in DIFFERENCES if key[1] == "unknown"}


def wireshark():
    """{(vendor, code): (name, type, M rule, values)}; the first definition of a code counts."""
    avps = {}
    for name in ("dictionary.xml", "nasreq.xml", "sip.xml", "TGPP.xml", "etsie2e4.xml"):
        text = re.sub(r"<!--.*?-->", "", (DICTIONARY / name).read_text(), flags=re.S)
        for attributes, body in re.findall(r"<avp\s([^>]*[^/])>(.*?)</avp>", text, re.S):
            a = dict(re.findall(r'([\w-]+)="([^"]*)"', attributes))
            if a.get("vendor-id") not in VENDORS:
                continue
            kind = re.search(r'type-name="(\w+)"', body)
            kind = kind[1] if kind else "Grouped" if "<grouped" in body else None
            values = {int(c): n for n, c in re.findall(r'<enum name="([^"]*)" code="(\d+)"', body)}
            key = (VENDORS[a.get("vendor-id")], int(a["code"]))
            avps.setdefault(key, (a["name"], kind, a.get("mandatory", "may"), values))
    return avps


def compare(ours, theirs):
    """Lines (name, what, detail)."""
    found = []
    for avp in ours:
        other = theirs.get((avp.vendor, avp.code))
        if not other:
            found.append((avp.name, "unknown", f"Wireshark has no {avp.vendor}/{avp.code}"))
            continue
        name, kind, m, values = other
        if re.sub(r"^(3GPP|Cx|ETSI)-", "", name).lower() != avp.name.lower():
            found.append((avp.name, "name", name))
        if kind not in TYPES[avp.type]:
            found.append((avp.name, "type", f"{avp.type}, theirs {kind}"))
        if (avp.m == "must") != (m == "must"):
            found.append((avp.name, "M", f"{avp.m}, theirs {m}"))
        if avp.values and set(avp.values.values()) != set(values):
            found.append((avp.name, "values", f"{sorted(avp.values.values())}, theirs {sorted(values)}"))
    return found


def main():
    if not (DICTIONARY / "TGPP.xml").exists():
        print("skipped, needs Wireshark's dictionary (libwireshark-data)")
        return 77
    model = Model([ROOT / "spec/diameter/base.yaml", ROOT / "spec/diameter/cx.yaml", ROOT / "spec/diameter/sh.yaml"])
    found = compare(model.avps.values(), wireshark())
    unexplained = [f for f in found if f[:2] not in DIFFERENCES]
    for name, what, detail in unexplained:
        print(f"{name}: {what}: {detail}")
    gone = set(DIFFERENCES) - NEWER - {f[:2] for f in found}
    for name, what in gone:
        print(f"{name}: {what}: no difference any more")
    print(f"{len(model.avps)} AVPs compared, {len(found)} known differences")
    return 1 if unexplained or gone else 0


if __name__ == "__main__":
    sys.exit(main())
