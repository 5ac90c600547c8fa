"""What every place that holds images can do: say where an image is, and read its bytes.

A store is opened once in the main process and then used by DataLoader workers, so every store is picklable and
safe under fork, spawn and threads: none keeps an open file or a position.
"""

import os
import re
import stat
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from hashlib import blake2b
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from landmarks.errors import LandmarksError, shown
from landmarks.ids import find_sorted, format_id, format_ids, parse_ids

IMAGE_NAME = re.compile(r"([0-9a-f]{16})\.jpg")
ABSENT = -1
STAT_THREADS = 16  # what hides the distance to a file server
STAT_BLOCK = 4096  # files that a thread asks for at once


class MissingImageError(LandmarksError):
    """An image that the tables name is not where its bytes should be."""


class ImageStore(Protocol):
    """Reads the encoded bytes of images.

    Images are looked up once for a whole table; what `locate` answers is kept beside the ids, so that reading an
    image takes the same time in ten thousand of them as in five million.
    """

    def locate(self, ids: NDArray[np.uint64]) -> NDArray[np.int32]:
        """Where each image is, in numbers that only this store understands: uint64 [N] -> int32 [N], -1 if absent."""

    def read(self, image_id: int, location: int, length: int | None = None) -> bytes:
        """The encoded image, or its first `length` bytes. Raises MissingImageError that names id and place."""

    def stamps(self, ids: NDArray[np.uint64], locations: NDArray[np.int32]) -> NDArray[np.uint64]:
        """What tells each image from another of its id, without reading it: its place, size and times, uint64 [N].

        A hash, which changes where the file (or the tar around it) is another one or lies elsewhere, and where a file
        was touched otherwise, as by chmod: rather embedded once too often than old figures. 0 if absent, and odd where
        nothing but the place is known, so that a replaced image keeps its stamp.
        """


def stamp(*parts: object, place_only: bool = False) -> int:
    """A hash of 64 bits for `ImageStore.stamps`."""
    text = "\0".join(map(str, parts)).encode("utf-8", "surrogateescape")
    return int.from_bytes(blake2b(text, digest_size=8).digest(), "little") & ~1 | place_only


def stamp_files(paths: Sequence[str]) -> NDArray[np.uint64]:
    """Stamps of N files, uint64 [N], 0 where there is none; links in the paths' folders are followed once."""
    real = {folder: os.path.realpath(folder) for folder in {os.path.dirname(path) for path in paths}}  # noqa: PTH120

    def block(start: int) -> list[int]:
        return [_stamp_file(path, real) for path in paths[start : start + STAT_BLOCK]]

    with ThreadPoolExecutor(STAT_THREADS) as pool:
        return np.array([one for part in pool.map(block, range(0, len(paths), STAT_BLOCK)) for one in part], np.uint64)


def _stamp_file(path: str, real: dict[str, str]) -> int:
    folder, name = os.path.split(path)
    try:
        status = os.stat(path)  # noqa: PTH116 - a Path for each of millions would take longer than the question
    except OSError:
        return 0
    # The time of the last change of any kind, too: unzip, cp -p and rsync -t set that of the content to an old one.
    return stamp(real[folder], name, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def read_by_id(store: ImageStore, image_id: int) -> bytes:
    """Look one image up and read it; for many images, locate all of them at once. Raises MissingImageError."""
    location = store.locate(np.array([image_id], dtype=np.uint64))[0]
    return store.read(image_id, int(location))


class FileStore:
    """Files with any names: N paths, each of the id, uint64 [N], in the same place; shown as they lie below `root`."""

    def __init__(self, ids: NDArray[np.uint64], paths: Sequence[Path], root: Path | None = None) -> None:
        self.root = root
        order = np.argsort(ids)
        self._ids = ids[order]
        # One array of bytes, not N Python objects, so that forked workers share it.
        self._paths = np.array([os.fsencode(paths[i]) for i in order], dtype=np.bytes_)

    def path(self, image_id: int) -> Path:
        """Where the image lies. Raises MissingImageError for an id that the store does not know."""
        return self._path(image_id, int(self.locate(np.array([image_id], dtype=np.uint64))[0]))

    def name(self, image_id: int, location: int) -> str:
        """What people call the image: its path below the root, or where it lies."""
        path = self._path(image_id, location)
        return str(path.relative_to(self.root) if self.root and path.is_relative_to(self.root) else path)

    def locate(self, ids: NDArray[np.uint64]) -> NDArray[np.int32]:
        """See ImageStore."""
        return find_sorted(self._ids, ids).astype(np.int32)

    def read(self, image_id: int, location: int, length: int | None = None) -> bytes:
        """See ImageStore."""
        return _read_file(self._path(image_id, location), image_id, length)

    def stamps(self, ids: NDArray[np.uint64], locations: NDArray[np.int32]) -> NDArray[np.uint64]:
        """See ImageStore."""
        return stamp_files([os.fsdecode(bytes(self._paths[row])) if row >= 0 else "" for row in locations.tolist()])

    def _path(self, image_id: int, location: int) -> Path:
        if location < 0:
            raise MissingImageError(f"image {format_id(image_id)}: no file is known for it")
        return Path(os.fsdecode(bytes(self._paths[location])))


def _read_file(path: Path, image_id: int, length: int | None) -> bytes:
    try:
        with open(path, "rb", buffering=0, opener=_opened) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise MissingImageError(f"image {format_id(image_id)}: {shown(path)} is no file (a pipe or a device)")
            return file.read(-1 if length is None else length)
    except OSError as error:
        raise MissingImageError(f"image {format_id(image_id)}: cannot read {shown(path)} ({error.strerror})") from error


def _opened(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))  # does not wait for a pipe to be written to


def image_path(name: str) -> str:
    """Where the image with this id in 16 digits lies in an extracted tree: `a/b/c/<id>.jpg`."""
    return f"{name[0]}/{name[1]}/{name[2]}/{name}.jpg"


def folders_of(ids: NDArray[np.uint64]) -> list[str]:
    """The folders `a/b/c`, at most 4096, that hold these images in an extracted tree."""
    return [
        "/".join(f"{prefix:03x}") for prefix in np.flatnonzero(np.bincount((ids >> np.uint64(52)).astype(np.int64)))
    ]


def located(ids: NDArray[np.uint64], names: Iterable[str]) -> NDArray[np.int32]:
    """What `locate` answers where there are files of these names."""
    return np.where(find_sorted(_ids_of(names), ids) >= 0, 0, ABSENT).astype(np.int32)


def _ids_of(names: Iterable[str]) -> NDArray[np.uint64]:
    return np.sort(parse_ids([match[1] for name in names if (match := IMAGE_NAME.fullmatch(name))]))


class FolderStore:
    """The extracted tree of GLDv2: `root/a/b/c/<id>.jpg`, a, b, c the first three digits of the id.

    Paths are computed, so that opening the store costs nothing.
    """

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)

    def locate(self, ids: NDArray[np.uint64]) -> NDArray[np.int32]:
        """See ImageStore. Lists each of the at most 4096 folders once rather than asking for every file."""
        folders = (self.root / folder for folder in folders_of(ids))
        return located(ids, (path.name for folder in folders if folder.is_dir() for path in folder.iterdir()))

    def read(self, image_id: int, location: int = 0, length: int | None = None) -> bytes:
        """See ImageStore."""
        return _read_file(self.root / image_path(format_id(image_id)), image_id, length)

    def stamps(self, ids: NDArray[np.uint64], locations: NDArray[np.int32]) -> NDArray[np.uint64]:
        """See ImageStore."""
        return stamp_files([f"{self.root}/{image_path(name)}" for name in format_ids(ids)])


class FlatFolderStore:
    """Images `folder/<id>.jpg`, as Open Images hands them out.

    The folder is listed each time that images are looked up: 1.7 million names take some seconds.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)

    def ids(self) -> NDArray[np.uint64]:
        """The ids of all images that are there, ascending, uint64 [N]."""
        return _ids_of(self._names())

    def locate(self, ids: NDArray[np.uint64]) -> NDArray[np.int32]:
        """See ImageStore."""
        return located(ids, self._names())

    def read(self, image_id: int, location: int = 0, length: int | None = None) -> bytes:
        """See ImageStore."""
        return _read_file(self.folder / f"{format_id(image_id)}.jpg", image_id, length)

    def stamps(self, ids: NDArray[np.uint64], locations: NDArray[np.int32]) -> NDArray[np.uint64]:
        """See ImageStore."""
        return stamp_files([f"{self.folder}/{name}.jpg" for name in format_ids(ids)])

    def _names(self) -> list[str]:
        try:
            return os.listdir(self.folder)  # noqa: PTH208 - a Path for each of 1.7 million names would take minutes
        except OSError as error:
            raise LandmarksError(f"{self.folder}: the images cannot be listed ({error.strerror})") from error


class JoinedStore:
    """Two stores as one: `first` answers for `first_ids`, uint64 [N], with even locations, `second` for all others."""

    def __init__(self, first_ids: NDArray[np.uint64], first: ImageStore, second: ImageStore) -> None:
        self._first_ids = first_ids
        self._stores = (first, second)

    @cached_property
    def _sorted_first_ids(self) -> NDArray[np.uint64]:
        return np.sort(self._first_ids)

    def locate(self, ids: NDArray[np.uint64]) -> NDArray[np.int32]:
        """See ImageStore."""
        in_second = find_sorted(self._sorted_first_ids, ids) < 0
        locations = np.empty(len(ids), dtype=np.int32)
        for number, (store, chosen) in enumerate(zip(self._stores, (~in_second, in_second), strict=True)):
            found = store.locate(ids[chosen])
            locations[chosen] = _numbered(found, number)
        return locations

    def join(self, first: NDArray[np.int32], second: NDArray[np.int32]) -> NDArray[np.int32]:
        """Locations of images that were located in their own store: int32 [A], int32 [B] -> int32 [A + B]."""
        return np.concatenate([_numbered(first, 0), _numbered(second, 1)])

    def read(self, image_id: int, location: int, length: int | None = None) -> bytes:
        """See ImageStore."""
        if location < 0:
            raise MissingImageError(f"image {format_id(image_id)} is in neither of the two sets")
        return self._stores[location % 2].read(image_id, location // 2, length)

    def stamps(self, ids: NDArray[np.uint64], locations: NDArray[np.int32]) -> NDArray[np.uint64]:
        """See ImageStore."""
        found = np.zeros(len(ids), np.uint64)
        for number, store in enumerate(self._stores):
            rows = np.flatnonzero((locations >= 0) & (locations % 2 == number))
            found[rows] = store.stamps(ids[rows], locations[rows] // 2)
        return found


def _numbered(locations: NDArray[np.int32], store: int) -> NDArray[np.int32]:
    return np.where(locations >= 0, locations * 2 + store, ABSENT).astype(np.int32)
