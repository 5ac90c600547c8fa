"""A file that grows under a temporary name until it is verified, so that its final name always means a valid file.

`NAME.partial`, beside `NAME`, contains the first bytes of the file and is all the state there is: after a crash at any
point, it holds what was received. A lock on it excludes other processes, if the file system supports locks.
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
    """Raised if the disk is full; the bytes received are kept."""


class PartialFile:
    """The first bytes of `path`, for use in a ``with`` statement; `size` and `md5` are those of the bytes so far.

    The bytes received by an earlier run are hashed and kept. Leaving the block without `finish` keeps the bytes.
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
            # A process that had the lock may have finished meanwhile and moved the file to its final name.
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
        """md5 sum of the bytes so far, 32 hex digits."""
        return self._md5.hexdigest()

    def first_line(self, limit: int = 200) -> str:
        """Return the first line without its end, of at most `limit` bytes."""
        return os.pread(self._file.fileno(), limit, 0).split(b"\n")[0].decode("utf-8", "replace").rstrip("\r")

    def append(self, data: bytes) -> None:
        """Append bytes. Raises DiskFullError (the bytes that fitted are kept), LandmarksError for other disk errors."""
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
        """Discard all bytes."""
        self._file.truncate(0)
        self.size, self._md5 = 0, hashlib.md5(usedforsecurity=False)

    def finish(self) -> None:
        """Flush the bytes to disk and give the file its final name. Raises LandmarksError for disk errors."""
        try:
            os.fsync(self._file.fileno())
            self.partial.replace(self.path)
        except OSError as error:
            raise self._refused(error) from error
        self._file.close()

    def _refused(self, error: OSError) -> LandmarksError:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return DiskFullError(
                f"{self.partial}: the disk is full after {self.size:,} bytes, which are kept; free disk space and run "
                "the same command again"
            )
        return LandmarksError(f"{self.partial}: cannot write: {error.strerror or error}")


def partial_name(path: Path) -> Path:
    """Return the temporary name of `path` until its bytes are complete."""
    return path.with_name(f"{path.name}.partial")
