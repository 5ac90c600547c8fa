"""Writes a descriptor set chunk by chunk, so that an interrupted extraction goes on where it stopped.

Chunks are appended to the final ``.npy`` files in a folder called ``<name>.partial``; finishing puts the number
of rows into their headers and renames the folder. So the finished name exists only for a finished set. Plain
appending writes, not a memory map: a full disk is then an error to report instead of a killed process.
"""

import fcntl
import os
import shutil
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Literal
from weakref import WeakSet

import numpy as np
from numpy.typing import NDArray

from landmarks.errors import LandmarksError
from landmarks.retrieval.blocks import Descriptors
from landmarks.retrieval.descriptors.descriptor_set import (
    DESCRIPTORS_FILE,
    IDS_FILE,
    PARTIAL_SUFFIX,
    PROTOCOL_FILE,
    DescriptorSet,
)
from landmarks.retrieval.descriptors.protocol import ExtractionProtocol
from landmarks.storage.npy_header import read_header, write_header

_open_writers: "WeakSet[DescriptorWriter]" = WeakSet()


def _let_go() -> None:
    """A process that reads pictures for us must not hold the lock: it may outlive a killed writer by seconds."""
    for writer in list(_open_writers):
        writer.close()


os.register_at_fork(after_in_child=_let_go)


class OtherSetError(LandmarksError):
    """A set lies where one was to be written, and was made otherwise."""


class DescriptorWriter:
    """Appends descriptors; used in a ``with`` statement, ended with `finish`.

    If a partial set of exactly the same protocol lies there, the writer goes on with it and `done` holds its
    ids. Leaving the ``with`` block without `finish` keeps the partial set.

    Args:
        folder: of the finished set; must not exist yet.
        capacity: the most rows that may be added, for an early word against a wrong loop.
        dim: D.
        protocol: what makes the descriptors.
        dtype: on disk.

    Raises:
        OtherSetError: a partial set is there that was made otherwise.
        LandmarksError: a finished set is there, or another process writes it.
    """

    def __init__(
        self,
        folder: str | Path,
        capacity: int,
        dim: int,
        protocol: ExtractionProtocol,
        dtype: Literal["float32", "float16"] = "float32",
    ) -> None:
        self.folder = Path(folder)
        self.partial = self.folder.with_name(self.folder.name + PARTIAL_SUFFIX)
        self.capacity = capacity
        self.dim = dim
        self.dtype = np.dtype(dtype)
        self.count = 0
        if self.folder.exists():
            raise LandmarksError(f"{self.folder} exists already: choose another name or remove it")
        try:
            self.partial.mkdir(parents=True, exist_ok=True)
            self._ids = (self.partial / IDS_FILE).open("a+b", buffering=0)
            self._lock()
            self._matrix = (self.partial / DESCRIPTORS_FILE).open("a+b", buffering=0)
            self._require_protocol(protocol)
            self.done = self._recover()
            _open_writers.add(self)
        except OSError as error:
            raise LandmarksError(f"{self.partial}: cannot write here: {error}") from error

    def __enter__(self) -> "DescriptorWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def add(self, ids: NDArray[np.uint64], descriptors: Descriptors) -> None:
        """Append rows.

        Args:
            ids: uint64 [B].
            descriptors: [B, D], finite also in the dtype on disk.

        Raises:
            LandmarksError: shapes that do not fit, more rows than the capacity, NaN or infinity (names the
                picture), or a full disk. What was added before stays good.
        """
        with np.errstate(over="ignore"):
            rows = np.ascontiguousarray(descriptors, self.dtype)
        if ids.dtype != np.uint64 or rows.shape != (len(ids), self.dim):
            raise LandmarksError(
                f"{self.folder}: {ids.dtype} ids {ids.shape} and descriptors {rows.shape} do not fit [B] and "
                f"[B, {self.dim}]"
            )
        if self.count + len(ids) > self.capacity:
            raise LandmarksError(f"{self.folder}: more than the {self.capacity} rows that were announced")
        broken = np.flatnonzero(~np.isfinite(rows).all(axis=1))
        if len(broken):
            raise LandmarksError(
                f"{self.folder}: {len(broken)} descriptors are not finite in {self.dtype}, the first is of picture "
                f"{int(ids[broken[0]]):016x}"
            )
        try:
            # Ids last: a row counts once its id is there, so a torn write of the matrix is dropped on recovery.
            write_all(self._matrix, rows.tobytes())
            write_all(self._ids, ids.tobytes())
        except OSError as error:
            self.close()  # Half a row may lie there now; opening the set again cuts it off.
            raise LandmarksError(
                f"{self.partial}: could not write after {self.count} rows: {error}; make room and run the same "
                "extraction again, it goes on from there"
            ) from error
        self.count += len(ids)

    def read(self, start: int, stop: int) -> tuple[NDArray[np.uint64], Descriptors]:
        """Read rows back: ids uint64 [B] and descriptors [B, D] in the dtype on disk."""
        stop = min(stop, self.count)
        return self._read_ids(start, stop), self._read_rows(start, stop)

    def cut(self, count: int) -> None:
        """Drop all rows after the first `count`."""
        if count < self.count:
            self._ids.truncate(self._id_start + 8 * count)
            self._matrix.truncate(self._row_start + self._row_bytes * count)
            self.count, self.done = count, self.done[:count]

    def finish(self) -> DescriptorSet:
        """Complete the files, give the folder its final name, and open it.

        Raises:
            LandmarksError: nothing was added, an id was added twice, or the disk refused.
        """
        if self.count == 0:
            raise LandmarksError(f"{self.folder}: no descriptor was added; were all pictures unreadable?")
        try:
            for name, shape, dtype in (
                (IDS_FILE, (self.count,), np.dtype(np.uint64)),
                (DESCRIPTORS_FILE, (self.count, self.dim), self.dtype),
            ):
                with (self.partial / name).open("r+b") as file:
                    write_header(file, shape, dtype)
                    file.flush()
                    os.fsync(file.fileno())
            DescriptorSet.open(self.partial)
            self.partial.rename(self.folder)
        except OSError as error:
            raise LandmarksError(f"{self.folder}: could not finish the set: {error}") from error
        finally:
            self.close()
        return DescriptorSet.open(self.folder)

    def discard(self) -> None:
        """Remove the partial set."""
        self.close()
        shutil.rmtree(self.partial, ignore_errors=True)

    def close(self) -> None:
        """Close the files and keep the partial set."""
        self._ids.close()
        self._matrix.close()

    def _lock(self) -> None:
        try:
            fcntl.flock(self._ids, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise LandmarksError(f"{self.partial}: another process writes this set; give each its own") from error

    def _require_protocol(self, protocol: ExtractionProtocol) -> None:
        path = self.partial / PROTOCOL_FILE
        if not path.exists():
            protocol.write(path)
        differences = ExtractionProtocol.read(path).differences(protocol, ignore=frozenset())
        if differences:
            raise OtherSetError(
                f"{self.partial}: the unfinished set there was made otherwise ({'; '.join(differences)}): "
                "remove it or choose another name"
            )

    def _recover(self) -> NDArray[np.uint64]:
        """Cut both files to their whole common rows and return the ids kept."""
        self._id_start = _begin(Path(self._ids.name), (), np.dtype(np.uint64))
        self._row_start = _begin(Path(self._matrix.name), (self.dim,), self.dtype)
        self._row_bytes = self.dim * self.dtype.itemsize
        id_rows = (os.fstat(self._ids.fileno()).st_size - self._id_start) // 8
        self.count = min(id_rows, (os.fstat(self._matrix.fileno()).st_size - self._row_start) // self._row_bytes)
        self._ids.truncate(self._id_start + 8 * self.count)
        self._matrix.truncate(self._row_start + self._row_bytes * self.count)
        return self._read_ids(0, self.count)

    def _read_ids(self, start: int, stop: int) -> NDArray[np.uint64]:
        return np.fromfile(self._ids.name, np.uint64, offset=self._id_start + 8 * start, count=stop - start)

    def _read_rows(self, start: int, stop: int) -> Descriptors:
        offset = self._row_start + self._row_bytes * start
        rows = np.fromfile(self._matrix.name, self.dtype, offset=offset, count=(stop - start) * self.dim)
        return rows.reshape(-1, self.dim)


def _begin(path: Path, row_shape: tuple[int, ...], dtype: np.dtype[np.generic]) -> int:
    """Give a new file the header of an array without rows, or check the one it has. Its length."""
    with path.open("r+b") as file:
        if path.stat().st_size == 0:
            return write_header(file, (0, *row_shape), dtype)
        try:
            header = read_header(file)
            if header.shape[1:] != row_shape or header.dtype != dtype:
                raise ValueError(f"rows are {header.dtype} {header.shape[1:]}, not {dtype} {row_shape}")
        except ValueError as error:
            raise OtherSetError(f"{path}: cannot go on with this unfinished set: {error}; remove it") from error
        return header.data_start


def write_all(file: BinaryIO, data: bytes) -> None:
    """Write it all: unbuffered files may write less than asked, for example just before the disk is full."""
    view = memoryview(data)
    while view:
        view = view[file.write(view) :]
