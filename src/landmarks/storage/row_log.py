"""Arrays of the same number of rows that grow chunk by chunk in one folder, as plain ``.npy`` files.

Anyone with NumPy reads the finished files. While they grow, the headers tell of no rows, or of fewer.
"""

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import DTypeLike, NDArray

from landmarks.storage.append_log import AppendLog
from landmarks.storage.npy_header import read_header, write_header


@dataclass(frozen=True)
class Column:
    """One array: its type and the shape of one row, ``()`` for one number a row."""

    dtype: DTypeLike
    shape: tuple[int, ...] = ()

    @property
    def row_bytes(self) -> int:
        """Bytes of one row."""
        return math.prod(self.shape) * np.dtype(self.dtype).itemsize


class RowLog:
    """The arrays in a folder, opened to be added to by this process alone; `count` rows are there.

    Args:
        folder: Is made where it is missing; whoever opens it goes on with the rows that are there. Of folders that were
            written without checksums the whole rows are kept.
        columns: Name of each array, and of its file without ``.npy``, to its type.
        wait: Wait for another process that writes here instead of refusing.

    Raises:
        LockedError: Another process writes here.
        ValueError: A file holds rows of another type or shape; names it.
        OSError: The disk refuses.
    """

    def __init__(self, folder: Path, columns: Mapping[str, Column], wait: bool = False) -> None:
        self.columns = columns
        files = {_file(name): partial(_begin, _file(name), column) for name, column in columns.items()}
        self._log = AppendLog(folder, files, wait, adopt=True)
        sizes = [(self._log.sizes[_file(name)] - self._log.begins[_file(name)], c) for name, c in columns.items()]
        self.count = min((size // c.row_bytes for size, c in sizes if c.row_bytes), default=0)
        self._log.cut(self._sizes(self.count))  # an earlier version may have left half a row

    def __enter__(self) -> "RowLog":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def add(self, rows: Mapping[str, NDArray[Any]]) -> None:
        """Append rows to all arrays.

        Raises:
            OSError: The disk is full or refuses. What was added before stays good; the log is closed.
        """
        count = len(next(iter(rows.values())))
        chunk = {}
        for name, column in self.columns.items():
            values = np.ascontiguousarray(rows[name], column.dtype)
            assert values.shape == (count, *column.shape), f"{name}: {values.shape}"
            chunk[_file(name)] = values.tobytes()
        self._log.append(chunk)
        self.count += count

    def read(self, name: str, start: int = 0, stop: int | None = None) -> NDArray[Any]:
        """Read rows back, [B, …]."""
        column = self.columns[name]
        stop = self.count if stop is None else min(stop, self.count)
        place = self._log.begins[_file(name)] + column.row_bytes * start
        values = np.fromfile(
            self._log.folder / _file(name),
            np.dtype(column.dtype),
            max(stop - start, 0) * math.prod(column.shape),
            offset=place,
        )
        return values.reshape(-1 if column.row_bytes else max(stop - start, 0), *column.shape)

    def cut(self, count: int) -> None:
        """Drop all rows after the first `count`."""
        if count < self.count:
            self._log.cut(self._sizes(count))
            self.count = count

    def finish(self, final: Path) -> None:
        """Complete the files, check what was written, and give the folder its final name.

        Raises:
            ChangedError: A file does not hold what was written; opening the log again keeps what is sound.
            OSError: The disk refuses.
        """
        for name, column in self.columns.items():
            with (self._log.folder / _file(name)).open("r+b") as file:
                write_header(file, (self.count, *column.shape), np.dtype(column.dtype))
        self._log.finish(final)

    def discard(self) -> None:
        """Remove the folder."""
        self._log.discard()

    def close(self) -> None:
        """Let go of the folder; what was added stays."""
        self._log.close()

    def _sizes(self, count: int) -> dict[str, int]:
        return {_file(name): self._log.begins[_file(name)] + c.row_bytes * count for name, c in self.columns.items()}


def _file(name: str) -> str:
    return f"{name}.npy"


def _begin(name: str, column: Column, file: BinaryIO) -> int:
    """Give a new file the header of an array without rows, or check the one it has; the length of the header."""
    dtype = np.dtype(column.dtype)
    if file.seek(0, os.SEEK_END) == 0:
        return write_header(file, (0, *column.shape), dtype)
    file.seek(0)
    try:
        header = read_header(file)
        if header.shape[1:] != column.shape or header.dtype != dtype:
            raise ValueError(f"rows are {header.dtype} {header.shape[1:]}, not {dtype} {column.shape}")
    except ValueError as error:
        raise ValueError(f"{name}: cannot go on with what is there: {error}") from error
    return header.data_start
