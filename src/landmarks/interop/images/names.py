"""Names of files as they can be printed; apart, so that commands which fail early load nothing else."""

from pathlib import Path


def shown(path: str | Path) -> str:
    """A path as it can be printed: names may hold line feeds, escape sequences, and bytes that are no UTF-8."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(path))
