"""One module per kind of definition; see tools/generate.py."""


class SpecError(Exception):
    """A mistake in a definition: says file and entry."""


def banner(spec):
    """First line of a generated file."""
    return f"/* Generated from spec/{spec.name} by tools/generate.py. Not to be edited. */\n"
