"""Files of one folder that grow chunk by chunk, and of which a kill at any byte costs at most the last chunk.

A chunk is appended to the files first; then a line in ``checksums.txt`` says where it lies in each and what its hash
is. What no line tells of is cut off when the log is opened again. Plain appending writes, not a memory map: a full disk
is then an error to report instead of a killed process. A finished log is an ordinary folder with one line of checksums.
"""

import logging
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

import xxhash

from landmarks.storage.atomic import atomic_file, sync_file
from landmarks.storage.checksums import (
    CHECKSUMS_FILE,
    LOCK_FILE,
    ChangedError,
    Pieces,
    format_line,
    hash_bytes,
    parse_line,
    write_checksums,
)
from landmarks.storage.lock import FileLock

log = logging.getLogger(__name__)

Begin = Callable[[BinaryIO], int]
"""Writes the head of an empty file, or checks that of another, and returns its length; ValueError refuses a file."""


def no_head(file: BinaryIO) -> int:
    """Begin a file that has no head."""
    return 0


class AppendLog:
    """The files of a folder, opened to be added to by this process alone.

    Args:
        folder: Is made where it is missing; whoever opens it goes on with what lies there.
        files: Name of each file to what begins it.
        wait: Wait for another process that writes here instead of refusing.
        check: Read all that is there and keep what comes before the first changed byte. Without it, whoever reads
            must know what is sound.
        adopt: Keep what was written without checksums, by an earlier version, as it is; by default nothing of it.

    Raises:
        LockedError: Another process writes here.
        ValueError: A file was begun otherwise.
        OSError: The disk refuses.
    """

    def __init__(
        self,
        folder: Path,
        files: Mapping[str, Begin],
        wait: bool = False,
        check: bool = True,
        adopt: bool = False,
    ) -> None:
        self.folder = folder
        self._lock = _lock(folder, wait)
        self._files: dict[str, BinaryIO] = {}
        self._lines: BinaryIO | None = None
        try:
            self.begins = {name: _begin(folder / name, begin) for name, begin in files.items()}
            self._files = {name: (folder / name).open("ab", buffering=0) for name in files}
            self._recover(check, adopt)
            self._lines = (folder / CHECKSUMS_FILE).open("ab", buffering=0)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> "AppendLog":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def append(self, chunk: Mapping[str, bytes]) -> None:
        """Add to some or all of the files; all of it is there afterwards, or after a kill none of it.

        Raises:
            OSError: The disk is full or refuses. What was added before stays good; the log is closed.
        """
        pieces: Pieces = {}
        try:
            for name, data in chunk.items():
                write_all(self._files[name], data)
                start = self.sizes[name]
                pieces[name] = (start, start + len(data), xxhash.xxh3_64_hexdigest(data))
            assert self._lines is not None
            write_all(self._lines, format_line(pieces))
        except OSError:
            self.close()  # half a chunk may lie there now; opening the log again cuts it off
            raise
        self.sizes.update((name, stop) for name, (_, stop, _) in pieces.items())

    def cut(self, sizes: Mapping[str, int]) -> None:
        """Drop what lies behind these lengths."""
        kept = {name: min(size, sizes.get(name, size)) for name, size in self.sizes.items()}
        if kept != self.sizes:
            self._keep([self._whole(kept)], kept)

    def sync(self) -> None:
        """Wait until all is on the disk."""
        for name in (*self._files, CHECKSUMS_FILE):
            sync_file(self.folder / name)

    def finish(self, final: Path) -> None:
        """Read all of it once more, write the checksums of the whole folder, and give the folder its final name.

        Raises:
            ChangedError: A file does not hold what was written; opening the log again keeps what is sound.
            OSError: The disk refuses.
        """
        digests = {name: xxhash.xxh3_64() for name in self._files}
        _, fault = self._sound(self._read_lines(), digests)
        if fault:
            raise ChangedError(f"{fault}; run the same again, it goes on from there")
        whole = {name: (self.begins[name], self.sizes[name], digest.hexdigest()) for name, digest in digests.items()}
        write_checksums(self.folder, whole)
        self.sync()
        self.folder.rename(final)
        (final / LOCK_FILE).unlink(missing_ok=True)
        self.close()

    def discard(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.close()

    def close(self) -> None:
        """Let go of the folder; what was added stays."""
        for file in (*self._files.values(), self._lines):
            if file is not None:
                file.close()
        self._lock.release()

    def _recover(self, check: bool, adopt: bool) -> None:
        found = {name: (self.folder / name).stat().st_size for name in self._files}
        path = self.folder / CHECKSUMS_FILE
        self.sizes = dict(self.begins)
        if not path.exists():
            if found != self.begins and not adopt:
                log.warning("%s: an earlier version kept no checksums here: all of it is made again", self.folder)
            kept_sizes = found if adopt else self.begins
            self._keep([self._whole(kept_sizes)] if kept_sizes != self.begins else [], kept_sizes)
            return
        lines = self._read_lines()
        kept, fault = self._sound(lines) if check else (self._fitting(lines, found), "")
        if fault:
            log.warning("%s; what follows is made again", fault)
        for line in lines[:kept]:
            self.sizes.update((name, stop) for name, (_, stop, _) in (line or {}).items() if name in self._files)
        if kept < len(lines) or found != self.sizes:
            self._keep([line for line in lines[:kept] if line is not None], self.sizes)

    def _read_lines(self) -> list[Pieces | None]:
        return [parse_line(line) for line in (self.folder / CHECKSUMS_FILE).read_bytes().splitlines(keepends=True)]

    def _fitting(self, lines: list[Pieces | None], found: Mapping[str, int]) -> int:
        """Return how many lines come before the end of the files."""
        fits = [
            line is not None and all(stop <= found[name] for name, (_, stop, _) in line.items() if name in found)
            for line in lines
        ]
        return len(fits) - fits[::-1].index(True) if True in fits else 0

    def _sound(self, lines: list[Pieces | None], whole: Mapping[str, xxhash.xxh3_64] | None = None) -> tuple[int, str]:
        """Return how many lines tell the truth, and what is wrong after them; `whole` is fed the bytes of each file."""
        ends = dict(self.begins)
        for number, line in enumerate(lines):
            if line is None:
                return number, f"{self.folder / CHECKSUMS_FILE}: line {number + 1} is damaged or was cut off"
            for name, (start, stop, value) in line.items():
                if name not in ends:
                    continue
                path, others = self.folder / name, [] if whole is None else [whole[name]]
                sound = start == ends[name] and stop <= path.stat().st_size
                if not sound or hash_bytes(path, start, stop, *others) != value:
                    return number, f"{path}: damaged after byte {ends[name]}, it holds other bytes than were written"
                ends[name] = stop
        return len(lines), ""

    def _whole(self, sizes: Mapping[str, int]) -> Pieces:
        return {
            name: (start, sizes[name], hash_bytes(self.folder / name, start, sizes[name]))
            for name, start in self.begins.items()
        }

    def _keep(self, lines: list[Pieces], sizes: Mapping[str, int]) -> None:
        """Tell of these chunks alone, then cut off what they do not tell of: a kill between the two does no harm."""
        with atomic_file(self.folder / CHECKSUMS_FILE, sync=False) as file:
            file.writelines(map(format_line, lines))
        if self._lines is not None:
            self._lines.close()
            self._lines = (self.folder / CHECKSUMS_FILE).open("ab", buffering=0)
        self.sizes = dict(sizes)
        for name, file in self._files.items():
            file.truncate(sizes[name])


def write_all(file: BinaryIO, data: bytes) -> None:
    """Write it all: unbuffered files may write less than asked, for example just before the disk is full."""
    view = memoryview(data)
    while view:
        view = view[file.write(view) :]


def _lock(folder: Path, wait: bool) -> FileLock:
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            return FileLock(folder / LOCK_FILE, wait)
        except FileNotFoundError:  # another process has just finished it, and given it another name
            continue


def _begin(path: Path, begin: Begin) -> int:
    path.touch()
    with path.open("r+b") as file:
        return begin(file)
