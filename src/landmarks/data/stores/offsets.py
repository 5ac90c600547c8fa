"""Brings the offset index of a split up to date, or makes it, and opens the pictures with it.

Only tars that are new or have changed are read; what has changed, is gone or cannot be read is named.
"""

import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from landmarks.data.stores.offset_builder import OffsetBuilder
from landmarks.data.stores.offset_builder import OnTar as OnTar
from landmarks.data.stores.offset_file import read_offsets
from landmarks.data.stores.offset_table import MAX_TARS, NO_OFFSETS, Offsets, select
from landmarks.data.stores.tar_files import TarFiles, TarStamp
from landmarks.data.stores.tars import TarStore
from landmarks.errors import LandmarksError
from landmarks.storage import FileLock

WORKERS = 8
MOST_NAMED = 20

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Update:
    """An index that was brought up to date, and what that took.

    Attributes:
        offsets: The index.
        new: Names of tars that were not in it before.
        changed: Names of tars that were other ones before.
        gone: Names of tars that are not there any more.
        refused: A message for each tar that is not in it because it could not be.
    """

    offsets: Offsets
    new: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()


def open_tar_store(files: TarFiles, offsets: Path, on_tar: OnTar | None = None) -> TarStore:
    """Open the pictures of a split; its offset index is made or brought up to date first.

    Args:
        files: Its tars.
        offsets: The file of the index.
        on_tar: Called with a name, how many tars are done and of how many, after each tar that had to be read.

    Raises:
        LandmarksError: Tars are damaged, hostile, unreadable or hold the same picture; they are named.
    """
    refused = update_offsets(files, offsets, on_tar=on_tar).refused
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
        on_tar: See `open_tar_store`.

    Raises:
        LandmarksError: Tars cannot be asked for their size, or the index cannot be written.
        KeyboardInterrupt: What was finished until then is in the index.
    """
    stamps = _stamps(files, workers)
    if not rebuild and (there := _read(path)) is not None and _agree(there, stamps):
        return Update(there)
    with _lock(path):
        old = _read(path) or NO_OFFSETS  # another process may have been at work until now
        before = {tar.name: tar.stamp for tar in old.tars}
        kept = select(old, lambda tar: not rebuild and tar.name in stamps and stamps[tar.name].agrees_with(tar.stamp))
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


def _agree(offsets: Offsets, stamps: dict[str, TarStamp]) -> bool:
    return len(offsets.tars) == len(stamps) and all(
        tar.name in stamps and stamps[tar.name].agrees_with(tar.stamp) for tar in offsets.tars
    )


def _read(path: Path) -> Offsets | None:
    try:
        return read_offsets(path)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        log.warning("%s cannot be used (%s): it is made again", path, error)
        return None


def _lock(path: Path) -> FileLock:
    """Let one process at a time make an index: the others of a distributed run find it ready.

    Where the file system has no locks, two processes do the same work, and each puts a whole file there.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return FileLock(path.with_suffix(".lock"), wait=True)
    except OSError as error:
        raise LandmarksError(
            f"{path}: the offset index cannot be written ({error.strerror}); set LANDMARKS_CACHE to one that can"
        ) from error
