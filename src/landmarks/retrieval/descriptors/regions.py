"""Regional descriptors on disk: several rows a picture, in the order of the descriptors of whole pictures.

A set of regions is an ordinary descriptor set whose rows hold the R regions of a picture one after another. The whole
GLDv2 index with R = 14 regions of 512 float16 values is 11 GB, so regions stay memory-mapped and are read in parts.
"""

import numpy as np
from numpy.typing import NDArray

from landmarks.errors import LandmarksError
from landmarks.retrieval.blocks import Descriptors, check_rows, gather, row_norms
from landmarks.retrieval.descriptors.descriptor_set import DescriptorSet


def as_regions(described: DescriptorSet, region_dim: int) -> Descriptors:
    """The regions of a set [N, R, D], a view of its matrix [N, R·D] where that lies.

    Args:
        described: rows of R regions one after another.
        region_dim: D, the length of one region's descriptor; that of the whole picture's.

    Raises:
        LandmarksError: a row is not a whole number of regions.
    """
    if region_dim < 1 or described.dim % region_dim:
        raise LandmarksError(
            f"{described.name}: rows of {described.dim} values are not regions of {region_dim}; "
            "are they regions of another model?"
        )
    return described.descriptors.reshape(len(described), -1, region_dim)


def regions_of(whole: DescriptorSet, regions: DescriptorSet) -> Descriptors:
    """The regions [N, R, D] of the pictures of `whole`, in its order.

    Where both sets hold the same pictures in the same order, as extraction writes them, this is a view of the file;
    otherwise it is a copy in memory.

    Raises:
        LandmarksError: pictures without regions (count and first id), or rows that are not regions of this length.
    """
    found = as_regions(regions, whole.dim)
    if np.array_equal(whole.ids, regions.ids):
        return found
    rows = regions.rows(whole.ids)
    missing = np.flatnonzero(rows < 0)
    if len(missing):
        raise LandmarksError(
            f"{regions.name}: no regions of {len(missing)} of the {len(whole)} pictures of {whole.name}, the first is "
            f"{int(whole.ids[missing[0]]):016x}; extract both together"
        )
    return found[rows]


def check_regions(regions: Descriptors, name: str) -> None:
    """Refuse anything but a float32 or float16 array [N, R, D] with R, D > 0; values are not read.

    Raises:
        LandmarksError: other rank or dtype, or no regions.
    """
    if regions.ndim != 3 or 0 in regions.shape[1:]:
        raise LandmarksError(f"{name}: expected an array [N, R, D], got shape {regions.shape}")
    if regions.dtype not in (np.float32, np.float16):
        raise LandmarksError(f"{name}: expected float32 or float16, got {regions.dtype}")


def gather_regions(regions: Descriptors, images: NDArray[np.integer], name: str) -> NDArray[np.float32]:
    """All regions of the named images, float32 [len(images), R, D], each L2-normalised.

    Raises:
        LandmarksError: a region of zeros, NaN or infinity; the message counts all of the set by region, R an image.
    """
    found = np.asarray(regions[images])
    flat = found.reshape(-1, found.shape[-1])
    norms = row_norms(flat)
    if not np.all((norms >= np.finfo(np.float32).tiny) & (norms < np.inf)):
        check_rows(regions.reshape(-1, regions.shape[-1]), name, normalize=True)
    return gather(flat, np.arange(len(flat))).reshape(found.shape)
