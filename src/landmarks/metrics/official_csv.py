"""Reads the official solution and submission files, and detects if one is given in place of another."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from landmarks.errors import FormatError
from landmarks.ids import first_repeat, format_id
from landmarks.storage import Rows, read_rows

FILES = {
    ("id", "images", "Usage"): "retrieval solution",
    ("id", "landmarks", "Usage"): "recognition solution",
    ("id", "images"): "retrieval submission",
    ("id", "landmarks"): "recognition submission",
}


def read_official(path: Path, columns: tuple[str, ...]) -> Iterator[Rows]:
    """Read a file block by block, see `read_rows`."""

    def refuse_others(names: Sequence[str]) -> None:
        found = tuple(names)
        if found in FILES and found != columns:
            raise FormatError.at(path, f"this is a {FILES[found]}", f"give a {FILES[columns]}", line=1)
        if found != columns and set(columns) <= set(found):
            wanted = f"a {FILES[columns]} begins with the line '{','.join(columns)}'"
            problem = f"other columns or another order in the header '{','.join(names)[:80]}'"
            raise FormatError.at(path, problem, wanted, line=1)

    return read_rows(path, columns, check_header=refuse_others)


def refuse_repeats(path: Path, ids: NDArray[np.uint64], lines: NDArray[np.int64]) -> None:
    """Raise a FormatError if an id occurs twice, given ids uint64 [N] and their lines [N]."""
    row = first_repeat(ids)
    if row is not None:
        problem = f"id {format_id(ids[row])} is already on an earlier line"
        raise FormatError.at(path, problem, "keep one line per id", line=int(lines[row]), field="id")
