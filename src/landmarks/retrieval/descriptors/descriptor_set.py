"""A finished set of descriptors on disk: ids, a memory-mapped matrix, and the protocol of their extraction.

It is a folder of plain ``.npy`` files and a JSON file, readable with NumPy alone; `DescriptorWriter` writes it. It has
no rows for images that could not be read. Each file is checked against its own header before memory is allocated and
against the checksums in ``checksums.txt`` before it is used, and nothing is unpickled.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from landmarks.errors import LandmarksError
from landmarks.ids import find_sorted, format_id
from landmarks.retrieval.blocks import Descriptors, check_rows, gather, row_norms
from landmarks.retrieval.descriptors.protocol import ExtractionProtocol
from landmarks.storage import ChangedError, check_folder, map_array, read_header

IDS = "ids"
DESCRIPTORS = "descriptors"
STAMPS = "stamps"
PROTOCOL_FILE = "protocol.json"
PARTIAL_SUFFIX = ".partial"


@dataclass(frozen=True)
class DescriptorSet:
    """Descriptors of images, one row per image.

    Attributes:
        ids: uint64 [N], each once.
        descriptors: float32 or float16 [N, D], as the network computed them; usually memory-mapped.
        protocol: how they were extracted.
        name: origin of the set, for messages.
        stamps: uint64 [N], versions of the image files, see `ImageSet.stamps`; None if not recorded.
    """

    ids: NDArray[np.uint64]
    descriptors: Descriptors
    protocol: ExtractionProtocol
    name: str = "descriptor set"
    stamps: NDArray[np.uint64] | None = None

    def __post_init__(self) -> None:
        if self.ids.ndim != 1 or self.descriptors.ndim != 2 or len(self.ids) != len(self.descriptors):
            raise LandmarksError(
                f"{self.name}: ids {self.ids.shape} and descriptors {self.descriptors.shape} must be [N] and [N, D]"
            )
        refuse_repeats(self.ids, self.name)

    @staticmethod
    def open(folder: str | Path, check: bool = True) -> "DescriptorSet":
        """Open a finished set; the matrix stays on disk.

        Args:
            folder: folder of the set.
            check: read all of it once and compare it with its checksums.

        Raises:
            LandmarksError: the set is missing, unfinished, truncated, or does not match its headers or checksums.
        """
        folder = Path(folder)
        if not folder.is_dir():
            partial = folder.with_name(folder.name + PARTIAL_SUFFIX)
            hint = " (only an unfinished one: run the same extraction again)" if partial.is_dir() else ""
            raise LandmarksError(f"{folder}: no descriptor set here{hint}")
        protocol = ExtractionProtocol.read(folder / PROTOCOL_FILE)
        ids = _map_array(folder / f"{IDS}.npy", 1, (np.dtype(np.uint64),))
        matrix = _map_array(folder / f"{DESCRIPTORS}.npy", 2, (np.dtype(np.float32), np.dtype(np.float16)))
        path = folder / f"{STAMPS}.npy"
        stamps = np.array(_map_array(path, 1, (np.dtype(np.uint64),))) if path.exists() else None
        if stamps is not None and len(stamps) != len(ids):
            raise LandmarksError(f"{path}: {len(stamps)} stamps for {len(ids)} images; extract the set again")
        found = DescriptorSet(np.array(ids), matrix, protocol, str(folder), stamps)
        if check:
            try:
                check_folder(folder)
            except (ChangedError, OSError) as error:
                raise LandmarksError(f"{error}; remove the set and extract it again") from error
        return found

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def dim(self) -> int:
        """D, the number of values per descriptor."""
        return self.descriptors.shape[1]

    @cached_property
    def _by_id(self) -> tuple[NDArray[np.uint64], NDArray[np.intp]]:
        """Return the ids in ascending order, and the row of each."""
        order = np.argsort(self.ids, kind="stable")
        return self.ids[order], order

    def rows(self, ids: NDArray[np.uint64]) -> NDArray[np.int64]:
        """Return the row of every id, int64 [len(ids)]; -1 where the set has no descriptor."""
        ordered, rows = self._by_id
        places = find_sorted(ordered, ids)
        return np.where(places >= 0, rows[places], -1)

    def changed(self, ids: NDArray[np.uint64], stamps: NDArray[np.uint64]) -> NDArray[np.uint64]:
        """Return the ids of the set's images whose files have changed since the extraction, uint64 [n].

        Args:
            ids: uint64 [M]; images of the set that are not among them are ignored.
            stamps: uint64 [M], the current stamps of these images. A set without stamps counts as unchanged.
        """
        if self.stamps is None:
            return np.empty(0, np.uint64)
        rows = self.rows(ids)
        other = (rows >= 0) & (self.stamps[rows] != stamps)
        return ids[other]

    def require_same_protocol(self, other: "DescriptorSet") -> None:
        """Raise a LandmarksError if the descriptors of the two sets are not comparable."""
        differences = self.protocol.differences(other.protocol)
        if self.dim != other.dim:
            differences.append(f"dimensions: {self.dim} != {other.dim}")
        if differences:
            raise LandmarksError(
                f"{self.name} and {other.name} were made with different settings ({'; '.join(differences)}): "
                "extract one of them again"
            )


def refuse_repeats(ids: NDArray[np.uint64], name: str) -> None:
    """Raise a LandmarksError if an id occurs twice."""
    ordered = np.sort(ids)
    twice = ordered[1:][ordered[1:] == ordered[:-1]]
    if len(twice):
        raise LandmarksError(f"{name}: {len(twice)} ids occur twice, the first is {format_id(twice[0])}")


def _map_array(path: Path, rank: int, dtypes: tuple[np.dtype[np.generic], ...]) -> NDArray[Any]:
    """Memory-map a ``.npy`` file after checking its header, dtype and length."""
    try:
        with path.open("rb") as file:
            header = read_header(file)
        shape, dtype = header.shape, header.dtype
        if len(shape) != rank or min(shape) < 1 or dtype not in dtypes:
            raise ValueError(f"expected {rank} dimensions of {' or '.join(map(str, dtypes))}, found {dtype} {shape}")
        return map_array(path, dtype, shape)
    except (OSError, ValueError) as error:
        raise LandmarksError(f"{path}: corrupt or not part of a set: {error}; extract the set again") from error


def as_regions(stored: DescriptorSet, region_dim: int) -> Descriptors:
    """Return the regions of a set [N, R, D], where D is `region_dim`, as a view of its matrix [N, R·D]."""
    if region_dim < 1 or stored.dim % region_dim:
        raise LandmarksError(
            f"{stored.name}: rows of {stored.dim} values cannot be split into regions of {region_dim}; "
            "extract the regions with the model of the whole images"
        )
    return stored.descriptors.reshape(len(stored), -1, region_dim)


def regions_of(whole: DescriptorSet, regions: DescriptorSet) -> Descriptors:
    """Return the regions of the images of a set, in its order.

    Args:
        whole: descriptors [N, D] of whole images.
        regions: regional descriptors of at least these images.

    Returns:
        [N, R, D]; a view of the file if both sets hold the same images in the same order, as extraction writes them,
        otherwise a copy in memory.

    Raises:
        LandmarksError: images without regions, or regions of another dimension.
    """
    found = as_regions(regions, whole.dim)
    if np.array_equal(whole.ids, regions.ids):
        return found
    rows = regions.rows(whole.ids)
    missing = np.flatnonzero(rows < 0)
    if len(missing):
        raise LandmarksError(
            f"{regions.name}: has no regions for {len(missing)} of the {len(whole)} images of {whole.name}, the first "
            f"is {format_id(whole.ids[missing[0]])}; extract both together"
        )
    return found[rows]


def gather_regions(regions: Descriptors, images: NDArray[np.integer], name: str) -> NDArray[np.float32]:
    """Return all regions of some images, float32 [B, R, D], L2-normalised; errors count regions of the whole set."""
    found = np.asarray(regions[images])
    flat = found.reshape(-1, found.shape[-1])
    norms = row_norms(flat)
    if not np.all((norms >= np.finfo(np.float32).tiny) & (norms < np.inf)):
        check_rows(regions.reshape(-1, regions.shape[-1]), name, normalize=True)
    return gather(flat, np.arange(len(flat))).reshape(found.shape)
