"""Random access to the tars of one split, in a local folder or at an address."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

ReadTar = Callable[[int, int], bytes]


@dataclass(frozen=True)
class TarStamp:
    """Size and version of a tar, which tell whether it is still the one that was indexed.

    Attributes:
        size: Bytes.
        version: Modification time in nanoseconds, or the name and value of a server's version, as in `ETag "5d41"`.
    """

    size: int
    version: str

    def agrees_with(self, recorded: "TarStamp") -> bool:
        """Return whether this may be the tar that was recorded.

        An index that was made on a disk and uploaded with the tars records modification times of that disk, which a
        server does not know. Versions of different kinds are therefore not compared: the size decides, and TarStore
        detects other changes when it checks the header of each image it reads.
        """
        return self.size == recorded.size and (self.version == recorded.version or self._kind != recorded._kind)

    @property
    def _kind(self) -> str:
        return "time" if self.version.isdigit() else self.version.partition(" ")[0]


class TarFiles(Protocol):
    """The official tars, by names such as `images_000.tar`. Picklable; safe under fork, spawn and threads."""

    def names(self) -> list[str]:
        """Return the names of all tars, sorted."""

    def stamp(self, name: str) -> TarStamp:
        """Return the size and version of a tar. Raises OSError."""

    def read(self, name: str, offset: int, length: int) -> bytes:
        """Return the bytes from `offset`, fewer than `length` only at the end of the file. Raises OSError."""

    def walk(self, name: str) -> ReadTar:
        """Return a function `read(offset, length)` for reading one tar from front to back in one thread."""

    def address(self, name: str) -> str:
        """Return the path or URL of a tar, or of their folder if the name is empty, for messages."""


@dataclass(frozen=True)
class LocalTars:
    """Tars in a local folder, read with `pread`.

    A tar is opened for each read, which costs about 10 microseconds against milliseconds of decoding. No file
    descriptors are shared between processes or threads, and no worker keeps 600 files open. Hidden files are ignored.

    Attributes:
        folder: The folder.
    """

    folder: Path

    def names(self) -> list[str]:
        """See TarFiles."""
        return sorted(path.name for path in self.folder.glob("*.tar") if not path.name.startswith("."))

    def stamp(self, name: str) -> TarStamp:
        """See TarFiles."""
        status = (self.folder / name).stat()
        return TarStamp(status.st_size, str(status.st_mtime_ns))

    def read(self, name: str, offset: int, length: int) -> bytes:
        """See TarFiles."""
        fd = self._open(name)
        try:
            return os.pread(fd, length, offset)
        finally:
            os.close(fd)

    def walk(self, name: str) -> ReadTar:
        """See TarFiles. The file stays open, because there are thousands of small reads."""
        return OpenTar(self._open(name))

    def address(self, name: str) -> str:
        """See TarFiles."""
        return str(self.folder / name)

    def _open(self, name: str) -> int:
        return os.open(f"{self.folder}/{name}", os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))


class OpenTar:
    """Reads from one open file at any position; the file is closed when this object is deleted."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        if hasattr(os, "posix_fadvise"):  # do not read ahead: the bytes between headers are not needed
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_RANDOM)

    def __call__(self, offset: int, length: int) -> bytes:
        """Return the bytes from `offset`, fewer than `length` only at the end of the file. Raises OSError."""
        return os.pread(self._fd, length, offset)

    def __del__(self) -> None:
        os.close(self._fd)
