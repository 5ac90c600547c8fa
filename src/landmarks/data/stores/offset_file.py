"""The offset index of a split on disk.

One safetensors file (https://github.com/huggingface/safetensors#format). Its arrays are mapped, not read, so that all
processes share one copy of them. All that is in it can be made again from the tars, so a file that is not exactly as
it was written is not used.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from landmarks.data.stores.tar_files import TarStamp
from landmarks.data.stores.tar_headers import Images
from landmarks.data.stores.tar_members import MAX_IMAGE
from landmarks.errors import LandmarksError
from landmarks.ids import format_id
from landmarks.storage import ChangedError, check_tensors, save_sealed

MAX_TARS = 1 << 16
FORMAT = "landmarks offsets 2"

_COLUMNS: dict[str, np.dtype[Any]] = {
    "ids": np.dtype(np.uint64),
    "tar": np.dtype(np.uint16),
    "block": np.dtype(np.uint32),
    "length": np.dtype(np.uint32),
}


@dataclass(frozen=True)
class IndexedTar:
    """A tar as it was when its headers were read, and how many images it holds."""

    name: str
    stamp: TarStamp
    images: int


@dataclass(frozen=True, eq=False)
class Offsets:
    """Where the N images of a split are, sorted by id, in 18 bytes an image.

    Blocks because images in tars begin at multiples of 512: as many bits for a byte would end at 4 GiB, and twice as
    many would be 20 MB more for the train split.
    """

    tars: tuple[IndexedTar, ...]  # at most 65,536
    ids: NDArray[np.uint64]  # strictly increasing
    tar: NDArray[np.uint16]  # indices into `tars`
    block: NDArray[np.uint32]  # where the bytes of each image begin, in blocks of 512 bytes
    length: NDArray[np.uint32]  # bytes of each image

    def __len__(self) -> int:
        return len(self.ids)


NO_OFFSETS = Offsets((), np.empty(0, np.uint64), np.empty(0, np.uint16), np.empty(0, np.uint32), np.empty(0, np.uint32))


def select(offsets: Offsets, is_kept: Callable[[IndexedTar], bool]) -> Offsets:
    """The images of some of the tars."""
    kept = np.array([is_kept(tar) for tar in offsets.tars], dtype=np.bool_)
    if kept.all():
        return offsets
    renumbered = (np.cumsum(kept) - 1).astype(np.uint16)
    rows = kept[offsets.tar]
    tars = tuple(tar for tar, keep in zip(offsets.tars, kept, strict=True) if keep)
    tar = renumbered[offsets.tar[rows]]
    return Offsets(tars, offsets.ids[rows], tar, offsets.block[rows], offsets.length[rows])


def merge(offsets: Offsets, added: Sequence[tuple[IndexedTar, Images]]) -> tuple[Offsets, dict[str, tuple[str, str]]]:
    """Put tars into the index: the index, and the tars left out because one before them holds one of their images.

    These as name -> (name of the other tar, id of the image).
    """
    if not added:
        return offsets, {}
    tars = (*offsets.tars, *(tar for tar, _ in added))
    images = [part for _, part in added]
    numbers = [np.full(len(part.ids), len(offsets.tars) + i, np.uint16) for i, part in enumerate(images)]
    ids = np.concatenate([offsets.ids, *(part.ids for part in images)])
    order = np.argsort(ids, kind="stable")
    ids = ids[order]
    tar = np.concatenate([offsets.tar, *numbers])[order]
    block = np.concatenate([offsets.block, *(part.blocks for part in images)])[order]
    length = np.concatenate([offsets.length, *(part.lengths for part in images)])[order]
    twice = np.flatnonzero(ids[1:] == ids[:-1])
    # The order is stable: of two with the same id the later tar comes second.
    left_out = {
        tars[tar[row + 1]].name: (tars[tar[row]].name, format_id(ids[row]))
        for row in reversed(twice)  # so that the first image of each tar is told
    }
    merged = Offsets(tars, ids, tar, block, length)
    return select(merged, lambda tar: tar.name not in left_out), left_out


def write_offsets(offsets: Offsets, path: Path) -> None:
    """Put an index at `path`, whole or not at all, also when the machine stops."""
    columns: dict[str, NDArray[Any]] = {name: np.ascontiguousarray(getattr(offsets, name)) for name in _COLUMNS}
    tars = [[tar.name, tar.stamp.size, tar.stamp.version, tar.images] for tar in offsets.tars]
    try:
        save_sealed(path, save_file, columns, {"format": FORMAT, "tars": json.dumps(tars)})
    except (OSError, SafetensorError) as error:
        raise LandmarksError(
            f"{path}: the offset index cannot be written ({error}); make room, or set LANDMARKS_CACHE to a folder that "
            "can be written"
        ) from error


def read_offsets(path: Path) -> Offsets:
    """Map an index. Raises OSError if it cannot be read, ValueError if it is corrupt or of another format."""
    with path.open("rb") as file:  # all arrays come from this one file: by its path it could be another one by now
        try:
            with safe_open(path, framework="numpy"):  # holds the header against the file
                size = int.from_bytes(file.read(8), "little")
                header = json.loads(file.read(size))
            metadata = header.pop("__metadata__", {})
            if metadata.get("format") != FORMAT or header.keys() != _COLUMNS.keys() or not check_tensors(path):
                raise ValueError("it is of another format or version")
            tars = tuple(_tar(*entry) for entry in json.loads(metadata["tars"]))
            columns = {name: _map(file, 8 + size, header[name], dtype) for name, dtype in _COLUMNS.items()}
        except ChangedError as error:
            raise ValueError("it is corrupt: it holds other bytes than were written") from error
        except (SafetensorError, KeyError, TypeError, RecursionError) as error:
            raise ValueError("it is corrupt: its header makes no sense") from error
    offsets = Offsets(tars, **columns)
    _require_sound(offsets)
    return offsets


def _tar(name: str, size: int, version: str, images: int) -> IndexedTar:
    if tuple(map(type, (name, size, version, images))) != (str, int, str, int) or images < 0:
        raise TypeError
    return IndexedTar(name, TarStamp(size, version), images)


def _map(file: BinaryIO, start: int, entry: dict[str, Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    if entry["dtype"] != f"U{8 * dtype.itemsize}":
        raise TypeError
    begin, end = entry["data_offsets"]
    if begin == end:
        return np.empty(0, dtype)
    return np.asarray(np.memmap(file, dtype, "r", start + begin, tuple(entry["shape"])))


def _require_sound(offsets: Offsets) -> None:
    """What reading relies on: checksums find accidents, not files made by other programs."""
    numbers = {len(getattr(offsets, name)) for name in _COLUMNS} | {sum(tar.images for tar in offsets.tars)}
    if len(numbers) != 1 or len(offsets.tars) > MAX_TARS or len(offsets) > np.iinfo(np.int32).max:
        raise ValueError("it is corrupt: lengths do not fit together")
    if len(offsets) and (offsets.tar.max() >= len(offsets.tars) or (offsets.ids[1:] <= offsets.ids[:-1]).any()):
        raise ValueError("it is corrupt: unsorted ids or unknown tars")
    if len(offsets) and (offsets.block.min() < 1 or offsets.length.max() > MAX_IMAGE):
        raise ValueError("it is corrupt: places where no image can be")
