"""Checksums of what is kept, so that a flipped bit is an error and never another number.

A folder that was written by an `AppendLog` holds ``checksums.txt``. Each line is a 64-bit XXH3 of its own rest, then
JSON: the name of a file to [first byte, one past the last, XXH3 of the bytes between]. In a finished folder it is one
line about all files. A safetensors file holds the XXH3 of itself in its own metadata. A torch file is a zip archive,
whose entries carry a CRC-32 that torch itself does not look at.
"""

import json
import zipfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import xxhash
from pydantic import NonNegativeInt, TypeAdapter, ValidationError

from landmarks.errors import LandmarksError
from landmarks.storage.atomic import atomic_file, atomic_path

CHECKSUMS_FILE = "checksums.txt"
LOCK_FILE = "lock"
BLOCK = 1 << 22
MAX_HEADER = 1 << 28  # bytes; safetensors itself allows 100 MB
SEAL = "xxh3"
"""The key of a safetensors file's metadata that holds the hash of the file with zeros in this place."""
UNSEALED = "0" * 16

Pieces = dict[str, tuple[int, int, str]]
"""File name to first byte, one past the last, and hash of the bytes between."""
_PIECES = TypeAdapter(dict[str, tuple[NonNegativeInt, NonNegativeInt, str]])


class ChangedError(LandmarksError):
    """A file does not hold what was written into it."""


def format_line(pieces: Mapping[str, tuple[int, int, str]]) -> bytes:
    """Return a line of ``checksums.txt``."""
    text = json.dumps(pieces, separators=(",", ":")).encode()
    return xxhash.xxh3_64_hexdigest(text).encode() + b" " + text + b"\n"


def parse_line(line: bytes) -> Pieces | None:
    """Return what `format_line` was given, None for a line that was changed, cut off or written by others."""
    digest, _, text = line.removesuffix(b"\n").partition(b" ")
    if not line.endswith(b"\n") or xxhash.xxh3_64_hexdigest(text).encode() != digest:
        return None
    try:
        return _PIECES.validate_json(text)
    except ValidationError:
        return None


def hash_bytes(path: Path, start: int = 0, stop: int | None = None, *others: xxhash.xxh3_64) -> str:
    """Return the XXH3 of a part of a file, as far as it is there; `others` are fed the same bytes."""
    digest = xxhash.xxh3_64()
    with path.open("rb") as file:
        _feed(file, start, path.stat().st_size if stop is None else stop, digest, *others)
    return digest.hexdigest()


def _feed(file: BinaryIO, start: int, stop: int, *digests: xxhash.xxh3_64) -> None:
    buffer = memoryview(bytearray(min(BLOCK, max(stop - start, 0))))
    file.seek(start)
    while start < stop and (read := file.readinto(buffer[: stop - start])):  # type: ignore[attr-defined]
        for digest in digests:
            digest.update(buffer[:read])
        start += read


def check_folder(folder: Path, required: bool = False) -> None:
    """Compare the files of a finished folder with its checksums, at about 5 GB/s or as fast as the disk.

    Args:
        folder: That `AppendLog.finish` made.
        required: A folder without checksums, which earlier versions wrote, is no good.

    Raises:
        ChangedError: A file, which it names, holds other bytes than were written.
        OSError: A file cannot be read.
    """
    path = folder / CHECKSUMS_FILE
    if not required and not path.exists():
        return
    pieces = parse_line(path.read_bytes())
    if pieces is None:
        raise ChangedError(f"{path}: damaged, or of an unfinished set")
    for name, (start, stop, value) in pieces.items():
        if (folder / name).stat().st_size != stop or hash_bytes(folder / name, start, stop) != value:
            raise ChangedError(f"{folder / name}: damaged, it holds other bytes than were written")


def write_checksums(folder: Path, pieces: Mapping[str, tuple[int, int, str]] | None = None) -> None:
    """Write the checksums of all files of a folder that is complete; `pieces` are known already.

    Raises:
        OSError: The disk is full or refuses.
    """
    known = dict(pieces or {})
    for path in sorted(folder.iterdir()):
        if path.is_file() and path.name not in (*known, CHECKSUMS_FILE, LOCK_FILE):
            known[path.name] = (0, path.stat().st_size, hash_bytes(path))
    with atomic_file(folder / CHECKSUMS_FILE, sync=False) as file:
        file.write(format_line(known))


@contextmanager
def sealed_tensors(path: Path) -> Iterator[Path]:
    """Yield a name for a safetensors file, which gets its hash and the name `path` when the block ends.

    The block writes it with `SEAL: UNSEALED` among its metadata.

    Raises:
        OSError: The disk is full or refuses; it names `path`.
    """
    with atomic_path(path) as partial:
        partial.touch()
        mode = partial.stat().st_mode  # safetensors would let nobody else read it
        yield partial
        partial.chmod(mode)
        place, digest = _find_seal(partial)
        assert place is not None, f"{path}: no place for its hash"
        with partial.open("r+b") as file:
            file.seek(place)
            file.write(digest.encode())


def check_tensors(path: Path) -> None:
    """Compare a safetensors file with its own hash; files of earlier versions and other programs have none.

    Raises:
        ChangedError: It holds other bytes than were written.
        OSError: It cannot be read.
    """
    place, digest = _find_seal(path)
    if place is None:
        return
    with path.open("rb") as file:
        file.seek(place)
        if file.read(len(digest)) != digest.encode():
            raise ChangedError(f"{path}: damaged, it holds other bytes than were written")


def _find_seal(path: Path) -> tuple[int | None, str]:
    """Return where the hash lies in the file, None where it has none, and the hash of the file with zeros there."""
    with path.open("rb") as file:
        size = int.from_bytes(file.read(8), "little")
        header = file.read(size) if size <= MAX_HEADER else b""
        key = f'"{SEAL}":"'.encode()
        found = header.find(key)
        if found < 0 or found + len(key) + len(UNSEALED) > len(header):
            return None, ""
        place, digest = 8 + found + len(key), xxhash.xxh3_64()
        _feed(file, 0, place, digest)
        digest.update(UNSEALED.encode())
        _feed(file, place + len(UNSEALED), path.stat().st_size, digest)
        return place, digest.hexdigest()


def check_archive(path: Path) -> None:
    """Compare the entries of a torch file with their CRC-32; a file that is no zip archive has none.

    Raises:
        ChangedError: An entry holds other bytes than were written, or the archive makes no sense.
        OSError: It cannot be read.
    """
    with path.open("rb") as file:
        if file.read(4) != b"PK\x03\x04":
            return
    try:
        with zipfile.ZipFile(path) as archive, ThreadPoolExecutor() as pool:
            for _ in pool.map(lambda entry: _read_through(archive, entry), archive.infolist()):
                pass
    except (zipfile.BadZipFile, ValueError, NotImplementedError, EOFError, RuntimeError) as error:
        raise ChangedError(f"{path}: damaged ({error})") from None


def _read_through(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> None:
    """Read an entry to its end, where `zipfile` looks at the CRC-32."""
    with archive.open(entry) as file:
        while file.read(BLOCK):
            pass
