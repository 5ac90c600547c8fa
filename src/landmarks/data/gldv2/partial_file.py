"""A file that grows under another name until it is known to be good, so that its own name never tells a lie.

`NAME.partial` lies beside `NAME`, holds nothing but the first bytes of it, and is all the state there is: after a
crash at any point, what lies there is what was received. A lock on it keeps a second process out, where the file
system has locks.
"""

import errno
import hashlib
import os
from pathlib import Path
from typing import Self

from landmarks.errors import LandmarksError
from landmarks.storage import lock_open_file

READ_BYTES = 1 << 20


class DiskFullError(LandmarksError):
    """No room for more; what was received is kept."""


class PartialFile:
    """Holds the first bytes of `path`, in a ``with`` statement; `size` and `md5` are of what is there.

    What an earlier run received is hashed and kept. Leaving the block without `finish` keeps the bytes.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.partial = partial_name(path)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self.partial.open("a+b", buffering=0)
        except OSError as error:
            raise LandmarksError(f"{self.partial}: cannot write here: {error.strerror or error}") from error
        try:
            # A process that had the lock may have finished meanwhile: the bytes then have their own name already.
            mine = lock_open_file(self._file) and self.partial.exists()
            if not mine or not os.path.samestat(os.fstat(self._file.fileno()), self.partial.stat()):
                raise LandmarksError(f"{path}: another process is downloading this file; leave it to that one")
            self.modified = os.fstat(self._file.fileno()).st_mtime
            self.size, self._md5 = 0, hashlib.md5(usedforsecurity=False)
            while data := os.pread(self._file.fileno(), READ_BYTES, self.size):
                self._md5.update(data)
                self.size += len(data)
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self.size == 0 and not self._file.closed:
            self.partial.unlink(missing_ok=True)
        self._file.close()

    @property
    def md5(self) -> str:
        """The sum of the bytes so far, 32 hex digits."""
        return self._md5.hexdigest()

    def first_line(self, limit: int = 200) -> str:
        """Return the first line without its end, of at most `limit` bytes."""
        return os.pread(self._file.fileno(), limit, 0).split(b"\n")[0].decode("utf-8", "replace").rstrip("\r")

    def append(self, data: bytes) -> None:
        """Add bytes to the end. Raises DiskFullError (what fitted is kept), or LandmarksError for the disk's sake."""
        view = memoryview(data)
        try:
            while view:
                count = self._file.write(view)  # unbuffered: may be less than asked
                self._md5.update(view[:count])
                self.size += count
                view = view[count:]
        except OSError as error:
            raise self._refused(error) from error

    def restart(self) -> None:
        """Throw away all bytes."""
        self._file.truncate(0)
        self.size, self._md5 = 0, hashlib.md5(usedforsecurity=False)

    def finish(self) -> None:
        """Put the bytes safely on the disk and give them their own name. Raises LandmarksError for the disk's sake."""
        try:
            os.fsync(self._file.fileno())
            self.partial.replace(self.path)
        except OSError as error:
            raise self._refused(error) from error
        self._file.close()

    def _refused(self, error: OSError) -> LandmarksError:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return DiskFullError(
                f"{self.partial}: the disk is full after {self.size:,} bytes, which are kept; make room and run the "
                "same command again"
            )
        return LandmarksError(f"{self.partial}: cannot write: {error.strerror or error}")


def partial_name(path: Path) -> Path:
    """Return where the bytes of `path` lie until they are complete."""
    return path.with_name(f"{path.name}.partial")
