"""Tars and extracted trees at an address, for training on a machine without a copy of the data.

Each image is one request, so the latency of the server decides how many DataLoader workers are needed: at 20 ms, one
worker reads about 36 images per second, 8 read 280 and 16 read 440 (measured with decoding, on two cores).
"""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import count

import numpy as np
from numpy.typing import NDArray

from landmarks.data.stores.remote_files import RemoteFiles, unreachable
from landmarks.data.stores.store import MissingImageError, folders_of, image_path, located, stamp
from landmarks.data.stores.tar_files import ReadTar, TarStamp
from landmarks.ids import format_id, format_ids

# Requests at the same time: as many as a server accepts from one client, and enough to hide a latency of 100 ms.
REQUESTS = 16
READ_AHEAD = 8 << 20


@dataclass(frozen=True)
class RemoteTars:
    """Tars in the `folder` "train", "index" or "test" at an address, read by range; see `find_tars`."""

    files: RemoteFiles
    folder: str
    tars: tuple[str, ...]

    def names(self) -> list[str]:
        """See TarFiles."""
        return sorted(self.tars)

    def stamp(self, name: str) -> TarStamp:
        """See TarFiles."""
        return self.files.stamp(f"{self.folder}/{name}")

    def read(self, name: str, offset: int, length: int) -> bytes:
        """See TarFiles."""
        return self.files.read(f"{self.folder}/{name}", offset, length)

    def walk(self, name: str) -> ReadTar:
        """See TarFiles. It reads ahead: headers are about 130 KB apart, and a request for each would be slow."""
        return ReadAhead(partial(self.read, name))

    def address(self, name: str) -> str:
        """See TarFiles."""
        return self.files.address(f"{self.folder}/{name}")


class ReadAhead:
    """Serves small forward reads from large ones of `block` bytes, the last of which it keeps."""

    def __init__(self, read: ReadTar, block: int = READ_AHEAD) -> None:
        self._read = read
        self._block = block
        self._data, self._start, self._at_end = b"", 0, False

    def __call__(self, offset: int, length: int) -> bytes:
        """Return the bytes from `offset`, fewer than `length` only at the end of the file."""
        start = offset - self._start
        if start < 0:
            return self._read(offset, length)
        if start + length > len(self._data) and not self._at_end:
            wanted = max(length, self._block)
            self._data, self._start, start = self._read(offset, wanted), offset, 0
            self._at_end = len(self._data) < wanted
        return self._data[start : start + length]


def find_tars(files: RemoteFiles, folder: str, indexed: Callable[[], Iterable[str]]) -> RemoteTars:
    """Find the tars of a folder at an address.

    If the server does not list folders, the result consists of the tars in the offset index at the address, which
    `indexed` returns, and those of the official numbering up to the first that does not exist.

    Raises:
        OSError: The server does not answer.
    """
    listed = files.names(folder)
    if listed:
        tars = (name for name in listed if name.endswith(".tar") and not name.startswith("."))
        return RemoteTars(files, folder, tuple(tars))
    found = set(indexed())
    with ThreadPoolExecutor(REQUESTS) as pool:
        for first in count(step=REQUESTS):
            batch = [f"images_{number:03d}.tar" for number in range(first, first + REQUESTS)]
            there = list(pool.map(lambda name: name in found or exists(files, f"{folder}/{name}"), batch))
            found.update(name for name, is_there in zip(batch, there, strict=True) if is_there)
            if not all(there):
                break
    return RemoteTars(files, folder, tuple(sorted(found)))


def exists(files: RemoteFiles, name: str) -> bool:
    """Return whether a file exists; servers that do not list folders may also refuse access to missing files."""
    try:
        files.stamp(name)
    except (FileNotFoundError, PermissionError):
        return False
    return True


class RemoteFolderStore:
    """The extracted tree `a/b/c/<id>.jpg` below the `folder` "train", "index" or "test" at an address."""

    def __init__(self, files: RemoteFiles, folder: str) -> None:
        self.files = files
        self.folder = folder

    def locate(self, ids: NDArray[np.uint64]) -> NDArray[np.int32]:
        """See ImageStore. If the server does not list folders, all images count as present until they are read."""
        try:
            if not self.files.names(self.folder):
                return np.zeros(len(ids), dtype=np.int32)
            return located(ids, self._listed(folders_of(ids)))
        except OSError as error:
            raise unreachable(self.files.address(self.folder), error) from error

    def path(self, name: str) -> str:
        """Return the path of an image below the root of `files`, by its id of 16 digits."""
        return f"{self.folder}/{image_path(name)}"

    def _listed(self, folders: list[str]) -> Iterator[str]:
        with ThreadPoolExecutor(REQUESTS) as pool:
            for names in pool.map(lambda folder: self.files.names(f"{self.folder}/{folder}"), folders):
                yield from names

    def read(self, image_id: int, location: int = 0, length: int | None = None) -> bytes:
        """See ImageStore."""
        name = format_id(image_id)
        path = self.path(name)
        try:
            return self.files.read(path, 0, length)
        except OSError as error:
            raise MissingImageError(
                f"image {name}: cannot read {self.files.address(path)} ({error.strerror})"
            ) from error

    def stamps(self, ids: NDArray[np.uint64], locations: NDArray[np.int32]) -> NDArray[np.uint64]:
        """See ImageStore. Sizes and versions come from folder listings; without them only the place is hashed."""
        address = self.files.address(self.folder)
        try:
            with ThreadPoolExecutor(REQUESTS) as pool:
                listed = list(pool.map(lambda folder: self.files.listed(f"{self.folder}/{folder}"), folders_of(ids)))
        except OSError as error:
            raise unreachable(address, error) from error
        known = {name: version for names in listed for name, version in names.items()}
        names = [f"{name}.jpg" for name in format_ids(ids)]
        found = [(name, known.get(name, TarStamp(0, ""))) for name in names]
        return np.array([stamp(address, *one, place_only=not one[1].version) for one in found], np.uint64)
