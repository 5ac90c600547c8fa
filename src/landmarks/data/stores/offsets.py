"""Brings the offset index of a split up to date, or makes it, and opens the images with it.

Only tars that are new or have changed are read; what has changed, is gone or cannot be read is named.
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
# Writing a large index takes a second: it is done so rarely that it takes at most this share of the time.
SHARE_OF_WRITES = 0.05
WORKERS = 8
MOST_NAMED = 20

OnTar = Callable[[str, int, int], None]

log = logging.getLogger(__name__)


class OffsetBuilder:
    """Reads tars and puts them into `offsets`, the part of an index that is good; `before` are all tars that it had.

    Finished tars are written every few seconds, so that a run that is cut off goes on where it stopped: an unfinished
    index is a good index of fewer tars. Threads do the work: at half a million headers a second the interpreter is
    never what one waits for, but disks and networks are. `refused` has a message for each tar that cannot be put in.
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
        """Read the tars, several at a time, and write the index at the end and in between, whatever happens."""
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
        """Put finished tars into the index and write it. Returns the time before which to leave it alone."""
        start = time.monotonic()
        self.offsets, left_out = merge(self.offsets, self._finished)
        self._finished = []
        for name, (other, image) in left_out.items():
            self.refused.append(
                f"image {image} is in {self.files.address(other)} and again in {self.files.address(name)}; remove the "
                "copy that is not part of the set"
            )
        write_offsets(self.offsets, self.path)
        end = time.monotonic()
        return end + max(SECONDS_BETWEEN_WRITES, (end - start) / SHARE_OF_WRITES)


@dataclass(frozen=True)
class Update:
    """An index that was brought up to date: tars that are new, other ones than before, or gone, by name.

    `refused` has a message for each tar that could not be put into it.
    """

    offsets: Offsets
    new: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()


def open_tar_store(files: TarFiles, offsets: Path) -> TarStore:
    """Open the images of a split; the index at `offsets` is made or brought up to date first.

    Raises LandmarksError that names tars which are corrupt, hostile, unreadable or hold the same image.
    """
    refused = update_offsets(files, offsets).refused
    if refused:
        raise LandmarksError(_named(refused, "\n"))
    return TarStore(files, offsets)


def update_offsets(
    files: TarFiles, path: Path, workers: int = WORKERS, rebuild: bool = False, on_tar: OnTar | None = None
) -> Update:
    """Bring the index at `path` up to date, or make it.

    Args:
        files: All tars of the split.
        path: The file of the index.
        workers: Tars read at the same time.
        rebuild: Read all tars, also those that have not changed.
        on_tar: Called with a name, how many tars are done and of how many, after each tar that had to be read.

    What is finished when it is interrupted is in the index.
    """
    stamps = _stamps(files, workers)

    def holds(tar: IndexedTar) -> bool:
        return not rebuild and tar.name in stamps and stamps[tar.name].agrees_with(tar.stamp)

    there = _read(path)
    if there is not None and len(there.tars) == len(stamps) and all(map(holds, there.tars)):
        return Update(there)
    with _lock(path):
        old = _read(path) or NO_OFFSETS  # another process may have been at work until now
        before = {tar.name: tar.stamp for tar in old.tars}
        kept = select(old, holds)
        known = {tar.name for tar in kept.tars}
        wanted = {name: stamp for name, stamp in stamps.items() if name not in known}
        changed = tuple(name for name in wanted if name in before and not stamps[name].agrees_with(before[name]))
        gone = tuple(sorted(before.keys() - stamps.keys()))
        if changed:
            log.warning("%s: no longer what was indexed, and read again: %s", files.address(""), _named(changed))
        if gone:
            log.warning("%s: not there any more, and taken out of the index: %s", files.address(""), _named(gone))
        builder = OffsetBuilder(files, path, kept, before)
        builder.run(wanted, workers, on_tar)
        new = tuple(name for name in wanted if name not in before)
        return Update(builder.offsets, new, changed, gone, tuple(builder.refused))


def _stamps(files: TarFiles, workers: int) -> dict[str, TarStamp]:
    names = files.names()
    if len(names) > MAX_TARS:
        raise LandmarksError(f"{files.address(names[0])} and {len(names) - 1:,} more tars: more than {MAX_TARS:,}")

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
        log.warning("%s cannot be used (%s): it is made again", path, error)
        return None


def _lock(path: Path) -> FileLock:
    """Let one process at a time make an index; without locks two do the same work, and each puts a whole file there."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return FileLock(path.with_suffix(".lock"), wait=True)
    except OSError as error:
        raise LandmarksError(
            f"{path}: the offset index cannot be written ({error.strerror}); set LANDMARKS_CACHE to one that can"
        ) from error
