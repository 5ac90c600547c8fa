"""Ensembles: the descriptors of several models for the same images, joined into one that every stage can use.

Rows are L2-normalised, multiplied by their weight, concatenated, and divided by the length of the weight vector. The
cosine of two joined rows is then Σ w_i² cos_i / Σ w_i², a weighted mean of the models' cosines. The second place of the
Google landmark retrieval challenge 2019 joins six models in this way.
"""

import json
import logging
from collections.abc import Sequence
from dataclasses import asdict, replace
from hashlib import blake2b
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from landmarks.errors import LandmarksError
from landmarks.retrieval.blocks import Descriptors, check_matrix, check_rows, row_norms, scales
from landmarks.retrieval.descriptors.descriptor_set import DescriptorSet
from landmarks.retrieval.descriptors.protocol import NOT_COMPARED, ExtractionProtocol
from landmarks.retrieval.descriptors.writer import Precision, write_derived

log = logging.getLogger(__name__)


def join_sets(
    folder: str | Path,
    sets: Sequence[DescriptorSet],
    weights: Sequence[float] | None = None,
    dtype: Precision = "float32",
    max_missing: float = 0.01,
) -> DescriptorSet:
    """Join descriptor sets of several models, image by image, and write the joined set.

    Args:
        folder: folder of the joined set; must not exist yet.
        sets: two or more sets, of any dimensions.
        weights: one for each set, by default 1.
        dtype: type of the values on disk.
        max_missing: largest share of all images that may be missing from a set; such images are left out.

    Returns:
        The joined set of the images that are in all sets, in the order of the first.

    Raises:
        LandmarksError: too many images are missing, weights or rows are invalid, or a set holds regions.
    """
    weights = _checked_weights(weights, [stored.name for stored in sets])
    for stored in sets:
        if stored.protocol.regions:
            raise LandmarksError(f"{stored.name}: holds regions; join only descriptors of whole images")
        check_rows(stored.descriptors, stored.name, normalize=True)
    ids = common_images(sets, max_missing)
    rows = [stored.rows(ids) for stored in sets]

    def make(start: int, stop: int) -> NDArray[np.float32]:
        parts = [one.descriptors[row[start:stop]] for one, row in zip(sets, rows, strict=True)]
        return join_rows(parts, weights)

    protocol = joined_protocol([stored.protocol for stored in sets], weights)
    return write_derived(folder, ids, sum(stored.dim for stored in sets), protocol, dtype, make)


def join_rows(parts: Sequence[Descriptors], weights: Sequence[float] | None = None) -> NDArray[np.float32]:
    """Join descriptors of the same images, row by row.

    Args:
        parts: [N, D_i] each.
        weights: one for each part, by default 1.

    Returns:
        float32 [N, Σ D_i], rows of length one.

    Raises:
        LandmarksError: the parts differ in length, or weights or rows are invalid.
    """
    names = [f"descriptors {place + 1}" for place in range(len(parts))]
    weights = _checked_weights(weights, names)
    for part, name in zip(parts, names, strict=True):
        check_matrix(part, name)
        if len(part) != len(parts[0]):
            raise LandmarksError(f"{name}: has {len(part)} rows, but {names[0]} has {len(parts[0])}")
        check_rows(part, name, normalize=True)
    shares = np.asarray(weights) / np.linalg.norm(weights)
    joined = np.empty((len(parts[0]), sum(part.shape[1] for part in parts)), np.float32)
    column = 0
    for part, share in zip(parts, shares, strict=True):
        place = joined[:, column : column + part.shape[1]]
        np.multiply(part, (share / scales(row_norms(part)))[:, None], out=place, casting="same_kind")
        column += part.shape[1]
    return joined


def common_images(sets: Sequence[DescriptorSet], max_missing: float) -> NDArray[np.uint64]:
    """Return the ids that are in all sets, in the order of the first, and log how many are left out.

    Args:
        sets: one or more sets.
        max_missing: largest share of all ids that may be missing from a set.

    Raises:
        LandmarksError: more ids than that are missing, or no id is in all sets.
    """
    inside = np.all([stored.rows(sets[0].ids) >= 0 for stored in sets], axis=0)
    ids = sets[0].ids[inside]
    total = len(np.unique(np.concatenate([stored.ids for stored in sets])))
    missing = total - len(ids)
    counts = ", ".join(f"{stored.name} {len(stored)}" for stored in sets)
    if not len(ids):
        raise LandmarksError(f"no image is in all of these sets ({counts}): join sets of the same images")
    if missing > max_missing * total:
        raise LandmarksError(
            f"{missing} of {total} images are not in all sets ({counts}), more than {max_missing:.1%}: extract the "
            "missing images, or allow a larger share"
        )
    if missing:
        log.warning("%d of %d images are left out: not all sets have them (%s)", missing, total, counts)
    return ids


def joined_protocol(protocols: Sequence[ExtractionProtocol], weights: Sequence[float]) -> ExtractionProtocol:
    """Return the protocol of a joined set; it names all parts and differs if any part or weight does."""
    relative = [float(f"{weight / weights[0]:.9g}") for weight in weights]
    compared = [
        {key: value for key, value in asdict(protocol).items() if key not in NOT_COMPARED} for protocol in protocols
    ]
    # Names and hashes are joined with +, other keys are those of the first part; the hash covers all of them.
    digest = blake2b(json.dumps([compared, relative], sort_keys=True).encode(), digest_size=8).hexdigest()
    hashes = "+".join(f"{weight:g}*{protocol.weights}" for weight, protocol in zip(relative, protocols, strict=True))

    def merged(values: Sequence[str]) -> str:
        return "+".join(dict.fromkeys(values))

    return replace(
        protocols[0],
        model="+".join(protocol.model for protocol in protocols),
        weights=f"{hashes} ({digest})",
        resize=merged([protocol.resize for protocol in protocols]),
        data=merged([protocol.data for protocol in protocols]),
        split=merged([protocol.split for protocol in protocols]),
        precision=merged([protocol.precision for protocol in protocols]),
    )


def _checked_weights(weights: Sequence[float] | None, names: Sequence[str]) -> Sequence[float]:
    """Return one finite weight above 0 for each of two or more parts, or raise a LandmarksError."""
    if len(names) < 2:
        raise LandmarksError(f"joining takes two or more sets of descriptors, got {len(names)}")
    weights = [1.0] * len(names) if weights is None else list(weights)
    if len(weights) != len(names) or not all(0 < weight < np.inf for weight in weights):
        raise LandmarksError(f"weights must be {len(names)} numbers above 0, one for each set, got {weights}")
    return weights
