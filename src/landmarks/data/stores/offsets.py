"""Makes or updates the offset index of a split, and opens its images with it.

Only tars that are new or have changed are read; changed, missing and unreadable tars are reported.
"""

import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from threading import Event

from landmarks.data.stores.offset_file import (
    MAX_TARS,
    NO_OFFSETS,
    IndexedTar,
    Offsets,
    merge,
    read_offsets,
    select,
    write_offsets,
)
from landmarks.data.stores.tar_files import TarFiles, TarStamp
from landmarks.data.stores.tar_headers import Images, read_headers
from landmarks.data.stores.tar_members import RefusedTarError
from landmarks.data.stores.tars import TarStore
from landmarks.errors import LandmarksError
from landmarks.storage import FileLock

SECONDS_BETWEEN_WRITES = 10.0
# Writing a large index takes a second; it is written so rarely that this takes at most this share of the time.
SHARE_OF_WRITES = 0.05
WORKERS = 8  # default number of tars that are read at the same time
MOST_NAMED = 20  # most tars that a message names

OnTar = Callable[[str, int, int], None]

log = logging.getLogger(__name__)


class OffsetBuilder:
    """Reads tars and adds them to an index.

    Finished tars are written every few seconds, so that an interrupted run resumes where it stopped: an unfinished
    index is a valid index of fewer tars. Threads suffice, because at half a million headers per second the
    disk or network, not the interpreter, is the bottleneck.

    Attributes:
        offsets: The index, at first its part that is still valid.
        before: All tars of the old index.
        refused: A message for each tar that could not be added.
    """

    def __init__(self, files: TarFiles, path: Path, offsets: Offsets, before: dict[str, TarStamp]) -> None:
        self.files = files
        self.path = path
        self.offsets = offsets
        self.before = before
        self.refused: list[str] = []
        self._finished: list[tuple[IndexedTar, Images]] = []
        self._stopped = Event()

    def run(self, wanted: dict[str, TarStamp], workers: int, on_tar: OnTar | None) -> None:
        """Read the tars, several at a time; write the index from time to time and at the end, even after an error."""
        if wanted:
            log.info("reading the headers of %d tars for %s", len(wanted), self.path)
        next_write = time.monotonic() + SECONDS_BETWEEN_WRITES
        with ThreadPoolExecutor(workers) as pool:
            try:
                jobs = {pool.submit(self._read_tar, name, stamp): name for name, stamp in wanted.items()}
                for done, job in enumerate(as_completed(jobs), 1):
                    try:
                        self._finished.append(job.result())
                    except LandmarksError as error:
                        self.refused.append(str(error))
                    if on_tar:
                        on_tar(jobs[job], done, len(wanted))
                    if time.monotonic() > next_write:
                        next_write = self._write()
                        log.info("%d of %d tars are indexed", done, len(wanted))
            finally:
                self._stopped.set()
                pool.shutdown(cancel_futures=True)
                self._write()
        self.refused.sort()
        log.info("%s: %d images in %d tars", self.path, len(self.offsets), len(self.offsets.tars))

    def _read_tar(self, name: str, stamp: TarStamp) -> tuple[IndexedTar, Images]:
        address = self.files.address(name)
        try:
            read = self.files.walk(name)

            def read_unless_stopped(offset: int, length: int) -> bytes:
                if self._stopped.is_set():
                    raise InterruptedError
                return read(offset, length)

            images = read_headers(read_unless_stopped, stamp.size)
        except RefusedTarError as error:
            message = f"{address}: {error}"
            if name in self.before and self.before[name].size > stamp.size:
                message += f" (it had {self.before[name].size:,} bytes when it was indexed, now {stamp.size:,})"
            raise LandmarksError(message) from error
        except OSError as error:
            raise LandmarksError(f"{address}: cannot be read ({error.strerror or error})") from error
        return IndexedTar(name, stamp, len(images.ids)), images

    def _write(self) -> float:
        """Add finished tars to the index and write it. Returns the earliest time at which to write it again."""
        start = time.monotonic()
        self.offsets, left_out = merge(self.offsets, self._finished)
        self._finished = []
        for name, (other, image) in left_out.items():
            self.refused.append(
                f"image {image} is in {self.files.address(other)} and again in {self.files.address(name)}; remove the "
                "tar that is not part of the data set"
            )
        write_offsets(self.offsets, self.path)
        end = time.monotonic()
        return end + max(SECONDS_BETWEEN_WRITES, (end - start) / SHARE_OF_WRITES)


@dataclass(frozen=True)
class Update:
    """The result of updating an index.

    Attributes:
        offsets: The updated index.
        new: Names of the tars that were added.
        changed: Names of the tars that had changed and were read again.
        gone: Names of the tars that no longer exist.
        refused: A message for each tar that could not be added.
    """

    offsets: Offsets
    new: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()


def open_tar_store(files: TarFiles, offsets: Path) -> TarStore:
    """Open the images of a split, after making or updating the offset index.

    Args:
        files: All tars of the split.
        offsets: The file of the index.

    Returns:
        The store.

    Raises:
        LandmarksError: Tars are corrupt, unsafe or unreadable, or hold the same image; the message names them.
    """
    refused = update_offsets(files, offsets).refused
    if refused:
        raise LandmarksError(_named(refused, "\n"))
    return TarStore(files, offsets)


def update_offsets(
    files: TarFiles, path: Path, workers: int = WORKERS, rebuild: bool = False, on_tar: OnTar | None = None
) -> Update:
    """Make or update an offset index. After an interruption, the tars finished so far are in it.

    Args:
        files: All tars of the split.
        path: The file of the index.
        workers: Number of tars read at the same time.
        rebuild: Whether to read unchanged tars too.
        on_tar: Called after each tar that was read with its name, the number of tars read so far and their total.

    Returns:
        The index and what has changed in it.

    Raises:
        LandmarksError: The index cannot be written, a tar is missing, or there are too many tars.
    """
    stamps = _stamps(files, workers)

    def holds(tar: IndexedTar) -> bool:
        return not rebuild and tar.name in stamps and stamps[tar.name].agrees_with(tar.stamp)

    there = _read(path)
    if there is not None and len(there.tars) == len(stamps) and all(map(holds, there.tars)):
        return Update(there)
    with _lock(path):
        old = _read(path) or NO_OFFSETS  # another process may have updated it while this one waited
        before = {tar.name: tar.stamp for tar in old.tars}
        kept = select(old, holds)
        known = {tar.name for tar in kept.tars}
        wanted = {name: stamp for name, stamp in stamps.items() if name not in known}
        changed = tuple(name for name in wanted if name in before and not stamps[name].agrees_with(before[name]))
        gone = tuple(sorted(before.keys() - stamps.keys()))
        if changed:
            log.warning("%s: these tars have changed and are indexed again: %s", files.address(""), _named(changed))
        if gone:
            log.warning("%s: missing tars are removed from the index: %s", files.address(""), _named(gone))
        builder = OffsetBuilder(files, path, kept, before)
        builder.run(wanted, workers, on_tar)
        new = tuple(name for name in wanted if name not in before)
        return Update(builder.offsets, new, changed, gone, tuple(builder.refused))


def _stamps(files: TarFiles, workers: int) -> dict[str, TarStamp]:
    names = files.names()
    if len(names) > MAX_TARS:
        raise LandmarksError(
            f"{files.address(names[0])} and {len(names) - 1:,} more tars: at most {MAX_TARS:,} can be indexed"
        )

    def stamp(name: str) -> TarStamp:
        try:
            return files.stamp(name)
        except OSError as error:
            raise LandmarksError(f"{files.address(name)}: cannot be read ({error.strerror or error})") from error

    with ThreadPoolExecutor(workers) as pool:
        return dict(zip(names, pool.map(stamp, names), strict=True))


def _named(entries: Sequence[str], separator: str = ", ") -> str:
    more = [f"and {len(entries) - MOST_NAMED} more"] if len(entries) > MOST_NAMED else []
    return separator.join([*entries[:MOST_NAMED], *more])


def _read(path: Path) -> Offsets | None:
    try:
        return read_offsets(path)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        log.warning("%s cannot be used (%s) and will be made again", path, error)
        return None


def _lock(path: Path) -> FileLock:
    """Let one process at a time make an index; on file systems without locks, each writes a complete one."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return FileLock(path.with_suffix(".lock"), wait=True)
    except OSError as error:
        raise LandmarksError(
            f"{path}: the offset index cannot be written ({error.strerror}); set LANDMARKS_CACHE to a writable folder"
        ) from error
