"""Metrics: a table of rows for each structure of counters."""

import yaml

from gen import SpecError, banner


def rows(spec, group, entry):
    """One C initialiser a metric."""
    names = [m["name"] for m in entry["metrics"]]
    if len(names) != len(set(names)):
        raise SpecError(f"{spec}: {group}: a name is there twice")
    for m in entry["metrics"]:
        gauge = bool(m.get("gauge"))
        name = f"muster_{group}_{m['name']}" + ("" if gauge else "_total")
        text = m["help"].replace("\\", "\\\\").replace('"', '\\"')
        yield (f'    {{"{name}", "{text}", offsetof(struct {entry["struct"]}, {m.get("member", m["name"])}), '
               f'{"true" if gauge else "false"}}},')


def generate(specs, out):
    """Writes metrics_tables.h, for a file that has struct metric_row and all the structures."""
    data = yaml.safe_load(specs[0].read_text())
    lines = [banner(specs[0])]
    for group, entry in data.items():
        lines += [f"static const struct metric_row {group}_metrics[] = {{", *rows(specs[0], group, entry), "};", ""]
    (out / "metrics_tables.h").write_text("\n".join(lines))
