"""The tars of one split as files that can be asked for some of their bytes, wherever they lie."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True)
class TarStamp:
    """What tells whether a tar is still the one that was indexed.

    Attributes:
        size: Bytes.
        version: Changes whenever the content may have: a modification time in nanoseconds, or an ETag.
    """

    size: int
    version: str


class TarFiles(Protocol):
    """Official tars by their names, such as `images_000.tar`. Picklable; safe under fork, spawn and threads."""

    def names(self) -> list[str]:
        """All tars, sorted."""
        ...

    def stamp(self, name: str) -> TarStamp:
        """Size and version of a tar. Raises OSError."""
        ...

    def read(self, name: str, offset: int, length: int) -> bytes:
        """Bytes from `offset`; fewer than `length` only where the file ends. Raises OSError."""
        ...

    def address(self, name: str) -> str:
        """Path or URL of a tar, for messages."""
        ...


@dataclass(frozen=True)
class LocalTars:
    """Tars in a folder of this machine, read with `pread`.

    A tar is opened for each read: that costs about 10 microseconds against milliseconds of decoding, and leaves no
    descriptor to share between processes or threads, nor 600 of them open in each worker.

    Attributes:
        folder: `root/train`, `root/index` or `root/test`. Hidden files in it are no tars.
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
        fd = os.open(self.folder / name, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
        try:
            return os.pread(fd, length, offset)
        finally:
            os.close(fd)

    def address(self, name: str) -> str:
        """See TarFiles."""
        return str(self.folder / name)
