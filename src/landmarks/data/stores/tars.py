"""Read single images straight out of the official tars, without extracting 595 GB.

An image's id says nothing about which tar holds it, so the headers of all tars are scanned once; what stays
in memory is four arrays. The tars are the ones of https://github.com/cvdfoundation/google-landmark:
uncompressed, members `a/b/c/<id>.jpg`.
"""

import os
import tarfile
from array import array
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from landmarks.data.ids import format_id
from landmarks.data.stores.store import IMAGE_NAME, MissingImageError
from landmarks.data.table import find_sorted
from landmarks.errors import LandmarksError

REPAIR = "compare it with the md5sum file of its split and download it again"


class TarStore:
    """Images inside tars, found by binary search and read with one `pread` each.

    The tar is opened for each read: that costs about 10 microseconds against milliseconds of decoding, and
        leaves no
    descriptor to share between processes or threads, nor 600 of them open in each worker.

    Args:
        tars: Uncompressed tars. Members not named `<16 hex digits>.jpg` are ignored.

    Raises:
        LandmarksError: A tar cannot be read, is cut off, or holds an image that another holds too.
    """

    def __init__(self, tars: Sequence[str | Path]) -> None:
        self.tars = [Path(tar) for tar in tars]
        parts = [_scan(tar) for tar in self.tars]
        ids = np.concatenate([np.empty(0, np.uint64), *(part[0] for part in parts)])
        order = np.argsort(ids, kind="stable")
        self._ids = ids[order]
        self._tar = np.repeat(np.arange(len(parts), dtype=np.int16), [len(part[0]) for part in parts])[order]
        self._offset = np.concatenate([np.empty(0, np.int64), *(part[1] for part in parts)])[order]
        self._length = np.concatenate([np.empty(0, np.int64), *(part[2] for part in parts)])[order]
        for row in np.flatnonzero(self._ids[1:] == self._ids[:-1])[:1]:
            first, second = self.tars[self._tar[row]], self.tars[self._tar[row + 1]]
            raise LandmarksError(
                f"image {format_id(self._ids[row])} is in {first} and again in {second}; "
                "remove the copy that is not part of the set"
            )

    def __len__(self) -> int:
        return len(self._ids)

    def read(self, image_id: int, location: int, length: int | None = None) -> bytes:
        """See ImageStore."""
        row = location
        if row < 0:
            raise MissingImageError(f"image {format_id(image_id)} is in none of the {self._place()}")
        whole = int(self._length[row])
        tar, length = self.tars[self._tar[row]], whole if length is None else min(length, whole)
        try:
            fd = os.open(tar, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
            try:
                data = os.pread(fd, length, int(self._offset[row]))
            finally:
                os.close(fd)
        except OSError as error:
            raise MissingImageError(f"image {format_id(image_id)}: cannot read {tar} ({error.strerror})") from error
        if len(data) != length:
            raise MissingImageError(f"image {format_id(image_id)}: {tar} has become shorter since it was opened")
        return data

    def locate(self, ids: NDArray[np.uint64]) -> NDArray[np.int32]:
        """See ImageStore."""
        return find_sorted(self._ids, ids).astype(np.int32)

    def _place(self) -> str:
        folder = self.tars[0].parent if self.tars else "(no folder)"
        return f"{len(self.tars)} tars of {folder}"


def _scan(path: Path) -> tuple[NDArray[np.uint64], NDArray[np.int64], NDArray[np.int64]]:
    """Ids, offsets and lengths of the images in one tar, in the order of the tar."""
    ids, offsets, lengths = array("Q"), array("q"), array("q")
    try:
        with path.open("rb") as file, tarfile.open(fileobj=file, mode="r:") as tar:
            while (member := tar.next()) is not None:
                tar.members.clear()  # type: ignore[attr-defined]  # 4.1M remembered members take gigabytes
                name = IMAGE_NAME.fullmatch(member.name.rpartition("/")[2])
                if member.isreg() and name:
                    ids.append(int(name[1], 16))
                    offsets.append(member.offset_data)
                    lengths.append(member.size)
            # tarfile takes a damaged header in mid-file for the end of the archive: ask for the real end's
            # zero block.
            if os.pread(file.fileno(), tarfile.BLOCKSIZE, tar.offset) != bytes(tarfile.BLOCKSIZE):
                raise tarfile.ReadError(f"cut off or damaged at byte {tar.offset}")
    except OSError as error:
        raise LandmarksError(f"{path}: cannot be read ({error.strerror})") from error
    except tarfile.TarError as error:
        raise LandmarksError(f"{path}: not a complete uncompressed tar ({error}); {REPAIR}") from error
    return (
        np.frombuffer(ids, dtype=np.uint64) if ids else np.empty(0, np.uint64),
        np.frombuffer(offsets, dtype=np.int64) if offsets else np.empty(0, np.int64),
        np.frombuffer(lengths, dtype=np.int64) if lengths else np.empty(0, np.int64),
    )
