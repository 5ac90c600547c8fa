"""Keeps what is expensive: neighbours, graphs, expanded databases, inlier counts.

An entry is found by the content of the arrays it was made of and the parameters it was made with, never by a name or
a date, so a stale one cannot be found. It is a folder of plain ``.npy`` files (see `landmarks.storage.RowLog`): work
that was killed loses one chunk, and the final name exists only for a finished entry. An entry whose bytes changed, or
that an earlier version wrote without checksums, is made again.
"""

import hashlib
import json
import logging
import os
import shutil
import tempfile
import weakref
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from landmarks.errors import LandmarksError
from landmarks.retrieval.progress import Progress
from landmarks.retrieval.ranking import Ranking
from landmarks.storage import ChangedError, Column, RowLog, check_folder, map_array, user_cache

log = logging.getLogger(__name__)

HASH_BLOCK = 16 << 20
KEY_FILE = "key.json"
PARTIAL_SUFFIX = ".partial"
GB = 10**9

Rows = Mapping[str, NDArray[Any]]


class Cache:
    """Entries in one folder, the least recently used removed where they grow too large.

    Args:
        folder: where; by default ``retrieval`` in `$LANDMARKS_CACHE`, `$XDG_CACHE_HOME/landmarks` or
            ``~/.cache/landmarks``.
        limit_gb: the most that finished entries may take, GB; those that this process uses stay in any case.
        keep: false computes anew every time, in a temporary folder that goes with this object.
    """

    def __init__(self, folder: str | Path | None = None, limit_gb: float = 50.0, keep: bool = True) -> None:
        if limit_gb < 0:
            raise LandmarksError(f"cache.limit_gb is {limit_gb}: it must be 0 or more")
        self.limit_gb = limit_gb
        self.keep = keep
        self._folder = Path(folder) if folder is not None else user_cache() / "retrieval"
        self._temporary: tempfile.TemporaryDirectory[str] | None = None
        self._used: set[Path] = set()
        self._hashes: dict[int, tuple[weakref.ref[NDArray[Any]], str]] = {}

    @property
    def folder(self) -> Path:
        """Where entries lie."""
        if self.keep:
            return self._folder
        if self._temporary is None:
            self._temporary = tempfile.TemporaryDirectory(prefix="landmarks-")
        return Path(self._temporary.name)

    def rows(
        self,
        what: str,
        count: int,
        columns: Mapping[str, Column],
        make: Callable[[int, int], Rows],
        chunk: int,
        inputs: Sequence[NDArray[Any]],
        parameters: Mapping[str, Any],
    ) -> dict[str, NDArray[Any]]:
        """Arrays of `count` rows, from the cache or made now; where the disk is full, what was made so far is kept.

        Args:
            what: kind of entry, a word such as ``"neighbours"``; also the first part of its folder's name. Change it
                when the method changes, else old entries would be found.
            count: rows of every array.
            columns: name to type of each array.
            make: (first row, one past the last) -> the arrays' rows; called for consecutive chunks.
            chunk: rows that one call makes, and the most that a kill loses.
            inputs: the arrays that the result depends on; all their bytes count.
            parameters: JSON values that it depends on.

        Returns:
            Name to array, memory-mapped and read-only.
        """
        key = self.key(inputs, {**parameters, "rows": count})
        final = self.folder / f"{what}-{key}"
        shapes = {name: (count, *column.shape) for name, column in columns.items()}
        if final.is_dir() and (found := self._open(final, columns, shapes)) is not None:
            return found
        partial, checked = final.with_name(final.name + PARTIAL_SUFFIX), False
        try:
            with _open_log(partial, columns) as rows:  # another run that makes the same is waited for
                if final.is_dir():
                    rows.discard()
                else:
                    _fill(rows, what, count, make, chunk)
                    (partial / KEY_FILE).write_text(json.dumps({"what": what, **parameters}, indent=2, default=str))
                    rows.finish(final)
                    checked = True
        except OSError as error:
            raise LandmarksError(
                f"{partial}: could not write: {error}; make room, or set cache.folder to a place that has it, and "
                "run the same again: what was done is kept"
            ) from error
        found = self._open(final, columns, shapes, checked)
        if found is None:
            raise LandmarksError(f"{final}: cannot be read back; is the disk sound?")
        self._evict()
        return found

    def ranking(
        self,
        what: str,
        shape: tuple[int, int],
        make: Callable[[int, int], Ranking],
        chunk: int,
        inputs: Sequence[NDArray[Any]],
        parameters: Mapping[str, Any],
    ) -> Ranking:
        """A ranking of this shape [Q, K], whose rows `make` gives; see `rows`."""

        def rows(start: int, stop: int) -> Rows:
            found = make(start, stop)
            return {"indices": found.indices, "scores": found.scores}

        columns = {"indices": Column(np.int32, shape[1:]), "scores": Column(np.float32, shape[1:])}
        kept = self.rows(what, shape[0], columns, rows, chunk, inputs, parameters)
        return Ranking(kept["indices"], kept["scores"])

    def release(self) -> None:
        """A run is over: its entries may be removed from now on; where nothing is kept, they are."""
        self._used.clear()
        self._hashes.clear()
        if self._temporary is not None:
            self._temporary.cleanup()  # arrays that are still in use keep their files' blocks until they are dropped
            self._temporary = None

    def key(self, inputs: Sequence[NDArray[Any]], parameters: Mapping[str, Any]) -> str:
        """32 hex digits of the content of arrays and of JSON values."""
        digest = hashlib.blake2b(json.dumps(parameters, sort_keys=True, default=str).encode(), digest_size=16)
        for array in inputs:
            digest.update(self._fingerprint(array).encode())
        return digest.hexdigest()

    def _fingerprint(self, array: NDArray[Any]) -> str:
        known = self._hashes.get(id(array))
        if known is not None and known[0]() is array:
            return known[1]
        print_ = fingerprint(array)
        # Only what cannot be written to is sure to stay what it is.
        if isinstance(array, np.memmap) and not array.flags.writeable:
            self._hashes[id(array)] = (weakref.ref(array), print_)
        return print_

    def _open(
        self,
        folder: Path,
        columns: Mapping[str, Column],
        shapes: Mapping[str, tuple[int, ...]],
        checked: bool = False,
    ) -> dict[str, NDArray[Any]] | None:
        """The arrays of a finished entry; None after removing one that is corrupt or has no checksums."""
        try:
            if not checked:
                check_folder(folder)
            arrays = {
                name: map_array(folder / f"{name}.npy", np.dtype(column.dtype), shapes[name])
                for name, column in columns.items()
            }
            os.utime(folder)
        except (OSError, ValueError, ChangedError) as error:
            log.warning("%s cannot be used and is made again: %s", folder, error)
            shutil.rmtree(folder, ignore_errors=True)
            return None
        self._used.add(folder)
        return arrays

    def _evict(self) -> None:
        """Remove the least recently used entries above the limit."""
        if not self.keep:
            return
        entries = []
        for folder in self.folder.iterdir():
            try:
                if folder.is_dir() and folder.suffix != PARTIAL_SUFFIX:
                    size = sum(file.stat().st_size for file in folder.iterdir())
                    entries.append((folder.stat().st_mtime, size, folder))
            except OSError:  # another run removes it
                continue
        total = sum(size for _, size, _ in entries)
        for _, size, folder in sorted(entries):
            if total <= self.limit_gb * GB:
                break
            if folder not in self._used:
                log.info("Removing %s from the cache, which may hold %g GB", folder.name, self.limit_gb)
                shutil.rmtree(folder, ignore_errors=True)
                total -= size


def fingerprint(array: NDArray[Any]) -> str:
    """32 hex digits of an array's type, shape and bytes; on two cores about a second for 2 GB that are in memory."""
    rows = max(1, HASH_BLOCK // max(1, array.nbytes // max(1, len(array)))) if array.ndim else 1
    blocks = [array[start : start + rows] for start in range(0, len(array), rows)] if array.ndim else [array]

    def block_hash(block: NDArray[Any]) -> bytes:
        return hashlib.blake2b(np.ascontiguousarray(block).data.cast("B"), digest_size=16).digest()

    digest = hashlib.blake2b(f"{array.dtype.str} {array.shape}".encode(), digest_size=16)
    with ThreadPoolExecutor() as pool:
        for part in pool.map(block_hash, blocks):
            digest.update(part)
    return digest.hexdigest()


def _open_log(partial: Path, columns: Mapping[str, Column]) -> RowLog:
    try:
        return RowLog(partial, columns, wait=True)
    except ValueError:  # a header that was cut off
        shutil.rmtree(partial, ignore_errors=True)
        return RowLog(partial, columns, wait=True)


def _fill(rows: RowLog, what: str, count: int, make: Callable[[int, int], Rows], chunk: int) -> None:
    """Append the rows that are not there yet."""
    if rows.count != count:  # all may be there, the last chunk shorter than the others
        rows.cut(min(rows.count // chunk * chunk, count))
    progress = Progress(what, count, rows.count)
    for start in range(rows.count, count, chunk):
        stop = min(start + chunk, count)
        rows.add(make(start, stop))
        progress.advance(stop - start)
