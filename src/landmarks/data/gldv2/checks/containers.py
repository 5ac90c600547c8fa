"""The containers of a split's images: its tars, or the folders of the extracted tree.

An image store represents a whole split and refuses it if one tar is corrupt. A check continues with the other tars.
"""

import os
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import blake2b, md5
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from landmarks.data.gldv2.layout import GLDv2Layout
from landmarks.data.stores import (
    BLOCK,
    IMAGE_NAME,
    FolderStore,
    MissingImageError,
    Offsets,
    OnTar,
    TarFiles,
    TarStamp,
    read_headers,
    update_offsets,
)
from landmarks.errors import LandmarksError
from landmarks.ids import HEX_DIGITS, find_sorted, format_id, parse_ids

READ_BYTES = 4 << 20


@dataclass(frozen=True, eq=False)
class TarContainer:
    """A tar, such as "train/images_003.tar", and its images in the order of the tar. Picklable."""

    name: str
    files: TarFiles
    state: TarStamp
    ids: NDArray[np.uint64]
    blocks: NDArray[np.uint32]
    lengths: NDArray[np.uint32]

    @property
    def stamp(self) -> str:
        """Text that changes when an image may have changed."""
        return f"{self.state.size} {self.state.version}"

    def read(self, row: int) -> bytes:
        """Return the bytes of an image. Raises MissingImageError."""
        length = int(self.lengths[row])
        try:
            data = self.files.read(self._tar, int(self.blocks[row]) * BLOCK, length)
        except OSError as error:
            raise MissingImageError(f"cannot be read ({error})") from error
        if len(data) != length:
            raise MissingImageError("the tar has become shorter since its headers were read")
        return data

    def md5(self) -> str:
        """Return the md5 sum of the whole tar. Raises OSError."""
        digest, offset = md5(usedforsecurity=False), 0
        while data := self.files.read(self._tar, offset, READ_BYTES):
            digest.update(data)
            offset += len(data)
        return digest.hexdigest()

    def take(self, rows: slice) -> "TarContainer":
        """Return the container with some of its images only."""
        return replace(self, ids=self.ids[rows], blocks=self.blocks[rows], lengths=self.lengths[rows])

    @property
    def _tar(self) -> str:
        return self.name.partition("/")[2]


@dataclass(frozen=True, eq=False)
class FolderContainer:
    """The images below two digits of the extracted tree in `folder`, such as "train/0/a": as many as in two tars."""

    name: str
    folder: Path
    ids: NDArray[np.uint64]

    @cached_property
    def stamp(self) -> str:
        """Text that changes when an image may have changed; it needs the size and time of every file, which is slow."""
        digest = blake2b(digest_size=16)
        for name in map(format_id, self.ids.tolist()):
            try:
                status = (self.folder / name[0] / name[1] / name[2] / f"{name}.jpg").stat()
                digest.update(f"{name} {status.st_size} {status.st_mtime_ns}\n".encode())
            except OSError:  # gone since it was listed
                digest.update(f"{name}\n".encode())
        return digest.hexdigest()

    def read(self, row: int) -> bytes:
        """Return the bytes of an image. Raises MissingImageError."""
        return FolderStore(self.folder).read(int(self.ids[row]))

    def md5(self) -> None:
        """Return None, since no md5 sum is published for folders."""

    def take(self, rows: slice) -> "FolderContainer":
        """Return the container with some of its images only."""
        return replace(self, ids=self.ids[rows])


Container = TarContainer | FolderContainer


@dataclass(frozen=True)
class Inventory:
    """The images that exist of "train", "index" or "test", whatever the tables say, and messages for `refused` tars."""

    folder: str
    containers: list[Container]
    refused: tuple[str, ...] = ()

    @property
    def ids(self) -> NDArray[np.uint64]:
        """All existing images, uint64 [N], ascending."""
        return self._ordered[0]

    def unlisted(self, listed: NDArray[np.uint64]) -> tuple[NDArray[np.uint64], list[str]]:
        """Return the images that are not in `listed` (uint64 [M], ascending) and the container of each."""
        ids, places = self._ordered
        rows = np.flatnonzero(find_sorted(listed, ids) < 0)
        return ids[rows], [self.containers[place].name for place in places[rows]]

    def twice(self) -> tuple[NDArray[np.uint64], list[str]]:
        """Return the images that are in two containers, and the names of these."""
        ids, places = self._ordered
        rows = np.flatnonzero(ids[1:] == ids[:-1])
        pairs = zip(places[rows], places[rows + 1], strict=True)
        return ids[rows], [f"{self.containers[one].name} and {self.containers[two].name}" for one, two in pairs]

    @cached_property
    def _ordered(self) -> tuple[NDArray[np.uint64], NDArray[np.int32]]:
        """Every image with the number of its container, ordered by id."""
        ids = np.concatenate([np.empty(0, np.uint64), *(container.ids for container in self.containers)])
        sizes = [len(container.ids) for container in self.containers]
        order = np.argsort(ids, kind="stable")
        return ids[order], np.repeat(np.arange(len(sizes), dtype=np.int32), sizes)[order]


def take_inventory(layout: GLDv2Layout, folder: str, on_tar: OnTar | None = None) -> Inventory:
    """Update the offset index of a folder and read it, or list the extracted tree if there are no tars."""
    files = layout.tars(folder)
    names = files.names()
    if not names:
        if not isinstance(layout.root, Path):
            raise LandmarksError(
                f"{layout.root / folder}: only tars can be checked at an address; check an extracted tree on the "
                "machine that stores it"
            )
        return Inventory(folder, [*open_folders(layout.root, folder)])
    update = update_offsets(files, layout.offsets(folder), on_tar=on_tar)
    containers: list[Container] = [*indexed_tars(folder, files, update.offsets)]
    for name in sorted(set(names) - {tar.name for tar in update.offsets.tars}):
        # A valid tar that repeats images of another one: training refuses it, but here all its images are counted.
        with suppress(LandmarksError, OSError):
            containers.append(open_tar(folder, files, name))
    return Inventory(folder, sorted(containers, key=lambda container: container.name), update.refused)


def indexed_tars(folder: str, files: TarFiles, offsets: Offsets) -> list[TarContainer]:
    """Return the tars of an offset index."""
    order = np.lexsort((offsets.block, offsets.tar))
    ends = np.cumsum([tar.images for tar in offsets.tars])
    containers = []
    for tar, rows in zip(offsets.tars, np.split(order, ends[:-1]), strict=True):
        ids, blocks, lengths = offsets.ids[rows], offsets.block[rows], offsets.length[rows]
        containers.append(TarContainer(f"{folder}/{tar.name}", files, tar.stamp, ids, blocks, lengths))
    return containers


def open_tar(folder: str, files: TarFiles, name: str) -> TarContainer:
    """Read the headers of one tar. Raises RefusedTarError, OSError."""
    stamp = files.stamp(name)
    images = read_headers(files.walk(name), stamp.size)
    order = np.argsort(images.blocks)
    ids, blocks, lengths = images.ids[order], images.blocks[order], images.lengths[order]
    return TarContainer(f"{folder}/{name}", files, stamp, ids, blocks, lengths)


def open_folders(root: Path, folder: str) -> list[FolderContainer]:
    """List an extracted tree. Files outside the folder of the first three digits of their id are ignored."""
    tree, containers = root / folder, []
    for name in (f"{first}/{second}" for first in HEX_DIGITS for second in HEX_DIGITS):
        found: list[str] = []
        for last in (tree / name / third for third in HEX_DIGITS):
            if last.is_dir():
                prefix = "".join(last.parts[-3:])
                matches = (IMAGE_NAME.fullmatch(entry.name) for entry in os.scandir(last))
                found.extend(match[1] for match in matches if match and match[1].startswith(prefix))
        if found:
            containers.append(FolderContainer(f"{folder}/{name}", tree, parse_ids(sorted(found))))
    return containers
