"""Files of a folder that grow chunk by chunk; if the process is killed, at most the last chunk is lost.

A chunk is first appended to the files; then a line in ``checksums.txt`` records its position in each file and its hash.
Bytes without a line are cut off when the log is opened again. Files are written by appending, not by a memory map, so
that a full disk raises an error instead of killing the process. A finished log is an ordinary folder with one line of
checksums.
"""

import logging
import math
import shutil
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, BinaryIO, Self

import numpy as np
import xxhash
from numpy.typing import NDArray

from landmarks.storage.atomic import atomic_file, sync_file
from landmarks.storage.checksums import (
    CHECKSUMS_FILE,
    LOCK_FILE,
    ChangedError,
    Pieces,
    format_line,
    hash_bytes,
    parse_line,
    piece_of,
    write_checksums,
)
from landmarks.storage.lock import FileLock
from landmarks.storage.npy_header import Column, begin_array, write_header

log = logging.getLogger(__name__)


class AppendLog:
    """Files of a folder that this process alone appends to.

    Args:
        folder: The folder, created if it is missing; existing files are continued.
        files: For each file by name its first bytes, or the array for a ``.npy`` file.
        wait: Wait for another process that writes to the folder instead of raising.
        check: Read all existing data and keep what precedes the first corrupt byte. Without it, the caller must know
            which data are valid.

    Attributes:
        folder: The folder.
        sizes: Size of each file in bytes.

    Raises:
        LockedError: Another process writes to the folder.
        ValueError: An existing file has another beginning.
        OSError: A file cannot be written.
    """

    def __init__(
        self, folder: Path, files: Mapping[str, bytes | Column], wait: bool = False, check: bool = True
    ) -> None:
        self.folder = folder
        self._lock = _lock(folder, wait)
        self._files: dict[str, BinaryIO] = {}
        self._lines: BinaryIO | None = None
        try:
            self.begins = {name: _begin(folder / name, head) for name, head in files.items()}
            self._files = {name: (folder / name).open("ab", buffering=0) for name in files}
            self._recover(check)
            self._lines = (folder / CHECKSUMS_FILE).open("ab", buffering=0)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def append(self, chunk: Mapping[str, bytes]) -> None:
        """Append to some or all of the files, atomically: after a kill, none of the chunk is kept.

        Args:
            chunk: Bytes for each file, by name.

        Raises:
            OSError: Writing failed, for example because the disk is full. Earlier chunks stay valid; the log is closed.
        """
        assert self._lines is not None
        pieces = {name: piece_of(data, self.sizes[name]) for name, data in chunk.items()}
        try:
            for name, data in chunk.items():
                write_all(self._files[name], data)
            write_all(self._lines, format_line(pieces))
        except OSError:
            self.close()  # opening the log again cuts off a chunk that is incomplete
            raise
        self.sizes.update((name, stop) for name, (_, stop, _) in pieces.items())

    def truncate(self, sizes: Mapping[str, int]) -> None:
        """Cut off the files at the given sizes in bytes."""
        kept = {name: min(size, sizes.get(name, size)) for name, size in self.sizes.items()}
        if kept != self.sizes:
            whole = {n: (b, kept[n], hash_bytes(self.folder / n, b, kept[n])) for n, b in self.begins.items()}
            self._keep([whole], kept)

    def sync(self) -> None:
        """Wait until all files are written to the disk."""
        for name in (*self._files, CHECKSUMS_FILE):
            sync_file(self.folder / name)

    def finish(self, final: Path) -> None:
        """Check all files, write the checksums of the whole folder, and rename the folder.

        Args:
            final: The final path of the folder.

        Raises:
            ChangedError: A file is corrupt; opening the log again keeps the valid chunks.
            OSError: A file cannot be written.
        """
        whole = {name: xxhash.xxh3_64() for name in self.begins}
        _, fault = self._sound(self._read_lines(), whole)
        if fault:
            raise ChangedError(f"{fault}; run the same command again to resume from there")
        known = {name: (self.begins[name], self.sizes[name], digest.hexdigest()) for name, digest in whole.items()}
        write_checksums(self.folder, known)
        self.sync()
        self.folder.rename(final)
        (final / LOCK_FILE).unlink(missing_ok=True)
        self.close()

    def discard(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.close()

    def close(self) -> None:
        """Close the files and release the lock; appended chunks are kept."""
        for file in (*self._files.values(), self._lines):
            if file is not None:
                file.close()
        self._lock.release()

    def _recover(self, check: bool) -> None:
        """Keep the complete chunks, if `check` is set only up to the first corrupt one, and cut off the rest."""
        found = {name: (self.folder / name).stat().st_size for name in self._files}
        lines = self._read_lines()
        if found != self.begins and not (self.folder / CHECKSUMS_FILE).exists():
            log.warning("%s: written by an earlier version, without checksums: computing all of it again", self.folder)
        kept, fault = self._sound(lines) if check else (_fitting(lines, found), "")
        if fault:
            log.warning("%s; computing the rest again", fault)
        self.sizes = dict(self.begins)
        known = [line for line in lines[:kept] if line is not None]
        for line in known:
            self.sizes.update((name, stop) for name, (_, stop, _) in line.items() if name in self._files)
        if kept < len(lines) or found != self.sizes:
            self._keep(known, self.sizes)

    def _read_lines(self) -> list[Pieces | None]:
        path = self.folder / CHECKSUMS_FILE
        return [parse_line(line) for line in path.read_bytes().splitlines(keepends=True)] if path.exists() else []

    def _sound(
        self, lines: list[Pieces | None], whole: Mapping[str, xxhash.xxh3_64] = MappingProxyType({})
    ) -> tuple[int, str]:
        """Return the number of valid lines and the problem after them; also update the hash of each file in `whole`."""
        ends = dict(self.begins)
        for number, line in enumerate(lines):
            if line is None:
                return number, f"{self.folder / CHECKSUMS_FILE}: line {number + 1} is corrupt or was cut off"
            for name, (start, stop, value) in line.items():
                if name not in ends:
                    continue
                path = self.folder / name
                fits = start == ends[name] and stop <= path.stat().st_size
                if not fits or hash_bytes(path, start, stop, whole.get(name)) != value:
                    return number, f"{path}: corrupt after byte {ends[name]}, its bytes differ from those written"
                ends[name] = stop
        return len(lines), ""

    def _keep(self, lines: list[Pieces], sizes: Mapping[str, int]) -> None:
        """Write the lines of these chunks only, then cut off the files; a kill between the two does no harm."""
        with atomic_file(self.folder / CHECKSUMS_FILE, sync=False) as file:
            file.writelines(map(format_line, lines))
        if self._lines is not None:
            self._lines.close()
            self._lines = (self.folder / CHECKSUMS_FILE).open("ab", buffering=0)
        self.sizes = dict(sizes)
        for name, file in self._files.items():
            file.truncate(sizes[name])


class RowLog(AppendLog):
    """Arrays with the same number of rows that grow chunk by chunk, each in a ``.npy`` file.

    NumPy can read the finished files. While they grow, their headers say that they have no rows, or too few.

    Args:
        folder: See `AppendLog`, also for the errors raised.
        columns: Type and row shape of each array, by the name of its file without ``.npy``.
        wait: Wait for another process that writes to the folder instead of raising.

    Attributes:
        columns: The columns.
        count: Number of rows.
    """

    def __init__(self, folder: Path, columns: Mapping[str, Column], wait: bool = False) -> None:
        self.columns = columns
        super().__init__(folder, {_file(name): column for name, column in columns.items()}, wait)
        sizes = [(self.sizes[_file(name)] - self.begins[_file(name)], c.row_bytes) for name, c in columns.items()]
        self.count = min((size // row_bytes for size, row_bytes in sizes if row_bytes), default=0)

    def add(self, rows: Mapping[str, NDArray[Any]]) -> None:
        """Append rows to all arrays.

        Args:
            rows: The same number of rows for each array, by name.

        Raises:
            OSError: Writing failed, for example because the disk is full. Earlier rows stay valid; the log is closed.
        """
        count = len(next(iter(rows.values())))
        chunk = {}
        for name, column in self.columns.items():
            values = np.ascontiguousarray(rows[name], column.dtype)
            assert values.shape == (count, *column.shape), f"{name}: {values.shape}"
            chunk[_file(name)] = values.tobytes()
        self.append(chunk)
        self.count += count

    def read(self, name: str, start: int = 0, stop: int | None = None) -> NDArray[Any]:
        """Read the rows `start` to `stop` of an array, [B, …]."""
        column = self.columns[name]
        rows = max(min(self.count if stop is None else stop, self.count) - start, 0)
        place = self.begins[_file(name)] + column.row_bytes * start
        count = rows * math.prod(column.shape)
        values = np.fromfile(self.folder / _file(name), np.dtype(column.dtype), count, offset=place)
        return values.reshape(rows, *column.shape)

    def cut(self, count: int) -> None:
        """Remove all rows after the first `count`."""
        self.truncate({_file(name): self.begins[_file(name)] + c.row_bytes * count for name, c in self.columns.items()})
        self.count = min(count, self.count)

    def finish(self, final: Path) -> None:
        """Write the final headers and finish the log, see `AppendLog.finish`."""
        for name, column in self.columns.items():
            with (self.folder / _file(name)).open("r+b") as file:
                write_header(file, (self.count, *column.shape), np.dtype(column.dtype))
        super().finish(final)


def _file(name: str) -> str:
    return f"{name}.npy"


def _fitting(lines: list[Pieces | None], sizes: Mapping[str, int]) -> int:
    """Return the number of lines whose chunks lie within the files, without checking their content."""
    fits = [line is not None and all(line[name][1] <= sizes[name] for name in line.keys() & sizes) for line in lines]
    return len(fits) - fits[::-1].index(True) if True in fits else 0


def write_all(file: BinaryIO, data: bytes) -> None:
    """Write all of the data; an unbuffered file may write less in one call, for example if the disk is nearly full."""
    view = memoryview(data)
    while view:
        view = view[file.write(view) :]


def _lock(folder: Path, wait: bool) -> FileLock:
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            return FileLock(folder / LOCK_FILE, wait)
        except FileNotFoundError:  # another process has just finished and renamed the folder
            continue


def _begin(path: Path, head: bytes | Column) -> int:
    """Write the head of an empty file, or check that of an existing one; return its length in bytes."""
    path.touch()
    with path.open("r+b") as file:
        if isinstance(head, Column):
            return begin_array(file, head)
        found = file.read(len(head))
        if not head.startswith(found):
            raise ValueError(f"{path.name}: does not begin with {head.decode().strip()}")
        file.write(head[len(found) :])
        return len(head)
