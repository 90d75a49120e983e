"""Persistent records: views that read in place, values, and the tables that record.c walks.

The layout is described in src/codec/records/record.h.
"""

import re

import yaml

from gen import SpecError

HEADER = 12
NUMBERS = {"u8": (1, "uint8_t"), "bool": (1, "bool"), "u16": (2, "uint16_t"),
           "u32": (4, "uint32_t"), "u64": (8, "uint64_t")}  # fmt: skip
NAME = re.compile(r"^[a-z][a-z0-9_]*$")


class Field:
    """One field with its place in the fixed part."""

    def __init__(self, where, entry, structs):
        unknown = set(entry) - {"name", "type", "doc", "since"}
        if unknown:
            raise SpecError(f"{where}: unknown {', '.join(sorted(unknown))}")
        for key in ("name", "type", "doc"):
            if key not in entry:
                raise SpecError(f"{where}: {entry.get('name', 'a field')} has no {key}")
        self.name, self.doc, self.since = entry["name"], entry["doc"], entry.get("since", 1)
        if not NAME.match(self.name):
            raise SpecError(f"{where}: {self.name} is no name")
        words = str(entry["type"]).split()
        self.kind, self.element, self.length = words[0], None, 0
        if self.kind in NUMBERS and len(words) == 1:
            self.size = NUMBERS[self.kind][0]
        elif self.kind == "bytes" and len(words) == 2 and words[1].isdigit():
            self.size = self.length = int(words[1])
        elif self.kind == "string" and len(words) == 1:
            self.size = 6
        elif self.kind == "list" and len(words) == 2 and words[1] in [*structs, "u32", "string"]:
            self.size, self.element = 6, words[1]
        else:
            raise SpecError(f"{where}: {self.name} has the unknown type {entry['type']}")
        self.offset = None


class Struct:
    """A structure: its fields in order, and the size of its fixed part in each schema."""

    def __init__(self, spec, name, body, structs, schema, start):
        where = f"{spec}: {name}"
        self.name, self.doc = name, body["doc"]
        self.fields = [Field(where, entry, structs) for entry in body["fields"]]
        names = [f.name for f in self.fields]
        if len(set(names)) < len(names):
            raise SpecError(f"{where}: a field is there twice")
        if [f.since for f in self.fields] != sorted(f.since for f in self.fields):
            raise SpecError(f"{where}: a new field is appended, not inserted")
        if self.fields[-1].since > schema:
            raise SpecError(f"{where}: {self.fields[-1].name} is newer than the schema")
        at = start
        for field in self.fields:
            field.offset = at
            at += field.size
        self.sizes = [max([start] + [f.offset + f.size for f in self.fields if f.since <= s])
                      for s in range(1, schema + 1)]  # fmt: skip


class Record:
    """One file of spec/records/."""

    def __init__(self, spec):
        body = yaml.safe_load(spec.read_text())
        unknown = set(body) - {"record", "number", "schema", "doc", "fields", "structs"}
        if unknown:
            raise SpecError(f"{spec}: unknown {', '.join(sorted(unknown))}")
        self.name, self.number, self.schema = body["record"], body["number"], body["schema"]
        inner = body.get("structs", {})
        self.structs = [Struct(spec, name, inner[name], inner, self.schema, 0) for name in inner]
        self.root = Struct(spec, self.name, body, inner, self.schema, HEADER)
        self.order = []
        for struct in [*self.structs, self.root]:
            self.visit(spec, struct, ())

    def visit(self, spec, struct, above):
        """Puts elements before what holds them."""
        if struct.name in above:
            raise SpecError(f"{spec}: {struct.name} contains itself")
        for field in struct.fields:
            for inner in self.structs:
                if inner.name == field.element:
                    self.visit(spec, inner, (*above, struct.name))
        if struct not in self.order:
            self.order.append(struct)


def data_members(struct):
    """The members of the value of a structure."""
    for f in struct.fields:
        doc = f"/**< {f.doc} */"
        if f.kind in NUMBERS:
            yield f"    {NUMBERS[f.kind][1]} {f.name}; {doc}"
        elif f.kind == "bytes":
            yield f"    uint8_t {f.name}[{f.length}]; {doc}"
        elif f.kind == "string":
            yield f"    struct span {f.name}; {doc}"
        else:
            kind = {"u32": "uint32_t", "string": "struct span"}.get(
                f.element, f"struct rec_{f.element}_data")  # fmt: skip
            yield f"    const {kind} *{f.name}; {doc}"
            yield f"    size_t n_{f.name};"


def accessors(struct, sizes):
    """The functions that read a field in place."""
    view = f"struct rec_{struct.name} v"
    for f in struct.fields:
        at = f"v.at + {f.offset}"
        name = f"rec_{struct.name}_{f.name}"
        yield f"/** {f.doc} */"
        if f.kind in NUMBERS:
            read = "record_u8" if f.kind == "bool" else f"record_{f.kind}"
            tail = " != 0" if f.kind == "bool" else ""
            yield f"static inline {NUMBERS[f.kind][1]} {name}({view}) {{\n    return {read}({at}){tail};\n}}\n"
        elif f.kind == "bytes":
            yield (f"static inline const uint8_t *{name}({view}) {{\n"
                   f"    return (const uint8_t *)({at});\n}}\n")  # fmt: skip
        elif f.kind == "string":
            yield (f"static inline struct span {name}({view}) {{\n"
                   f"    return record_string(v.record, {at});\n}}\n")  # fmt: skip
        else:
            first = f"v.record + record_u32({at})"
            if f.element == "u32":
                kind, body = "uint32_t", f"record_u32({first} + i * 4)"
            elif f.element == "string":
                kind, body = "struct span", f"record_string(v.record, {first} + i * 6)"
            else:
                kind = f"struct rec_{f.element}"
                body = f"({kind}){{v.record, {first} + i * {sizes[f.element]}}}"
            yield f"static inline {kind} {name}({view}, size_t i) {{\n    return {body};\n}}\n"
            yield f"/** Number of them. */\nstatic inline size_t rec_{struct.name}_n_{f.name}({view}) {{"
            yield f"    return record_count({at});\n}}\n"


def record_functions(name):
    """The functions of a whole record."""
    view, data = f"struct rec_{name}", f"struct rec_{name}_data"
    return f"""
extern const struct record_type rec_{name}_type;

/** The view of a record that was checked before. */
static inline {view} rec_{name}_of(struct span checked) {{
    return ({view}){{checked.p, checked.p}};
}}

/** Checks a record and gives its view. Errors of record_check. */
MUST_CHECK static inline enum error rec_{name}_open(struct span bytes, {view} *out) {{
    enum error e = record_check(&rec_{name}_type, bytes);

    *out = rec_{name}_of(bytes);
    return e;
}}

/** Appends the record of a value. Errors of record_encode. */
MUST_CHECK static inline enum error rec_{name}_encode(const {data} *data, struct buf *out) {{
    return record_encode(&rec_{name}_type, data, out);
}}

/** Makes a value of a record. Errors of record_decode. */
MUST_CHECK static inline enum error rec_{name}_decode(struct span bytes, struct arena *arena,
                                                      {data} *out) {{
    return record_decode(&rec_{name}_type, bytes, arena, out);
}}
"""


def header(records):
    out = ["/* Generated from spec/records/ by tools/generate.py. Not to be edited. */",
           "#ifndef MUSTER_SPEC_RECORDS_H\n#define MUSTER_SPEC_RECORDS_H\n",
           '#include "codec/records/record.h"\n']  # fmt: skip
    for record in records:
        sizes = {s.name: s.sizes[-1] for s in record.structs}
        for s in record.order:
            out += [f"/** {s.doc} A view. */\nstruct rec_{s.name} {{",
                    "    const char *record, *at;\n};\n",
                    f"/** {s.doc} A value. */\nstruct rec_{s.name}_data {{",
                    *data_members(s), "};\n"]  # fmt: skip
        for s in record.order:
            out += accessors(s, sizes)
        out.append(record_functions(record.name))
    out.append("#endif")
    return "\n".join(out) + "\n"


def field_row(struct, f):
    data = f"struct rec_{struct.name}_data"
    count = f"offsetof({data}, n_{f.name})" if f.kind == "list" else "0"
    element = f"&record_struct_{f.element}" if f.kind == "list" else "NULL"
    return (f'    {{"{f.name}", RECORD_{f.kind.upper()}, {f.offset}, {f.size}, {f.since}, '
            f"offsetof({data}, {f.name}), {count}, {element}}},")  # fmt: skip


def tables(records):
    out = ["/* Generated from spec/records/ by tools/generate.py. Not to be edited. */",
           '#include "spec/records.h"\n']  # fmt: skip
    for record in records:
        for s in record.order:
            out += [f"static const struct record_field record_fields_{s.name}[] = {{",
                    *[field_row(s, f) for f in s.fields], "};\n",
                    f"static const uint16_t record_sizes_{s.name}[] = "
                    f"{{{', '.join(map(str, s.sizes))}}};\n",
                    f"static const struct record_struct record_struct_{s.name} = {{",
                    f'    "{s.name}", record_fields_{s.name}, {len(s.fields)}, '
                    f"record_sizes_{s.name}, sizeof(struct rec_{s.name}_data)}};\n"]  # fmt: skip
        out.append(f'const struct record_type rec_{record.name}_type = {{"{record.name}", '
                   f"{record.number}, {record.schema}, &record_struct_{record.root.name}}};\n")  # fmt: skip
    return "\n".join(out)


def generate(specs, out):
    records = sorted((Record(spec) for spec in specs), key=lambda r: r.number)
    if len({r.number for r in records}) < len(records):
        raise SpecError("spec/records: two records have the same number")
    names = [s.name for r in records for s in r.order]
    if len(set(names)) < len(names):
        raise SpecError("spec/records: two structures have the same name")
    (out / "records.h").write_text(header(records))
    (out / "records_tables.h").write_text(tables(records))
