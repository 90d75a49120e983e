"""Diameter: dictionary, typed messages, their tables and a page of documentation.

The first definition file is the base protocol; the others are applications. Out come a header per
file (diameter_base.h, cx.h, sh.h), diameter_tables.h for codec/diameter/dictionary.c, and diameter.md.
"""

import random
import re

import yaml

from gen import SpecError

TYPES = {  # of the standards: (ours, C type)
    "OctetString": ("OCTETS", "struct span"),
    "UTF8String": ("UTF8", "struct span"),
    "DiameterIdentity": ("IDENTITY", "struct span"),
    "DiameterURI": ("URI", "struct span"),
    "Unsigned32": ("U32", "uint32_t"),
    "Unsigned64": ("U64", "uint64_t"),
    "Enumerated": ("ENUM", None),
    "Address": ("ADDRESS", "struct addr"),
    "Time": ("TIME", "int64_t"),
    "Grouped": ("GROUP", None),
}
ENVELOPE = ["Session-Id", "Origin-Host", "Origin-Realm", "Destination-Host", "Destination-Realm", "Proxy-Info"]
AVP_KEYS = {"code", "type", "m", "clause", "document", "values", "bits", "format", "secret", "vendor"}
RULE = re.compile(r"(?:(\d*)\*(\d*))?\s*([<{\[])\s*([\w-]+)\s*[>}\]]$")
HEADER = re.compile(r"<\s*Diameter Header:\s*(\d+)((?:,\s*\w+)*)\s*>$")


def snake(name):
    return name.replace("-", "_").lower()


def upper(name):
    return snake(name).upper()


class Rule:
    """A line of a format: which AVP, how often."""

    def __init__(self, spec, where, line):
        match = RULE.match(line)
        if not match:
            raise SpecError(f"{spec}: {where}: not a rule: {line}")
        low, high, bracket, self.name = match.groups()
        self.line = line
        self.min = int(low) if low else int(bracket in "<{" and high is None)
        self.max = int(high) if high else 1
        if high == "":
            raise SpecError(f"{spec}: {where}: {line}: an upper bound is needed")
        if bracket == "{" and self.min == 0:
            raise SpecError(f"{spec}: {where}: {line}: required, but at least 0 times")
        self.many = high is not None


class Avp:
    def __init__(self, spec, name, d, app):
        self.name, self.app = name, app
        unknown = set(d) - AVP_KEYS
        if unknown:
            raise SpecError(f"{spec}: {name}: unknown {', '.join(sorted(unknown))}")
        if d.get("type") not in TYPES or d.get("m") not in ("must", "may", "mustnot"):
            raise SpecError(f"{spec}: {name}: type and m are needed")
        self.code, self.m = d["code"], d["m"]
        self.vendor = d.get("vendor", app["vendor"])
        self.type = d["type"]
        self.kind, self.ctype = TYPES[self.type]
        self.clause = f'{d.get("document", app["document"])} {d.get("clause")}'
        self.secret = d.get("secret", False)
        self.values, self.bits = d.get("values", {}), d.get("bits", {})
        self.symbol = f'{app["prefix"]}_{snake(name)}'
        self.rules = None
        if "format" in d:
            self.rules = [Rule(spec, name, line.strip()) for line in d["format"].strip().splitlines()]
        if self.kind == "ENUM":
            if not self.values:
                raise SpecError(f"{spec}: {name}: an enumeration needs values")
            self.ctype = f"enum {self.symbol}"
        elif self.kind == "GROUP":
            self.ctype = f"struct {self.symbol}" if self.rules else "struct span"

    @property
    def is_span(self):
        return self.ctype == "struct span"


class Command:
    def __init__(self, spec, name, d, app):
        self.name, self.app, self.short = name, app, d["short"]
        self.clause = f'{app["document"]} {d["clause"]}'
        lines = [line.strip() for line in d["format"].strip().splitlines()]
        header = HEADER.match(lines[0])
        if not header:
            raise SpecError(f"{spec}: {name}: the format begins with < Diameter Header: ... >")
        words = [w.strip() for w in header[2].split(",") if w.strip()]
        self.code, self.request, self.proxiable = int(header[1]), "REQ" in words, "PXY" in words
        self.symbol = f'{app["prefix"]}_{self.short.lower()}'
        self.rules = [Rule(spec, name, line) for line in lines[1:]]
        self.base_name = name.removesuffix("-Request").removesuffix("-Answer")


class Model:
    """All definition files together."""

    def __init__(self, specs):
        self.avps, self.commands, self.apps, self.results = {}, [], [], []
        for spec in specs:
            d = yaml.safe_load(spec.read_text())
            app = dict(d["application"], fixed=d.get("fixed", {}), refused=d.get("not_allowed", []))
            app["stem"] = "diameter_base" if app["prefix"] == "diameter" else app["prefix"]
            app["results"] = d.get("results", {})
            app["avps"] = []
            self.apps.append(app)
            for name, a in d["avps"].items():
                avp = Avp(spec.name, name, a, app)
                if name in self.avps or any((o.code, o.vendor) == (avp.code, avp.vendor) for o in self.avps.values()):
                    raise SpecError(f"{spec.name}: {name} or its code is there twice")
                self.avps[name] = avp
                app["avps"].append(avp)
            self.results += [(avp_vendor(app), code, name) for name, code in app["results"].items()]
            self.commands += [Command(spec.name, name, c, app) for name, c in d["commands"].items()]
        for holder in [*self.commands, *(a for a in self.avps.values() if a.rules)]:
            for rule in holder.rules:
                if rule.name not in self.avps:
                    raise SpecError(f"{holder.name}: no AVP {rule.name}")

    def groups(self, app):
        """The groups of an application, members before those that hold them."""
        done = []

        def visit(avp):
            if avp.rules and avp not in done:
                for rule in avp.rules:
                    visit(self.avps[rule.name])
                done.append(avp)

        for avp in app["avps"]:
            visit(avp)
        return [a for a in done if a.app is app]


def avp_vendor(app):
    return app["vendor"]


# The fields of a struct.


class Field:
    def __init__(self, avp, rule, kind):
        self.avp, self.rule, self.kind = avp, rule, kind
        self.name = snake(avp.name)

    def members(self):
        """Lines of the C struct."""
        a, doc = self.avp, f"/* {self.rule.line if self.rule else ''} {self.avp.type} */"
        if self.kind == "RESULT":
            return ["struct diameter_result result; /* Result-Code or Experimental-Result */"]
        if self.kind in ("FIXED", "REFUSED"):
            return []
        if self.kind == "MANY":
            return [f"const {a.ctype} *{self.name}; {doc}", f"unsigned n_{self.name};"]
        if self.kind == "ONE" or a.is_span:
            return [f"{a.ctype} {self.name}; {doc}"]
        if a.kind == "GROUP":
            return [f"const {a.ctype} *{self.name}; {doc}"]
        return [f"bool has_{self.name};", f"{a.ctype} {self.name}; {doc}"]

    def row(self, struct, model):
        """Initialiser of its struct diameter_field."""
        a, r = self.avp, self.rule
        parts = [f"&{def_name(a)}", f"DIAMETER_FIELD_{self.kind}"]
        if self.kind == "RESULT":
            parts += [f"offsetof({struct}, result)", "0", f"{int(self.required)}", "1", "0", "0", "{NULL, 0}"]
        elif self.kind == "REFUSED":
            parts += ["0", "0", "0", "0", "0", "0", "{NULL, 0}"]
        elif self.kind == "FIXED":
            data = fixed_bytes(model, a, self.value)
            text = "".join(f"\\x{b:02x}" for b in data)
            parts += ["0", "0", str(r.min), str(r.max), "0", "0", f'{{"{text}", {len(data)}}}']
        else:
            aside = "0"
            if self.kind == "MANY":
                aside = f"offsetof({struct}, n_{self.name})"
            elif self.kind == "OPTIONAL" and not a.is_span and a.kind != "GROUP":
                aside = f"offsetof({struct}, has_{self.name})"
            size = f"sizeof({a.ctype})"
            envelope = ENVELOPE.index(a.name) + 1 if a.name in ENVELOPE else 0
            parts += [f"offsetof({struct}, {self.name})", aside, str(r.min), str(r.max), str(envelope), size, "{NULL, 0}"]
        return "{" + ", ".join(parts) + "}"


def fixed_bytes(model, avp, value):
    """A whole AVP, padded."""
    if avp.kind == "GROUP":
        body = b"".join(fixed_bytes(model, model.avps[n], v) for n, v in value.items())
    else:
        body = (avp.values[value] if avp.kind == "ENUM" else value).to_bytes(4, "big")
    flags = (0x80 if avp.vendor else 0) | (0x40 if avp.m == "must" else 0)
    head = avp.code.to_bytes(4, "big") + bytes([flags])
    vendor = avp.vendor.to_bytes(4, "big") if avp.vendor else b""
    return head + (8 + len(vendor) + len(body)).to_bytes(3, "big") + vendor + body + bytes(-len(body) % 4)


def fields_of(model, holder):
    app, fields, result = holder.app, [], None
    is_command = isinstance(holder, Command)
    for rule in holder.rules:
        avp = model.avps[rule.name]
        if is_command and avp.name in ("Result-Code", "Experimental-Result"):
            if not result:
                result = Field(avp, rule, "RESULT")
                result.required = True
                fields.append(result)
            continue
        if is_command and avp.name in app["fixed"]:
            field = Field(avp, rule, "FIXED")
            field.value = app["fixed"][avp.name]
        else:
            field = Field(avp, rule, "MANY" if rule.many else "ONE" if rule.min else "OPTIONAL")
        fields.append(field)
    if is_command:
        fields += [Field(model.avps[name], None, "REFUSED") for name in app["refused"]]
    return fields


def lookup(fields, model):
    """Multiplier, shift and table under which no two of the fields' codes meet."""
    codes = {}
    for i, f in enumerate(fields):
        codes[f.avp.code] = i + 1
        if f.kind == "RESULT":
            codes[model.avps["Result-Code"].code] = codes[model.avps["Experimental-Result"].code] = i + 1
    rng = random.Random(len(codes))
    bits = max(3, (2 * len(codes) - 1).bit_length())
    while bits <= 8:
        for _ in range(20000):
            multiplier = rng.randrange(1 << 20, 1 << 32) | 1
            table = [0] * (1 << bits)
            for code, index in codes.items():
                slot = (code * multiplier & 0xFFFFFFFF) >> 32 - bits
                if table[slot]:
                    break
                table[slot] = index
            else:
                return multiplier, 32 - bits, table
        bits += 1
    raise SpecError("no look-up without collisions found")


# Output.


def banner(what):
    return f"/* {what} Generated from spec/diameter/ by tools/generate.py. Not to be edited. */"


def enum(name, doc, rows):
    return [f"/** {doc} */", f"enum {name} {{", *(f"    {k} = {v}," for k, v in rows), "};", ""]


def header(model, app):
    p = app["prefix"].upper()
    guard = f'MUSTER_SPEC_{app["stem"].upper()}_H'
    lines = [banner(f'{app["name"]}, {app["document"]}: typed messages; see codec/diameter/diameter.h.')]
    lines += [f"#ifndef {guard}", f"#define {guard}", "", '#include "codec/diameter/diameter.h"']
    lines += [f'#include "spec/{other["stem"]}.h"' for other in model.apps[: model.apps.index(app)]]
    lines += ["", f'enum {{ {p}_APPLICATION = {app["id"]} }};', ""]
    commands = {c.base_name: c.code for c in model.commands if c.app is app}
    lines += enum(f'{app["prefix"]}_command', "Command codes.", [(f"{p}_COMMAND_{upper(n)}", c) for n, c in commands.items()])
    lines += enum(f'{app["prefix"]}_avp_code', "AVP codes.", [(f"{p}_AVP_{upper(a.name)}", a.code) for a in app["avps"]])
    where = "Result-Code" if not app["vendor"] else "Experimental-Result-Code"
    lines += enum(f'{app["prefix"]}_result_code', f"Values of {where}.", app["results"].items())
    for a in app["avps"]:
        if a.values:
            lines += enum(a.symbol, f"{a.name}: {a.clause}.", [(f"{p}_{upper(a.name)}_{n}", v) for n, v in a.values.items()])
        if a.bits:
            lines += enum(a.symbol, f"Bits of {a.name}: {a.clause}.", [(f"{p}_{upper(a.name)}_{n}", f"1 << {v}") for n, v in a.bits.items()])
    for a in model.groups(app):
        lines += struct(model, a, f"{a.name}: {a.clause}.")
    for c in model.commands:
        if c.app is app:
            lines += struct(model, c, f"{c.name} ({c.short}): {c.clause}.") + prototypes(c)
    return "\n".join([*lines, "#endif", ""])


def struct(model, holder, doc):
    lines = [f"/** {doc} */", f"struct {holder.symbol} {{"]
    for f in fields_of(model, holder):
        lines += ["    " + m for m in f.members()]
    return lines + ["};", ""]


def prototypes(c):
    s = c.symbol
    return [
        f"/** Reads and checks a {c.short}; see diameter_decode. */",
        f"MUST_CHECK {decode_head(s)};",
        "",
        f"/** Appends the AVPs of a {c.short} to a message that was begun with {c.app['prefix'].upper()}_COMMAND_{upper(c.base_name)}. */",
        f"{encode_head(s)};",
        "",
    ]


def decode_head(s):
    return (
        f"enum error {s}_decode(struct arena *arena, const struct diameter_msg *msg,\n"
        f"    struct {s} *out, struct diameter_fault *fault)"
    )


def encode_head(s):
    return f"void {s}_encode(struct diameter_builder *b, const struct {s} *value)"


def def_name(avp):
    return f"defs[DEF_{upper(avp.name)}]"


def tables(model):
    lines = [banner("Tables of the dictionary and of the typed messages, for codec/diameter/dictionary.c.")]
    lines += [f'#include "spec/{app["stem"]}.h"' for app in model.apps] + [""]
    defs = sorted(model.avps.values(), key=lambda a: (a.vendor, a.code))
    lines += ["enum {", *(f"    DEF_{upper(a.name)}," for a in defs), "    DEF_COUNT", "};", ""]
    lines += ["static const struct diameter_def defs[DEF_COUNT];", ""]
    holders = [a for app in model.apps for a in model.groups(app)] + model.commands
    for h in holders:
        lines += layout(model, h)
    for a in defs:
        if a.values:
            lines.append(f"static const struct diameter_value values_{snake(a.name)}[] = {{")
            lines += [f'    {{{v}, "{n}"}},' for n, v in sorted(a.values.items(), key=lambda nv: nv[1])] + ["};", ""]
    lines += ["/* By vendor and code. */", "static const struct diameter_def defs[DEF_COUNT] = {"]
    for a in defs:
        values = f"{len(a.values)}, values_{snake(a.name)}" if a.values else "0, NULL"
        group = f"&layout_{a.symbol}" if a.rules else "NULL"
        flag = lambda b: "true" if b else "false"
        lines.append(
            f'    {{"{a.name}", {a.code}, {a.vendor}, DIAMETER_{a.kind}, {flag(a.m == "must")}, {flag(a.secret)}, {values}, {group}}},'
        )
    lines += ["};", "", "/* All commands. */", "static const struct diameter_layout *const commands[] = {"]
    lines += [f"    &layout_{c.symbol}," for c in model.commands] + ["};", ""]
    lines += ["static const struct { uint32_t vendor, code; const char *name; } results[] = {"]
    lines += [f'    {{{v}, {c}, "{n}"}},' for v, c, n in sorted(model.results)] + ["};", ""]
    for c in model.commands:
        lines += [decode_head(c.symbol) + " {", f"    return diameter_decode(&layout_{c.symbol}, arena, msg, out, fault);", "}", ""]
        lines += [encode_head(c.symbol) + " {", f"    diameter_encode(&layout_{c.symbol}, b, value);", "}", ""]
    return "\n".join(lines)


def layout(model, h):
    s, fields = h.symbol, fields_of(model, h)
    multiplier, shift, table = lookup(fields, model)
    lines = [f"static const struct diameter_field fields_{s}[] = {{"]
    lines += [f"    {f.row('struct ' + s, model)}," for f in fields]
    lines += ["};", f"static const uint8_t lookup_{s}[] = {{{', '.join(map(str, table))}}};"]
    short, command, app, flags = "NULL", 0, 0, 0
    if isinstance(h, Command):
        short, command, app = f'"{h.short}"', h.code, h.app["id"]
        flags = (0x80 if h.request else 0) | (0x40 if h.proxiable else 0)
    lines += [
        f"static const struct diameter_layout layout_{s} = {{",
        f'    "{h.name}", {short}, {command}, {app}, {flags:#x}, sizeof(struct {s}), {len(fields)}, {shift},',
        f"    {multiplier}u, fields_{s}, lookup_{s}}};",
        "",
    ]
    return lines


def page(model):
    lines = ["# Diameter messages", "", "Generated from `spec/diameter/`.", ""]
    for app in model.apps:
        lines += [f'## {app["name"]}', "", f'{app["document"]}, Application-Id {app["id"]}.', ""]
        for c in model.commands:
            if c.app is app:
                bits = ", REQ" * c.request + ", PXY" * c.proxiable
                lines += [f"### {c.name} ({c.short})", "", f"{c.clause}. `struct {c.symbol}`.", "", "```"]
                lines += [f"< Diameter Header: {c.code}{bits}, {app['id']} >", *(r.line for r in c.rules), "```", ""]
        lines += ["### AVPs", "", "| code | vendor | name | type | M | values, members | clause |", "| --- | --- | --- | --- | --- | --- | --- |"]
        for a in sorted(app["avps"], key=lambda a: (a.vendor, a.code)):
            more = ", ".join(f"{n} {v}" for n, v in a.values.items()) or ", ".join(f"bit {v} {n}" for n, v in a.bits.items())
            more = more or " ".join(r.line.replace("*", "\\*") for r in a.rules or [])
            hidden = " (secret)" if a.secret else ""
            lines.append(f"| {a.code} | {a.vendor} | {a.name}{hidden} | {a.type} | {a.m} | {more} | {a.clause} |")
        lines += ["", "### Results", "", "| code | name |", "| --- | --- |"]
        lines += [f"| {c} | {n} |" for n, c in app["results"].items()] + [""]
    return "\n".join(lines)


def generate(specs, out):
    model = Model(specs)
    files = {f'{app["stem"]}.h': header(model, app) for app in model.apps}
    files["diameter_tables.h"] = tables(model)
    files["diameter.md"] = page(model)
    for name, text in files.items():
        (out / name).write_text(text)
