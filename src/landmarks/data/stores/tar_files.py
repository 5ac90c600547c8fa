"""The tars of one split as files that can be asked for some of their bytes, wherever they lie."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

ReadTar = Callable[[int, int], bytes]


@dataclass(frozen=True)
class TarStamp:
    """What tells whether a tar is still the one that was indexed: its bytes, and what changes with the content.

    The version is a modification time in nanoseconds, or what a server calls it and its value, as in `ETag "5d41"`.
    """

    size: int
    version: str

    def agrees_with(self, recorded: "TarStamp") -> bool:
        """Whether this may be the tar that was recorded.

        An index made beside the tars and uploaded with them records times of that disk; a server knows others. So
        versions of two kinds say nothing about each other: the size decides, and TarStore, which looks at the header
        of each image it reads, catches the rest.
        """
        return self.size == recorded.size and (self.version == recorded.version or self._kind != recorded._kind)

    @property
    def _kind(self) -> str:
        return "time" if self.version.isdigit() else self.version.partition(" ")[0]


class TarFiles(Protocol):
    """Official tars by their names, such as `images_000.tar`. Picklable; safe under fork, spawn and threads."""

    def names(self) -> list[str]:
        """All tars, sorted."""

    def stamp(self, name: str) -> TarStamp:
        """Size and version of a tar. Raises OSError."""

    def read(self, name: str, offset: int, length: int) -> bytes:
        """Bytes from `offset`; fewer than `length` only where the file ends. Raises OSError."""

    def walk(self, name: str) -> ReadTar:
        """`read(offset, length)` of one tar for whoever goes through it from front to back, by one thread."""

    def address(self, name: str) -> str:
        """Path or URL of a tar, for messages; of their folder if the name is empty."""


@dataclass(frozen=True)
class LocalTars:
    """Tars in a folder of this machine, read with `pread`.

    A tar is opened for each read: that costs about 10 microseconds against milliseconds of decoding, and leaves no
    descriptor to share between processes or threads, nor 600 of them open in each worker.
    Hidden files in the folder are no tars.
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
        """See TarFiles. It stays open, for there are thousands of small reads."""
        return OpenTar(self._open(name))

    def address(self, name: str) -> str:
        """See TarFiles."""
        return str(self.folder / name)

    def _open(self, name: str) -> int:
        return os.open(f"{self.folder}/{name}", os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))


class OpenTar:
    """Reads from one open file, here and there; it is closed when nobody holds this any more."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        if hasattr(os, "posix_fadvise"):  # what lies between headers need not come from the disk
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_RANDOM)

    def __call__(self, offset: int, length: int) -> bytes:
        """Bytes from `offset`; fewer than `length` only where the file ends. Raises OSError."""
        return os.pread(self._fd, length, offset)

    def __del__(self) -> None:
        os.close(self._fd)
