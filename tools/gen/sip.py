"""SIP header fields: an enum, their names, and a look-up without collisions."""

import random

import yaml

from gen import SpecError, banner

SLOTS = 512


def symbol(name):
    return "SIP_H_" + name.upper().replace("-", "_")


def features(name):
    """The bytes that the hash looks at; sip_header_id_of computes the same."""
    low = bytes(c | 0x20 for c in name.encode())
    n = len(low)
    return n, low[0], low[n // 2], low[n - 1], low[n * 3 // 4]


def slot(factors, feature):
    return sum(f * x for f, x in zip(factors, feature)) >> 3 & (SLOTS - 1)


def perfect(names):
    """Factors under which no two names share a slot; the same ones for the same names."""
    wanted = [features(name) for name in names]
    if len(set(wanted)) < len(wanted):
        raise SpecError("sip_headers.yaml: two names that the hash cannot tell apart")
    rng = random.Random(1)
    for _ in range(1000000):
        factors = [rng.randrange(1, 4096) for _ in range(5)]
        seen = set()
        for feature in wanted:
            at = slot(factors, feature)
            if at in seen:
                break
            seen.add(at)
        else:
            return factors
    raise SpecError("sip_headers.yaml: no hash without collisions found; raise SLOTS")


def read(spec):
    headers = yaml.safe_load(spec.read_text())["headers"]
    taken = set()
    for h in headers:
        unknown = set(h) - {"name", "compact", "list", "single"}
        if unknown:
            raise SpecError(f"{spec}: {h['name']}: unknown {', '.join(unknown)}")
        for name in (h["name"].lower(), h.get("compact")):
            if name in taken:
                raise SpecError(f"{spec}: {name} is there twice")
            if name:
                taken.add(name)
    return headers


def generate(specs, out):
    (spec,) = specs
    headers = read(spec)
    names = [h["name"] for h in headers]
    factors = perfect(names)
    slots = [0] * SLOTS
    for i, name in enumerate(names):
        slots[slot(factors, features(name))] = i + 1

    lines = [banner(spec), "#ifndef MUSTER_SPEC_SIP_HEADERS_H", "#define MUSTER_SPEC_SIP_HEADERS_H", ""]
    lines.append("/** SIP header fields by number. */")
    lines.append("enum sip_header_id {")
    lines += [f"    {symbol(name)}," for name in names]
    lines += ["    SIP_H_OTHER,", "    SIP_HEADER_COUNT", "};", "", "#endif", ""]
    (out / "sip_headers.h").write_text("\n".join(lines))

    lines = [banner(spec)]
    lines += ["enum { SIP_HEADER_LIST = 1, SIP_HEADER_SINGLE = 2 };", ""]
    lines.append("static const struct { struct span name; unsigned char flags; } header_info[] = {")
    for h in headers:
        flags = "|".join(
            f for f, on in (("SIP_HEADER_LIST", h.get("list")), ("SIP_HEADER_SINGLE", h.get("single"))) if on
        )
        lines.append(f'    [{symbol(h["name"])}] = {{SPAN_INIT("{h["name"]}"), {flags or 0}}},')
    lines += ["    [SIP_H_OTHER] = {{\"\", 0}, 0},", "};", ""]
    lines.append("/* By letter: the id of a compact form. */")
    lines.append("static const unsigned char header_compact[26] = {")
    compact = {h["compact"]: symbol(h["name"]) for h in headers if "compact" in h}
    for letter in "abcdefghijklmnopqrstuvwxyz":
        lines.append(f"    {compact.get(letter, 'SIP_H_OTHER')}, /* {letter} */")
    lines += ["};", ""]
    n, first, middle, last, late = factors
    lines.append("/* No two known names share a slot; c is the name, n its length, at least 1. */")
    lines.append("static inline unsigned header_slot(const unsigned char *c, size_t n) {")
    lines.append(f"    size_t h = n * {n} + (c[0] | 32u) * {first} + (c[n / 2] | 32u) * {middle} +")
    lines.append(f"               (c[n - 1] | 32u) * {last} + (c[n * 3 / 4] | 32u) * {late};")
    lines.append(f"    return (unsigned)(h >> 3) & {SLOTS - 1};")
    lines += ["}", "", "/* By slot: the id of the only name that may be there, plus 1; 0 for none. */"]
    lines.append(f"static const unsigned char header_slots[{SLOTS}] = {{")
    for i in range(0, SLOTS, 16):
        lines.append("    " + ", ".join(str(s) for s in slots[i : i + 16]) + ",")
    lines += ["};", ""]
    (out / "sip_headers_table.h").write_text("\n".join(lines))
