"""The one error of this package: a solution or submission that breaks the official format.

`metrics` imports nothing else of this project, so the error is its own and not a `LandmarksError`.
"""

from pathlib import Path
from typing import Self


class FormatError(ValueError):
    """A solution or submission breaks the format; the message says where, what is wrong and what to do."""

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
