"""Caches expensive results: neighbours, graphs, expanded databases, inlier counts.

The key of an entry is a hash of its input arrays and parameters, never a name or a date, so a stale entry cannot be
found. An entry is a folder of plain ``.npy`` files (see `landmarks.storage.RowLog`): a killed run loses one chunk at
most, and the final name exists only for a finished entry. An entry whose bytes changed, or that an earlier version
wrote without checksums, is computed again.
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
    """A cache in one folder, which evicts the least recently used entries above a size limit.

    Args:
        folder: where entries are kept; by default ``retrieval`` in `$LANDMARKS_CACHE`, `$XDG_CACHE_HOME/landmarks` or
            ``~/.cache/landmarks``.
        limit_gb: maximum size of all finished entries, GB; entries in use by this process are never evicted.
        keep: if False, compute everything again, in a temporary folder that is removed with this object.
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
        """Folder that holds the entries."""
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
        """Return arrays of `count` rows from the cache, or compute them now.

        Args:
            what: kind of entry, a word such as ``"neighbours"``, with which its folder's name begins. Change it when
                the method changes, or old entries would be reused.
            count: rows of every array.
            columns: name to type of each array.
            make: (first row, one past the last) -> the arrays' rows; called for consecutive chunks.
            chunk: rows that one call computes, and the most that a killed run loses.
            inputs: the arrays that the result depends on; all their bytes enter the key.
            parameters: the JSON values that the result depends on.

        Returns:
            Name to array, memory-mapped and read-only.

        Raises:
            LandmarksError: the folder cannot be written, for example because the disk is full; finished chunks are
                kept.
        """
        key = self.key(inputs, {**parameters, "rows": count})
        final = self.folder / f"{what}-{key}"
        shapes = {name: (count, *column.shape) for name, column in columns.items()}
        if final.is_dir() and (found := self._open(final, columns, shapes)) is not None:
            return found
        partial, checked = final.with_name(final.name + PARTIAL_SUFFIX), False
        try:
            with _open_log(partial, columns) as rows:  # waits for another run that computes the same entry
                if final.is_dir():
                    rows.discard()
                else:
                    _fill(rows, what, count, make, chunk)
                    (partial / KEY_FILE).write_text(json.dumps({"what": what, **parameters}, indent=2, default=str))
                    rows.finish(final)
                    checked = True
        except OSError as error:
            raise LandmarksError(
                f"{partial}: could not write: {error}; free disk space, or set cache.folder to a disk with more, and "
                "run the same command again: finished work is kept"
            ) from error
        found = self._open(final, columns, shapes, checked)
        if found is None:
            raise LandmarksError(f"{final}: cannot be read back after writing; check the disk for errors")
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
        """Return a ranking of this shape [Q, K], whose rows `make` computes; see `rows` for the arguments."""

        def rows(start: int, stop: int) -> Rows:
            found = make(start, stop)
            return {"indices": found.indices, "scores": found.scores}

        columns = {"indices": Column(np.int32, shape[1:]), "scores": Column(np.float32, shape[1:])}
        kept = self.rows(what, shape[0], columns, rows, chunk, inputs, parameters)
        return Ranking(kept["indices"], kept["scores"])

    def release(self) -> None:
        """End a run: allow its entries to be evicted, and remove them if `keep` is False."""
        self._used.clear()
        self._hashes.clear()
        if self._temporary is not None:
            self._temporary.cleanup()  # arrays still in use keep their mapped files until they are deleted
            self._temporary = None

    def key(self, inputs: Sequence[NDArray[Any]], parameters: Mapping[str, Any]) -> str:
        """Return the key of an entry, 32 hex digits, from the content of arrays and JSON values."""
        digest = hashlib.blake2b(json.dumps(parameters, sort_keys=True, default=str).encode(), digest_size=16)
        for array in inputs:
            digest.update(self._fingerprint(array).encode())
        return digest.hexdigest()

    def _fingerprint(self, array: NDArray[Any]) -> str:
        known = self._hashes.get(id(array))
        if known is not None and known[0]() is array:
            return known[1]
        print_ = fingerprint(array)
        # Only a read-only array is sure not to change.
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
        """Return the arrays of a finished entry; None after removing one that is corrupt or has no checksums."""
        try:
            if not checked:
                check_folder(folder)
            arrays = {
                name: map_array(folder / f"{name}.npy", np.dtype(column.dtype), shapes[name])
                for name, column in columns.items()
            }
            os.utime(folder)
        except (OSError, ValueError, ChangedError) as error:
            log.warning("%s cannot be used and is computed again: %s", folder, error)
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
                log.info("Removing %s from the cache, which is limited to %g GB", folder.name, self.limit_gb)
                shutil.rmtree(folder, ignore_errors=True)
                total -= size


def fingerprint(array: NDArray[Any]) -> str:
    """Return a hash of an array's type, shape and bytes, 32 hex digits; about 1 s for 2 GB in memory on two cores."""
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
    except ValueError:  # the header is truncated
        shutil.rmtree(partial, ignore_errors=True)
        return RowLog(partial, columns, wait=True)


def _fill(rows: RowLog, what: str, count: int, make: Callable[[int, int], Rows], chunk: int) -> None:
    """Append the missing rows."""
    if rows.count != count:  # a complete log may end with a shorter chunk and must not be cut
        rows.cut(min(rows.count // chunk * chunk, count))
    progress = Progress(what, count, rows.count)
    for start in range(rows.count, count, chunk):
        stop = min(start + chunk, count)
        rows.add(make(start, stop))
        progress.advance(stop - start)
