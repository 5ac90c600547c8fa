"""Locks between processes: one at a time writes what several use."""

import errno
import logging
from pathlib import Path
from types import TracebackType
from typing import IO

from landmarks.errors import LandmarksError

_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)

log = logging.getLogger(__name__)


class LockedError(LandmarksError):
    """Another process holds the lock."""


class FileLock:
    """Held by one process of all that ask, from here to `release` or the end of a ``with`` block.

    The system takes it back when the process ends, however it ends. Processes started meanwhile do not hold it, so
    those that read images for a killed run do not keep its successor out. A file system without locks, as some of
    clusters are, is named in a warning; it is then as if nobody else were there.

    Args:
        path: A file for the lock alone; it is made where it is missing, and stays.
        wait: Wait for the other process, and say so in the log, instead of refusing.

    Raises:
        LockedError: Another process holds it.
        OSError: The file cannot be opened.
    """

    def __init__(self, path: Path, wait: bool = False) -> None:
        import filelock  # what only reads, as scoring does, starts faster without it

        self._lock = filelock.FileLock(path, thread_local=False, fallback_to_soft=False)
        try:
            try:
                self._lock.acquire(blocking=False)
            except filelock.Timeout:
                if not wait:
                    raise LockedError(f"{path.parent}: another process writes this set; give each its own") from None
                log.info("%s: waiting for another process that writes there", path.parent)
                self._lock.acquire()
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
            log.warning("%s: no locks here (%s): let one process at a time write", path, error.strerror)

    def __enter__(self) -> "FileLock":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def release(self) -> None:
        """Let the next one have it."""
        self._lock.release()


def lock_open_file(file: IO[bytes]) -> bool:
    """Lock a file that is open until it is closed; return False where another process holds the lock.

    Where a file system has no locks, it is as if nobody else were there.
    """
    import filelock

    try:
        return filelock.lock_descriptor(file.fileno(), blocking=False)
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        return True
