"""The offset index of a split, as a file: which tar holds each image, and where.

It is a safetensors file (https://github.com/huggingface/safetensors#format). Its arrays are memory-mapped, so that all
processes share one copy. Since everything in it can be made again from the tars, a file that is not exactly as it was
written is not used.
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
    """A tar in the index.

    Attributes:
        name: File name, such as `images_000.tar`.
        stamp: Size and version of the tar when its headers were read.
        images: Number of images in it.
    """

    name: str
    stamp: TarStamp
    images: int


@dataclass(frozen=True, eq=False)
class Offsets:
    """The location of the N images of a split in its tars, sorted by id, in 18 bytes per image.

    Positions are stored in blocks of 512 bytes, at which members of tars are aligned: 32-bit byte offsets would end at
    4 GiB, and 64-bit ones would take 20 MB more for the train split.

    Attributes:
        tars: At most 65,536 tars.
        ids: uint64 [N], strictly increasing.
        tar: uint16 [N], indices into `tars`.
        block: uint32 [N], where the bytes of each image begin, in blocks of 512 bytes.
        length: uint32 [N], size of each image, bytes.
    """

    tars: tuple[IndexedTar, ...]
    ids: NDArray[np.uint64]
    tar: NDArray[np.uint16]
    block: NDArray[np.uint32]
    length: NDArray[np.uint32]

    def __len__(self) -> int:
        return len(self.ids)


# The index of no tars.
NO_OFFSETS = Offsets((), np.empty(0, np.uint64), np.empty(0, np.uint16), np.empty(0, np.uint32), np.empty(0, np.uint32))


def select(offsets: Offsets, is_kept: Callable[[IndexedTar], bool]) -> Offsets:
    """Return the index of some of the tars."""
    kept = np.array([is_kept(tar) for tar in offsets.tars], dtype=np.bool_)
    if kept.all():
        return offsets
    renumbered = (np.cumsum(kept) - 1).astype(np.uint16)
    rows = kept[offsets.tar]
    tars = tuple(tar for tar, keep in zip(offsets.tars, kept, strict=True) if keep)
    tar = renumbered[offsets.tar[rows]]
    return Offsets(tars, offsets.ids[rows], tar, offsets.block[rows], offsets.length[rows])


def merge(offsets: Offsets, added: Sequence[tuple[IndexedTar, Images]]) -> tuple[Offsets, dict[str, tuple[str, str]]]:
    """Add tars to the index, leaving out a tar if one of its images is also in an earlier tar.

    Returns:
        The index, and the tars left out: name -> (name of the earlier tar, id of the image).
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
        for row in reversed(twice)  # so that the first image of each tar is reported
    }
    merged = Offsets(tars, ids, tar, block, length)
    return select(merged, lambda tar: tar.name not in left_out), left_out


def write_offsets(offsets: Offsets, path: Path) -> None:
    """Write an index atomically, even if the machine crashes.

    Args:
        offsets: The index.
        path: The file to write.

    Raises:
        LandmarksError: The file cannot be written.
    """
    columns: dict[str, NDArray[Any]] = {name: np.ascontiguousarray(getattr(offsets, name)) for name in _COLUMNS}
    tars = [[tar.name, tar.stamp.size, tar.stamp.version, tar.images] for tar in offsets.tars]
    try:
        save_sealed(path, save_file, columns, {"format": FORMAT, "tars": json.dumps(tars)})
    except (OSError, SafetensorError) as error:
        raise LandmarksError(
            f"{path}: the offset index cannot be written ({error}); free disk space, or set LANDMARKS_CACHE to a "
            "writable folder"
        ) from error


def read_offsets(path: Path) -> Offsets:
    """Map an index. Raises OSError if it cannot be read, ValueError if it is corrupt or of another format."""
    with path.open("rb") as file:  # map from one open file, since another process may replace the path meanwhile
        try:
            with safe_open(path, framework="numpy"):  # checks the header against the file
                size = int.from_bytes(file.read(8), "little")
                header = json.loads(file.read(size))
            metadata = header.pop("__metadata__", {})
            if metadata.get("format") != FORMAT or header.keys() != _COLUMNS.keys() or not check_tensors(path):
                raise ValueError("it is of another format or version")
            tars = tuple(_tar(*entry) for entry in json.loads(metadata["tars"]))
            columns = {name: _map(file, 8 + size, header[name], dtype) for name, dtype in _COLUMNS.items()}
        except ChangedError as error:
            raise ValueError("it is corrupt: its checksum is wrong") from error
        except (SafetensorError, KeyError, TypeError, RecursionError) as error:
            raise ValueError("it is corrupt: its header is invalid") from error
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
    """Check what reading relies on: checksums detect accidents, not files made by other programs."""
    numbers = {len(getattr(offsets, name)) for name in _COLUMNS} | {sum(tar.images for tar in offsets.tars)}
    if len(numbers) != 1 or len(offsets.tars) > MAX_TARS or len(offsets) > np.iinfo(np.int32).max:
        raise ValueError("it is corrupt: lengths do not fit together")
    if len(offsets) and (offsets.tar.max() >= len(offsets.tars) or (offsets.ids[1:] <= offsets.ids[:-1]).any()):
        raise ValueError("it is corrupt: unsorted ids or unknown tars")
    if len(offsets) and (offsets.block.min() < 1 or offsets.length.max() > MAX_IMAGE):
        raise ValueError("it is corrupt: impossible positions or lengths of images")
