"""Locks between processes, so that only one at a time writes shared files."""

import errno
import logging
from pathlib import Path
from types import TracebackType
from typing import IO

from landmarks.errors import LandmarksError

_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)

log = logging.getLogger(__name__)


class LockedError(LandmarksError):
    """Raised when another process holds the lock."""


class FileLock:
    """Lock between processes, held until `release` or the end of a ``with`` block.

    The operating system releases it when the process ends in any way. Child processes do not hold it, so workers that
    outlive a killed run do not lock out its successor. On a file system without locks, as on some clusters, a warning
    is logged and nothing is locked.

    Args:
        path: A file used only for the lock; it is created if it is missing, and not removed.
        wait: Wait for the other process, with a message in the log, instead of raising.

    Raises:
        LockedError: Another process holds it.
        OSError: The file cannot be opened.
    """

    def __init__(self, path: Path, wait: bool = False) -> None:
        import filelock  # imported here, because commands that only read start faster without it

        self._lock = filelock.FileLock(path, thread_local=False, fallback_to_soft=False)
        try:
            try:
                self._lock.acquire(blocking=False)
            except filelock.Timeout:
                if not wait:
                    raise LockedError(
                        f"{path.parent}: another process writes this set; give each process a folder of its own"
                    ) from None
                log.info("%s: waiting for another process that writes there", path.parent)
                self._lock.acquire()
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
            log.warning(
                "%s: the file system has no locks (%s): make sure that only one process writes", path, error.strerror
            )

    def __enter__(self) -> "FileLock":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def release(self) -> None:
        """Release the lock."""
        self._lock.release()


def lock_open_file(file: IO[bytes]) -> bool:
    """Lock an open file until it is closed.

    Args:
        file: The file.

    Returns:
        False if another process holds the lock. True on a file system without locks.
    """
    import filelock

    try:
        return filelock.lock_descriptor(file.fileno(), blocking=False)
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        return True
