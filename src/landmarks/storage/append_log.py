"""Files of one folder that grow chunk by chunk, and of which a kill at any byte costs at most the last chunk.

A chunk is appended to the files first; then a line in ``checksums.txt`` says where it lies in each and what its hash
is. What no line tells of is cut off when the log is opened again. Plain appending writes, not a memory map: a full disk
is then an error to report instead of a killed process. A finished log is an ordinary folder with one line of checksums.
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
    """The files of a folder, opened to be added to by this process alone.

    Args:
        folder: Is made where it is missing; whoever opens it goes on with what lies there.
        files: Name of each file to its first bytes, or to the array of which it is the ``.npy`` file.
        wait: Wait for another process that writes here instead of refusing.
        check: Read all that is there and keep what comes before the first changed byte. Without it, whoever reads
            must know what is sound.

    Attributes:
        folder: As given.
        sizes: Bytes of each file.

    Raises:
        LockedError: Another process writes here.
        ValueError: A file was begun otherwise.
        OSError: The file cannot be written.
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
        """Add to some or all of the files; all of it is there afterwards, or after a kill none of it.

        Raises:
            OSError: The disk is full or refuses. What was added before stays good; the log is closed.
        """
        assert self._lines is not None
        pieces = {name: piece_of(data, self.sizes[name]) for name, data in chunk.items()}
        try:
            for name, data in chunk.items():
                write_all(self._files[name], data)
            write_all(self._lines, format_line(pieces))
        except OSError:
            self.close()  # half a chunk may lie there now; opening the log again cuts it off
            raise
        self.sizes.update((name, stop) for name, (_, stop, _) in pieces.items())

    def truncate(self, sizes: Mapping[str, int]) -> None:
        """Drop what lies behind these lengths."""
        kept = {name: min(size, sizes.get(name, size)) for name, size in self.sizes.items()}
        if kept != self.sizes:
            whole = {n: (b, kept[n], hash_bytes(self.folder / n, b, kept[n])) for n, b in self.begins.items()}
            self._keep([whole], kept)

    def sync(self) -> None:
        """Wait until all is on the disk."""
        for name in (*self._files, CHECKSUMS_FILE):
            sync_file(self.folder / name)

    def finish(self, final: Path) -> None:
        """Read all of it once more, write the checksums of the whole folder, and give the folder its final name.

        Raises:
            ChangedError: A file does not hold what was written; opening the log again keeps what is sound.
            OSError: The file cannot be written.
        """
        whole = {name: xxhash.xxh3_64() for name in self.begins}
        _, fault = self._sound(self._read_lines(), whole)
        if fault:
            raise ChangedError(f"{fault}; run the same again, it goes on from there")
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
        """Let go of the folder; what was added stays."""
        for file in (*self._files.values(), self._lines):
            if file is not None:
                file.close()
        self._lock.release()

    def _recover(self, check: bool) -> None:
        """Keep the chunks that are whole, and sound where that is asked for."""
        found = {name: (self.folder / name).stat().st_size for name in self._files}
        lines = self._read_lines()
        if found != self.begins and not (self.folder / CHECKSUMS_FILE).exists():
            log.warning("%s: an earlier version kept no checksums here: all of it is made again", self.folder)
        kept, fault = self._sound(lines) if check else (_fitting(lines, found), "")
        if fault:
            log.warning("%s; what follows is made again", fault)
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
        """Return how many lines tell the truth, and what is wrong after; hash each file as a `whole` on the way."""
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
                    return number, f"{path}: corrupt after byte {ends[name]}, it holds other bytes than were written"
                ends[name] = stop
        return len(lines), ""

    def _keep(self, lines: list[Pieces], sizes: Mapping[str, int]) -> None:
        """Tell of these chunks alone, then cut off what they do not tell of: a kill between the two does no harm."""
        with atomic_file(self.folder / CHECKSUMS_FILE, sync=False) as file:
            file.writelines(map(format_line, lines))
        if self._lines is not None:
            self._lines.close()
            self._lines = (self.folder / CHECKSUMS_FILE).open("ab", buffering=0)
        self.sizes = dict(sizes)
        for name, file in self._files.items():
            file.truncate(sizes[name])


class RowLog(AppendLog):
    """Arrays of the same number of rows that grow chunk by chunk, each in a ``.npy`` file.

    Anyone with NumPy reads the finished files. While they grow, the headers tell of no rows, or of fewer.

    Args:
        folder: See `AppendLog`, as for what is raised.
        columns: Name of each array, and of its file without ``.npy``, to its type.
        wait: Wait for another process that writes here instead of refusing.

    Attributes:
        columns: As given.
        count: Rows that are there.
    """

    def __init__(self, folder: Path, columns: Mapping[str, Column], wait: bool = False) -> None:
        self.columns = columns
        super().__init__(folder, {_file(name): column for name, column in columns.items()}, wait)
        sizes = [(self.sizes[_file(name)] - self.begins[_file(name)], c.row_bytes) for name, c in columns.items()]
        self.count = min((size // row_bytes for size, row_bytes in sizes if row_bytes), default=0)

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
        self.append(chunk)
        self.count += count

    def read(self, name: str, start: int = 0, stop: int | None = None) -> NDArray[Any]:
        """Read rows back, [B, …]."""
        column = self.columns[name]
        rows = max(min(self.count if stop is None else stop, self.count) - start, 0)
        place = self.begins[_file(name)] + column.row_bytes * start
        count = rows * math.prod(column.shape)
        values = np.fromfile(self.folder / _file(name), np.dtype(column.dtype), count, offset=place)
        return values.reshape(rows, *column.shape)

    def cut(self, count: int) -> None:
        """Drop all rows after the first `count`."""
        self.truncate({_file(name): self.begins[_file(name)] + c.row_bytes * count for name, c in self.columns.items()})
        self.count = min(count, self.count)

    def finish(self, final: Path) -> None:
        """Complete the headers, and see `AppendLog.finish`."""
        for name, column in self.columns.items():
            with (self.folder / _file(name)).open("r+b") as file:
                write_header(file, (self.count, *column.shape), np.dtype(column.dtype))
        super().finish(final)


def _file(name: str) -> str:
    return f"{name}.npy"


def _fitting(lines: list[Pieces | None], sizes: Mapping[str, int]) -> int:
    """Return how many lines come before the end of the files, whatever the files hold."""
    fits = [line is not None and all(line[name][1] <= sizes[name] for name in line.keys() & sizes) for line in lines]
    return len(fits) - fits[::-1].index(True) if True in fits else 0


def write_all(file: BinaryIO, data: bytes) -> None:
    """Write it all: unbuffered files may write less than asked, for example just before the disk is full."""
    view = memoryview(data)
    while view:
        view = view[file.write(view) :]


def _lock(folder: Path, wait: bool) -> FileLock:
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            return FileLock(folder / LOCK_FILE, wait)
        except FileNotFoundError:  # another process has just finished it, and given it another name
            continue


def _begin(path: Path, head: bytes | Column) -> int:
    """Begin an empty file, or check how another begins; the length of its head."""
    path.touch()
    with path.open("r+b") as file:
        if isinstance(head, Column):
            return begin_array(file, head)
        found = file.read(len(head))
        if not head.startswith(found):
            raise ValueError(f"{path.name}: does not begin with {head.decode().strip()}")
        file.write(head[len(found) :])
        return len(head)
