"""Reasons and journal steps: enums, and a table of their texts."""

import yaml

from gen import SpecError, banner

FLAGS = {"later", "hop"}
NODES = {"ue", "pcscf", "icscf", "scscf", "hss"}


def symbol(prefix, name):
    return f"{prefix}_{name.upper().replace('-', '_')}"


def read(spec):
    """The two lists, checked."""
    data = yaml.safe_load(spec.read_text())
    for kind, needed in (("reasons", {"name", "nodes", "text", "mend"}), ("steps", {"name", "text"})):
        seen = set()
        for entry in data[kind]:
            if set(entry) - (FLAGS if kind == "reasons" else set()) != needed:
                raise SpecError(f"{spec}: {entry.get('name')}: has {sorted(entry)}, needs {sorted(needed)}")
            if entry["name"] in seen:
                raise SpecError(f"{spec}: {entry['name']} is there twice")
            seen.add(entry["name"])
            if not set(entry.get("nodes", [])) <= NODES:
                raise SpecError(f"{spec}: {entry['name']}: unknown node in {entry['nodes']}")
    return data


def quoted(text):
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def flag(entry, name):
    return "true" if entry.get(name) else "false"


def enum(name, prefix, entries, first):
    lines = [f"enum {name} {{"] + ([f"    {first},"] if first else [])
    lines += [f"    {symbol(prefix, e['name'])}, /* {e['text']} */" for e in entries]
    return "\n".join(lines + [f"    {prefix}S", "};"])


def header(spec, data):
    return "\n".join([
        banner(spec),
        "#ifndef MUSTER_SPEC_REASONS_H\n#define MUSTER_SPEC_REASONS_H\n",
        "/* Why a node refuses; obs/reason.h has the texts. */",
        enum("reason", "REASON", data["reasons"], "REASON_NONE"), "",
        "/* What a node notes in the journal; obs/journal.h. */",
        enum("journal_step", "STEP", data["steps"], None), "",
        "#endif", ""])


def table(spec, data):
    rows = [f'    [{symbol("REASON", r["name"])}] = {{{quoted(r["name"])}, {quoted(r["text"])}, '
            f'{quoted(r["mend"])}, {quoted(", ".join(r["nodes"]))}, '
            f'{flag(r, "later")}, {flag(r, "hop")}}},' for r in data["reasons"]]
    steps = [f'    [{symbol("STEP", s["name"])}] = {{{quoted(s["name"])}, {quoted(s["text"])}}},'
             for s in data["steps"]]
    return "\n".join([
        banner(spec),
        "static const struct {\n    const char *name, *text, *mend, *nodes;\n    bool later, hop;\n} reasons[REASONS] = {",
        '    [REASON_NONE] = {"none", "no reason", "", "", false, false},', *rows, "};\n",
        "static const struct {\n    const char *name, *text;\n} steps[STEPS] = {", *steps, "};", ""])


def generate(specs, out):
    """Writes reasons.h and reasons_table.h."""
    data = read(specs[0])
    (out / "reasons.h").write_text(header(specs[0], data))
    (out / "reasons_table.h").write_text(table(specs[0], data))
