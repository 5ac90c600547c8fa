"""What holds the pictures of a split, piece by piece: its tars, or the folders of the extracted tree.

A store answers for a whole split and refuses it if one tar is damaged. A check goes on with the others.
"""

import os
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import blake2b, md5
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from landmarks.data.stores.folder import FolderStore
from landmarks.data.stores.offset_table import Offsets
from landmarks.data.stores.store import IMAGE_NAME, MissingImageError
from landmarks.data.stores.tar_files import TarFiles, TarStamp
from landmarks.data.stores.tar_headers import read_headers
from landmarks.data.stores.tar_members import BLOCK
from landmarks.ids import format_id, parse_ids

READ_BYTES = 4 << 20
HEX_DIGITS = "0123456789abcdef"


class Container(Protocol):
    """Some pictures that lie together. Picklable; a process reads them through it."""

    @property
    def name(self) -> str:
        """Below the root: "train/images_003.tar", or "train/0/a" of an extracted tree."""
        ...

    @property
    def ids(self) -> NDArray[np.uint64]:
        """uint64 [N], in the order in which they lie there."""
        ...

    @property
    def stamp(self) -> str:
        """Changes when a picture may have."""
        ...

    def read(self, row: int) -> bytes:
        """A picture. Raises MissingImageError."""
        ...

    def md5(self) -> str | None:
        """Of the whole tar; None for a folder. Raises OSError."""
        ...

    def take(self, rows: slice) -> "Container":
        """Only some of the pictures."""
        ...


@dataclass(frozen=True, eq=False)
class TarContainer:
    """A tar, called `tar` among its files."""

    files: TarFiles
    tar: str
    name: str
    stamp: str
    ids: NDArray[np.uint64]
    offsets: NDArray[np.int64]
    lengths: NDArray[np.uint32]

    def read(self, row: int) -> bytes:
        """See Container."""
        length = int(self.lengths[row])
        try:
            data = self.files.read(self.tar, int(self.offsets[row]), length)
        except OSError as error:
            raise MissingImageError(f"cannot be read ({error})") from error
        if len(data) != length:
            raise MissingImageError("the tar has become shorter since its headers were read")
        return data

    def md5(self) -> str:
        """See Container."""
        digest, offset = md5(usedforsecurity=False), 0
        while data := self.files.read(self.tar, offset, READ_BYTES):
            digest.update(data)
            offset += len(data)
        return digest.hexdigest()

    def take(self, rows: slice) -> "TarContainer":
        """See Container."""
        return replace(self, ids=self.ids[rows], offsets=self.offsets[rows], lengths=self.lengths[rows])


@dataclass(frozen=True, eq=False)
class FolderContainer:
    """The pictures below two digits of the extracted tree in `folder`: of the train split, as many as in two tars."""

    folder: Path
    name: str
    ids: NDArray[np.uint64]

    @cached_property
    def stamp(self) -> str:
        """See Container. Asks for the size and time of every file, so only a deep check does."""
        digest = blake2b(digest_size=16)
        for image_id in self.ids.tolist():
            name = format_id(image_id)
            try:
                status = (self.folder / name[0] / name[1] / name[2] / f"{name}.jpg").stat()
                digest.update(f"{name} {status.st_size} {status.st_mtime_ns}\n".encode())
            except OSError:  # gone since it was listed
                digest.update(f"{name}\n".encode())
        return digest.hexdigest()

    def read(self, row: int) -> bytes:
        """See Container."""
        return FolderStore(self.folder).read(int(self.ids[row]))

    def md5(self) -> None:
        """See Container."""

    def take(self, rows: slice) -> "FolderContainer":
        """See Container."""
        return FolderContainer(self.folder, self.name, self.ids[rows])


def indexed_tars(folder: str, files: TarFiles, offsets: Offsets) -> list[TarContainer]:
    """The tars of an offset index, the pictures of each in the order in which they lie there."""
    order = np.lexsort((offsets.block, offsets.tar))
    ends = np.cumsum([tar.pictures for tar in offsets.tars])
    return [
        _tar(folder, files, tar.name, tar.stamp, offsets.ids[rows], offsets.block[rows], offsets.length[rows])
        for tar, rows in zip(offsets.tars, np.split(order, ends[:-1]), strict=True)
    ]


def open_tar(folder: str, files: TarFiles, name: str) -> TarContainer:
    """Read the headers of one tar.

    Raises:
        RefusedTarError: See `read_headers`.
        OSError: It cannot be read.
    """
    stamp = files.stamp(name)
    pictures = read_headers(files.walk(name), stamp.size)
    order = np.argsort(pictures.blocks)
    return _tar(folder, files, name, stamp, pictures.ids[order], pictures.blocks[order], pictures.lengths[order])


def _tar(
    folder: str,
    files: TarFiles,
    name: str,
    stamp: TarStamp,
    ids: NDArray[np.uint64],
    blocks: NDArray[np.uint32],
    lengths: NDArray[np.uint32],
) -> TarContainer:
    offsets = blocks.astype(np.int64) * BLOCK
    return TarContainer(files, name, f"{folder}/{name}", f"{stamp.size} {stamp.version}", ids, offsets, lengths)


def open_folders(root: Path, folder: str) -> list[FolderContainer]:
    """List an extracted tree. A file that lies elsewhere than under the first three digits of its id is not seen."""
    tree, containers = root / folder, []
    for name in (f"{first}/{second}" for first in HEX_DIGITS for second in HEX_DIGITS):
        found: list[str] = []
        for last in (tree / name / third for third in HEX_DIGITS):
            if last.is_dir():
                prefix = "".join(last.parts[-3:])
                matches = (IMAGE_NAME.fullmatch(entry.name) for entry in os.scandir(last))
                found.extend(match[1] for match in matches if match and match[1].startswith(prefix))
        if found:
            containers.append(FolderContainer(tree, f"{folder}/{name}", parse_ids(sorted(found))))
    return containers
