"""Reads single images directly from the official tars, without extracting 595 GB.

The tars are those of https://github.com/cvdfoundation/google-landmark: uncompressed, with members `a/b/c/<id>.jpg`.
The offset index tells which tar holds an image, since the id does not.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from landmarks.data.stores.offset_file import read_offsets
from landmarks.data.stores.store import ABSENT, MissingImageError, stamp
from landmarks.data.stores.tar_files import TarFiles
from landmarks.data.stores.tar_members import BLOCK, announces
from landmarks.errors import LandmarksError
from landmarks.ids import find_sorted, format_id

RENEW = "run `landmarks data index`"
SPREAD = np.uint64(0x9E3779B97F4A7C15)  # odd, so that no two positions in a tar get the same product


class TarStore:
    """Images inside tars, each read together with its header by one request; see `open_tar_store`.

    The offset index is memory-mapped, also in processes to which the store is sent, so that all share one copy.

    Args:
        files: The tars.
        offsets: The file of their offset index.

    Raises:
        LandmarksError: The index cannot be read.
    """

    def __init__(self, files: TarFiles, offsets: Path) -> None:
        self.files = files
        self.offsets_path = offsets
        try:
            self._offsets = read_offsets(offsets)
        except (OSError, ValueError) as error:
            raise LandmarksError(f"{offsets}: the offset index cannot be used ({error}); {RENEW}") from error

    def __reduce__(self) -> tuple[type["TarStore"], tuple[TarFiles, Path]]:
        return TarStore, (self.files, self.offsets_path)

    def __len__(self) -> int:
        return len(self._offsets)

    def locate(self, ids: NDArray[np.uint64]) -> NDArray[np.int32]:
        """See ImageStore."""
        return find_sorted(self._offsets.ids, ids).astype(np.int32)

    def read(self, image_id: int, location: int, length: int | None = None) -> bytes:
        """See ImageStore. The header before the image shows whether the tar has changed since it was indexed."""
        row = self._row(image_id, location)
        name = self._offsets.tars[self._offsets.tar[row]].name
        whole = int(self._offsets.length[row])
        wanted = BLOCK + (whole if length is None else min(length, whole))
        try:
            data = self.files.read(name, (int(self._offsets.block[row]) - 1) * BLOCK, wanted)
        except OSError as error:
            raise self._missing(image_id, name, f"cannot be read ({error.strerror or error})") from error
        if len(data) != wanted:
            raise self._missing(image_id, name, f"has become shorter since it was indexed; {RENEW}")
        if not announces(data[:BLOCK], image_id, whole):
            raise self._missing(image_id, name, f"has changed since it was indexed; {RENEW}")
        return data[BLOCK:]

    def stamps(self, ids: NDArray[np.uint64], locations: NDArray[np.int32]) -> NDArray[np.uint64]:
        """See ImageStore. They are made from the stamps of the tars, which were compared when the store was opened."""
        offsets, folder = self._offsets, self.files.address("")
        tars = [stamp(folder, tar.name, tar.stamp.size, tar.stamp.version) for tar in offsets.tars]
        found = np.zeros(len(ids), np.uint64)
        rows = locations[locations >= 0]
        place = offsets.block[rows].astype(np.uint64) << np.uint64(32) | offsets.length[rows]
        found[locations >= 0] = (np.array(tars, np.uint64)[offsets.tar[rows]] + place * SPREAD) & ~np.uint64(1)
        return found

    def _row(self, image_id: int, location: int) -> int:
        ids = self._offsets.ids
        if 0 <= location < len(ids) and ids[location] == image_id:
            return location
        if location >= 0:  # the location is from an older index, updated before this process opened it
            location = int(self.locate(np.array([image_id], dtype=np.uint64))[0])
        if location == ABSENT:
            place = f"the {len(self._offsets.tars)} tars of {self.files.address('')}"
            raise MissingImageError(f"image {format_id(image_id)} is in none of {place}")
        return location

    def _missing(self, image_id: int, name: str, what: str) -> MissingImageError:
        return MissingImageError(f"image {format_id(image_id)}: {self.files.address(name)} {what}")
