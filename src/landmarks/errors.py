"""Errors that a user can correct.

Commands print these as one message without a traceback; all other errors are defects of ours and keep their traceback.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Self


class LandmarksError(Exception):
    """Raised for invalid input; the message names the file, row or key and says what to do."""


class FormatError(LandmarksError):
    """Raised if a file or an array is not in its format."""

    @classmethod
    def at(cls, path: Path, problem: str, remedy: str, *, line: int | None = None, field: str | None = None) -> Self:
        """Build the message from its parts.

        Args:
            path: The file.
            problem: What is wrong, without a full stop.
            remedy: What to do, without a full stop.
            line: Line number in the file; the header is line 1.
            field: Name of the column.
        """
        place = str(path)
        if line is not None:
            place += f", line {line}"
        if field is not None:
            place += f", field '{field}'"
        return cls(f"{place}: {problem}; {remedy}")


def shown(path: object) -> str:
    """Make a path printable, because names can contain line feeds, escape sequences, and bytes that are not UTF-8."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(path))


def counted(kind: str, names: Sequence[str], most: int = 3) -> str:
    """Return a text such as "2 missing: a, b", with at most `most` of the names."""
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return f"{len(names):,} {kind}: {', '.join(names[:most])}{more}"


def first_line(error: BaseException) -> str:
    """Return the first line of a library's error message, which can be long, or the error's type if it has none."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
