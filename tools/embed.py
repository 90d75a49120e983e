"""tools/embed.py OUTPUT FILE...: a C header with the texts of files, as the table builtin_files."""

import pathlib
import sys

LINE = '    {{"{name}",\n     SPAN_INIT({text})}},\n'


def c_string(data):
    """The bytes as adjacent C string literals, one a line of text."""
    lines = data.decode().splitlines(keepends=True)
    escaped = (
        line.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") for line in lines
    )
    return "\n".join(f'"{line}"' for line in escaped) or '""'


def main():
    """Writes the header."""
    output, *files = map(pathlib.Path, sys.argv[1:])
    rows = "".join(LINE.format(name=f.name, text=c_string(f.read_bytes())) for f in files)
    output.write_text(
        "/* Made by tools/embed.py. */\n"
        '#include "base/span.h"\n\n'
        "static const struct {\n    const char *name;\n    struct span text;\n"
        f"}} builtin_files[] = {{\n{rows}}};\n"
    )


if __name__ == "__main__":
    main()
