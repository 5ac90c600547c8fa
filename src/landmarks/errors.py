"""Mistakes that the person at the keyboard can mend.

Commands print these as one message without a traceback; everything else is a defect of ours and keeps its
traceback.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Self


class LandmarksError(Exception):
    """Bad input: the message names the file, row or key and says what to do."""


class FormatError(LandmarksError):
    """A file or an array breaks its format."""

    @classmethod
    def at(cls, path: Path, problem: str, remedy: str, *, line: int | None = None, field: str | None = None) -> Self:
        """Build the message from its parts.

        Args:
            path: the file.
            problem: what is wrong, without a full stop.
            remedy: what to do, without a full stop.
            line: line number in the file; the header is line 1.
            field: column name.
        """
        place = str(path)
        if line is not None:
            place += f", line {line}"
        if field is not None:
            place += f", field '{field}'"
        return cls(f"{place}: {problem}; {remedy}")


def shown(path: object) -> str:
    """Give a path as it can be printed: names may hold line feeds, escape sequences, and bytes that are no UTF-8."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(path))


def counted(kind: str, names: Sequence[str], most: int = 3) -> str:
    """Such as "2 missing: a, b", with the first names alone where there are more than `most`."""
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return f"{len(names):,} {kind}: {', '.join(names[:most])}{more}"


def first_line(error: BaseException) -> str:
    """What an error of a library says first, or its kind where it says nothing; all of it can be pages."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
