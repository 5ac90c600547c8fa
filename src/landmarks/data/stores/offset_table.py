"""Where all pictures of a split are, as arrays sorted by id, and how tars are put into them and taken out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from landmarks.data.stores.tar_files import TarStamp
from landmarks.data.stores.tar_headers import Pictures
from landmarks.ids import format_id

MAX_TARS = 1 << 16


@dataclass(frozen=True)
class IndexedTar:
    """A tar as it was when its headers were read, and how many pictures it holds."""

    name: str
    stamp: TarStamp
    pictures: int


@dataclass(frozen=True, eq=False)
class Offsets:
    """Where the pictures of a split are.

    18 bytes a picture. Blocks because pictures in tars begin at multiples of 512: as many bits for a byte would end
    at 4 GiB, and twice as many would be 20 MB more for the train split.

    Attributes:
        tars: At most 65,536.
        ids: uint64 [N], strictly increasing.
        tar: uint16 [N], indices into `tars`.
        block: uint32 [N], where the bytes of each picture begin, in blocks of 512 bytes.
        length: uint32 [N], bytes of each picture.
    """

    tars: tuple[IndexedTar, ...]
    ids: NDArray[np.uint64]
    tar: NDArray[np.uint16]
    block: NDArray[np.uint32]
    length: NDArray[np.uint32]

    def __len__(self) -> int:
        return len(self.ids)


NO_OFFSETS = Offsets((), np.empty(0, np.uint64), np.empty(0, np.uint16), np.empty(0, np.uint32), np.empty(0, np.uint32))


def select(offsets: Offsets, is_kept: Callable[[IndexedTar], bool]) -> Offsets:
    """The pictures of some of the tars."""
    kept = np.array([is_kept(tar) for tar in offsets.tars], dtype=np.bool_)
    if kept.all():
        return offsets
    renumbered = (np.cumsum(kept) - 1).astype(np.uint16)
    rows = kept[offsets.tar]
    tars = tuple(tar for tar, keep in zip(offsets.tars, kept, strict=True) if keep)
    tar = renumbered[offsets.tar[rows]]
    return Offsets(tars, offsets.ids[rows], tar, offsets.block[rows], offsets.length[rows])


def merge(offsets: Offsets, added: Sequence[tuple[IndexedTar, Pictures]]) -> tuple[Offsets, dict[str, tuple[str, str]]]:
    """Put tars into the index.

    Returns:
        The index, and the tars that were left out because one before them, here or in `offsets`, holds one of their
        pictures: name -> (name of the other tar, id of the picture).
    """
    if not added:
        return offsets, {}
    tars = (*offsets.tars, *(tar for tar, _ in added))
    pictures = [part for _, part in added]
    numbers = [np.full(len(part.ids), len(offsets.tars) + i, np.uint16) for i, part in enumerate(pictures)]
    ids = np.concatenate([offsets.ids, *(part.ids for part in pictures)])
    order = np.argsort(ids, kind="stable")
    ids = ids[order]
    tar = np.concatenate([offsets.tar, *numbers])[order]
    block = np.concatenate([offsets.block, *(part.blocks for part in pictures)])[order]
    length = np.concatenate([offsets.length, *(part.lengths for part in pictures)])[order]
    twice = np.flatnonzero(ids[1:] == ids[:-1])
    # The order is stable: of two with the same id the later tar comes second.
    left_out = {
        tars[tar[row + 1]].name: (tars[tar[row]].name, format_id(ids[row]))
        for row in reversed(twice)  # so that the first picture of each tar is told
    }
    merged = Offsets(tars, ids, tar, block, length)
    return select(merged, lambda tar: tar.name not in left_out), left_out
