"""Checksums of stored data, so that corruption raises an error instead of giving wrong results.

A folder that was written by an `AppendLog` holds ``checksums.txt``. Each line is a 64-bit XXH3 of the rest of the line,
then JSON: for each file by name [first byte, one past the last, XXH3 of the bytes between]. A finished folder has one
line for all files. A safetensors file holds its own XXH3 in its metadata. A torch file is a zip archive, whose entries
have a CRC-32 that torch itself does not check.
"""

import errno
import json
import zipfile
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import xxhash
from pydantic import NonNegativeInt, TypeAdapter, ValidationError

from landmarks.errors import LandmarksError
from landmarks.storage.atomic import atomic_file, atomic_path

CHECKSUMS_FILE = "checksums.txt"  # file of the checksums of a folder, described above
LOCK_FILE = "lock"  # file of the lock of a folder that is being written
BLOCK = 1 << 22
MAX_HEADER = 1 << 28  # bytes; safetensors itself allows 100 MB
_SEAL = "xxh3"  # metadata key in a safetensors file for the hash of the file, computed with zeros in its place
_UNSEALED = "0" * 16

Pieces = dict[str, tuple[int, int, str]]
"""File name to first byte, one past the last, and hash of the bytes between."""
_PIECES = TypeAdapter(dict[str, tuple[NonNegativeInt, NonNegativeInt, str]])


class ChangedError(LandmarksError):
    """Raised when the content of a file differs from what was written."""


def format_line(pieces: Mapping[str, tuple[int, int, str]]) -> bytes:
    """Return a line of ``checksums.txt``."""
    text = json.dumps(pieces, separators=(",", ":")).encode()
    return xxhash.xxh3_64_hexdigest(text).encode() + b" " + text + b"\n"


def parse_line(line: bytes) -> Pieces | None:
    """Parse a line of `format_line`; return None if it is corrupt, cut off or of another format."""
    digest, _, text = line.removesuffix(b"\n").partition(b" ")
    if not line.endswith(b"\n") or xxhash.xxh3_64_hexdigest(text).encode() != digest:
        return None
    try:
        return _PIECES.validate_json(text)
    except ValidationError:
        return None


def piece_of(data: bytes, start: int) -> tuple[int, int, str]:
    """Return first byte, one past the last, and hash for data that are written at the position `start`."""
    return start, start + len(data), xxhash.xxh3_64_hexdigest(data)


def hash_bytes(path: Path, start: int, stop: int, also: xxhash.xxh3_64 | None = None) -> str:
    """Return the XXH3 of a part of a file, up to the end of the file; also update the hash `also` with these bytes."""
    digest = xxhash.xxh3_64()
    with path.open("rb") as file:
        file.seek(start)
        while start < stop and (read := file.read(min(BLOCK, stop - start))):
            digest.update(read)
            if also is not None:
                also.update(read)
            start += len(read)
    return digest.hexdigest()


def check_folder(folder: Path) -> None:
    """Compare the files of a finished folder with its checksums, at about 5 GB/s or the speed of the disk.

    Args:
        folder: The folder.

    Raises:
        ChangedError: A file is corrupt (the message names it), or there are no checksums.
        OSError: A file cannot be read.
    """
    path = folder / CHECKSUMS_FILE
    if not path.exists():
        raise ChangedError(f"{path}: is missing; an earlier version or another program wrote the folder: make it again")
    pieces = parse_line(path.read_bytes())
    if pieces is None:
        raise ChangedError(f"{path}: corrupt, or of an unfinished set")
    for name, (start, stop, value) in pieces.items():
        if (folder / name).stat().st_size != stop or hash_bytes(folder / name, start, stop) != value:
            raise ChangedError(f"{folder / name}: corrupt, its bytes differ from those written")


def write_checksums(folder: Path, known: Pieces | None = None) -> None:
    """Write the checksums of all files of a complete folder.

    Args:
        folder: The folder.
        known: Checksums of files that need not be read.
    """
    pieces: Pieces = dict(known or {})
    for path in sorted(folder.iterdir()):
        if path.is_file() and path.name not in (CHECKSUMS_FILE, LOCK_FILE, *pieces):
            stop = path.stat().st_size
            pieces[path.name] = (0, stop, hash_bytes(path, 0, stop))
    with atomic_file(folder / CHECKSUMS_FILE, sync=False) as file:
        file.write(format_line(pieces))


def save_sealed(
    path: Path,
    save_file: Callable[[Any, Path, dict[str, str]], object],
    tensors: Mapping[str, Any],
    metadata: Mapping[str, str],
) -> None:
    """Write a safetensors file that holds its own hash, atomically.

    Args:
        path: The file.
        save_file: `save_file` of `safetensors.torch` or `safetensors.numpy`.
        tensors: The tensors by name.
        metadata: Metadata of the file.

    Raises:
        SafetensorError, OSError: The file cannot be written.
    """
    with atomic_path(path) as partial:
        partial.touch()
        mode = partial.stat().st_mode  # safetensors makes files that only their owner can read
        save_file(tensors, partial, {**metadata, _SEAL: _UNSEALED})
        partial.chmod(mode)
        seal = _seal(partial)
        assert seal is not None, f"{path}: no place for its hash"
        with partial.open("r+b") as file:
            file.seek(seal.place)
            file.write(seal.right.encode())


def check_tensors(path: Path) -> bool:
    """Compare a safetensors file with its own hash.

    Args:
        path: The file.

    Returns:
        Whether it has a hash, which files of other programs lack.

    Raises:
        ChangedError: The file is corrupt.
        OSError: It cannot be read.
    """
    seal = _seal(path)
    if seal is not None and seal.found != seal.right.encode():
        raise ChangedError(f"{path}: corrupt, its bytes differ from those written")
    return seal is not None


class _Seal(NamedTuple):
    """Position of the hash in a file, the hash found there, and the correct hash."""

    place: int
    found: bytes
    right: str


def _seal(path: Path) -> _Seal | None:
    with path.open("rb") as file:
        size = int.from_bytes(file.read(8), "little")
        file.seek(0)
        head = file.read(8 + size) if size <= MAX_HEADER else b""
        key = f'"{_SEAL}":"'.encode()
        place = head.find(key) + len(key)
        end = place + len(_UNSEALED)
        if place < len(key) or end > len(head):
            return None
        digest = xxhash.xxh3_64(head[:place] + _UNSEALED.encode() + head[end:])
        while block := file.read(BLOCK):
            digest.update(block)
        return _Seal(place, head[place:end], digest.hexdigest())


def check_archive(path: Path) -> None:
    """Compare the entries of a torch file with their CRC-32; a file that is not a zip archive is not checked.

    Args:
        path: The file.

    Raises:
        ChangedError: An entry is corrupt, or the archive is invalid.
        OSError: It cannot be read.
    """
    with path.open("rb") as file:
        if file.read(4) != b"PK\x03\x04":
            return
    try:
        with zipfile.ZipFile(path) as archive, ThreadPoolExecutor() as pool:
            if sum(entry.file_size for entry in archive.infolist()) > path.stat().st_size:
                raise ChangedError(f"{path}: corrupt (its entries are larger than the file)")
            for _ in pool.map(lambda entry: _read_through(archive, entry), archive.infolist()):
                pass
    except OSError as error:
        if error.errno not in (None, errno.EINVAL):  # EINVAL: a corrupt archive with a negative offset
            raise
        raise ChangedError(f"{path}: corrupt ({error})") from None
    except ChangedError:
        raise
    except Exception as error:  # for invalid bytes, zipfile raises errors of struct, zlib and others
        raise ChangedError(f"{path}: corrupt ({error})") from None


def _read_through(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> None:
    """Read an entry to its end, where `zipfile` checks the CRC-32."""
    if entry.header_offset < 0:  # `zipfile` would seek there
        raise zipfile.BadZipFile("an entry lies before the start of the file")
    with archive.open(entry) as file:
        while file.read(BLOCK):
            pass
