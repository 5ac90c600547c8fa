"""The interface of image stores, which locate images and read their bytes, and the stores for local files.

A store is opened once in the main process and then used by DataLoader workers, so every store is picklable and
safe under fork, spawn and threads: none keeps an open file or a file position.
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

IMAGE_NAME = re.compile(r"([0-9a-f]{16})\.jpg")  # file name of an image; the group is its id
ABSENT = -1  # location of a missing image
STAT_THREADS = 16  # enough to hide the latency of a file server
STAT_BLOCK = 4096  # files per task of a thread


class MissingImageError(LandmarksError):
    """Raised if an image of a table is missing or its bytes cannot be read."""


class ImageStore(Protocol):
    """Reads the encoded bytes of images.

    All images of a table are looked up once, and the locations are kept in the table, so that reading an image takes
    the same time among five million images as among ten thousand.
    """

    def locate(self, ids: NDArray[np.uint64]) -> NDArray[np.int32]:
        """Return the location of each image, a number that only this store understands.

        Args:
            ids: uint64 [N].

        Returns:
            int32 [N], -1 if the image is missing.
        """

    def read(self, image_id: int, location: int, length: int | None = None) -> bytes:
        """Return an encoded image.

        Args:
            image_id: Its id.
            location: Its location, from `locate`.
            length: Number of bytes to read from the beginning; None reads all.

        Raises:
            MissingImageError: It cannot be read; the message names the id and the file.
        """

    def stamps(self, ids: NDArray[np.uint64], locations: NDArray[np.int32]) -> NDArray[np.uint64]:
        """Return a stamp of each image that shows whether its file has changed, without reading it, uint64 [N].

        It is a hash of path, size and times of the file (or of the tar around it). It also changes if the file is moved
        or its attributes change: embedding an image again is better than keeping an old descriptor. It is 0 for missing
        images, and odd if only the path is known, so that a replaced image keeps its stamp.
        """


def stamp(*parts: object, place_only: bool = False) -> int:
    """Return a 64-bit hash for `ImageStore.stamps`."""
    text = "\0".join(map(str, parts)).encode("utf-8", "surrogateescape")
    return int.from_bytes(blake2b(text, digest_size=8).digest(), "little") & ~1 | place_only


def stamp_files(paths: Sequence[str]) -> NDArray[np.uint64]:
    """Return stamps of N files, uint64 [N], 0 for missing ones; links in each folder's path are resolved once."""
    real = {folder: os.path.realpath(folder) for folder in {os.path.dirname(path) for path in paths}}  # noqa: PTH120

    def block(start: int) -> list[int]:
        return [_stamp_file(path, real) for path in paths[start : start + STAT_BLOCK]]

    with ThreadPoolExecutor(STAT_THREADS) as pool:
        return np.array([one for part in pool.map(block, range(0, len(paths), STAT_BLOCK)) for one in part], np.uint64)


def _stamp_file(path: str, real: dict[str, str]) -> int:
    folder, name = os.path.split(path)
    try:
        status = os.stat(path)  # noqa: PTH116 - making millions of Path objects would take longer than the calls
    except OSError:
        return 0
    # ctime is used too, because unzip, cp -p and rsync -t set mtime to an old time.
    return stamp(real[folder], name, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def read_by_id(store: ImageStore, image_id: int) -> bytes:
    """Locate and read one image; to read many images, locate all of them at once.

    Args:
        store: The store that holds it.
        image_id: Its id.

    Returns:
        The encoded bytes.

    Raises:
        MissingImageError: It is missing or cannot be read.
    """
    location = store.locate(np.array([image_id], dtype=np.uint64))[0]
    return store.read(image_id, int(location))


class FileStore:
    """Image files with any names.

    Args:
        ids: uint64 [N].
        paths: The N files, in the order of `ids`.
        root: The folder to which names in messages are relative; None uses full paths.
    """

    def __init__(self, ids: NDArray[np.uint64], paths: Sequence[Path], root: Path | None = None) -> None:
        self.root = root
        order = np.argsort(ids)
        self._ids = ids[order]
        # One array of bytes, not N Python objects, so that forked workers share it.
        self._paths = np.array([os.fsencode(paths[i]) for i in order], dtype=np.bytes_)

    def path(self, image_id: int) -> Path:
        """Return the path of an image. Raises MissingImageError for an unknown id."""
        return self._path(image_id, int(self.locate(np.array([image_id], dtype=np.uint64))[0]))

    def name(self, image_id: int, location: int) -> str:
        """Return a name for messages: the path of an image below the root, or its full path."""
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
    """Return the path of an image in an extracted tree, `a/b/c/<id>.jpg`, by its id of 16 digits."""
    return f"{name[0]}/{name[1]}/{name[2]}/{name}.jpg"


def folders_of(ids: NDArray[np.uint64]) -> list[str]:
    """Return the folders `a/b/c`, at most 4096, that hold these images in an extracted tree."""
    return [
        "/".join(f"{prefix:03x}") for prefix in np.flatnonzero(np.bincount((ids >> np.uint64(52)).astype(np.int64)))
    ]


def located(ids: NDArray[np.uint64], names: Iterable[str]) -> NDArray[np.int32]:
    """Return the locations of images if these are the names of the existing files: 0, or -1 for missing ones."""
    return np.where(find_sorted(_ids_of(names), ids) >= 0, 0, ABSENT).astype(np.int32)


def _ids_of(names: Iterable[str]) -> NDArray[np.uint64]:
    return np.sort(parse_ids([match[1] for name in names if (match := IMAGE_NAME.fullmatch(name))]))


class FolderStore:
    """The extracted tree of GLDv2: `root/a/b/c/<id>.jpg`, where a, b, c are the first three digits of the id.

    Opening the store takes no time, because paths are computed from ids.

    Args:
        root: The folder of the tree.
    """

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)

    def locate(self, ids: NDArray[np.uint64]) -> NDArray[np.int32]:
        """See ImageStore. It lists each of the at most 4096 folders instead of looking up every file."""
        folders = (self.root / folder for folder in folders_of(ids))
        return located(ids, (path.name for folder in folders if folder.is_dir() for path in folder.iterdir()))

    def read(self, image_id: int, location: int = 0, length: int | None = None) -> bytes:
        """See ImageStore."""
        return _read_file(self.root / image_path(format_id(image_id)), image_id, length)

    def stamps(self, ids: NDArray[np.uint64], locations: NDArray[np.int32]) -> NDArray[np.uint64]:
        """See ImageStore."""
        return stamp_files([f"{self.root}/{image_path(name)}" for name in format_ids(ids)])


class FlatFolderStore:
    """Images `folder/<id>.jpg`, the layout of Open Images.

    The folder is listed each time that images are located, which takes some seconds for 1.7 million names.

    Args:
        folder: The folder of the images.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)

    def ids(self) -> NDArray[np.uint64]:
        """Return the ids of all images in the folder, ascending, uint64 [N]."""
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
            return os.listdir(self.folder)  # noqa: PTH208 - making 1.7 million Path objects would take minutes
        except OSError as error:
            raise LandmarksError(f"{self.folder}: the images cannot be listed ({error.strerror})") from error


class JoinedStore:
    """Two stores as one. Locations are even for images of the first store and odd for those of the second.

    Args:
        first_ids: Ids of the images in the first store, uint64 [N]; all others are in the second.
        first: The first store.
        second: The second store.
    """

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
        """Convert locations in the two stores to locations in this one: int32 [A], int32 [B] -> int32 [A + B]."""
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
