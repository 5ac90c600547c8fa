"""PCA whitening: centre, rotate to the principal axes, keep `dim` of them, and scale down the strong ones.

Jégou and Chum, "Negative Evidences and Co-occurences in Image Retrieval: The Benefit of PCA and Whitening", ECCV
2012, section 4: directions that many images share count less afterwards. It is learned on one split, which should not
be the one that is scored, and applied to all sets of the same model.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from landmarks.errors import LandmarksError
from landmarks.retrieval.blocks import Descriptors, check_rows, gather, prepared_blocks
from landmarks.retrieval.descriptors.descriptor_set import DescriptorSet
from landmarks.retrieval.descriptors.protocol import NOT_COMPARED, ExtractionProtocol
from landmarks.retrieval.descriptors.writer import Precision, write_derived
from landmarks.storage import check_tensors, save_sealed

# Rows summed at once. Fixed: the last bits of the sums depend on it.
ROWS = 8192
# Axes with less than this share of the strongest axis's variance hold only rounding errors of float32.
LEAST_VARIANCE = 1e-10


@dataclass(frozen=True, eq=False)
class Whitening:
    """A learned whitening, see `learn_whitening`.

    Attributes:
        mean: float32 [D].
        projection: float32 [dim, D], one scaled axis per row.
        normalize: whether rows are L2-normalised first.
        power: 0 only rotates and truncates (PCA), 1 gives all kept axes the same variance.
        explained: share of the variance on the kept axes.
        protocol: protocol of the set on which it was learned.
    """

    mean: NDArray[np.float32]
    projection: NDArray[np.float32]
    normalize: bool
    power: float
    explained: float
    protocol: ExtractionProtocol

    @property
    def dim(self) -> int:
        """Number of values of a whitened row."""
        return len(self.projection)

    @cached_property
    def hash(self) -> str:
        """Hash of everything that whitened rows depend on, 16 hex digits."""
        digest = blake2b(f"{self.projection.shape} {self.normalize}".encode(), digest_size=8)
        for array in (self.mean, self.projection):
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()

    def apply(self, rows: Descriptors) -> NDArray[np.float32]:
        """Whiten rows [B, D].

        Returns:
            float32 [B, dim], L2-normalised; NaN for a row that equals the mean.
        """
        centred = gather(rows, np.arange(len(rows)), self.normalize) - self.mean
        white = centred.astype(np.float64) @ self.projection.astype(np.float64).T
        with np.errstate(invalid="ignore"):
            return (white / np.linalg.norm(white, axis=1, keepdims=True)).astype(np.float32)

    def require_fit(self, stored: DescriptorSet) -> None:
        """Raise a LandmarksError unless the set, of whole images or regions, is of the model it was learned on."""
        differences = self.protocol.differences(stored.protocol, ignore=NOT_COMPARED | {"regions"})
        length = len(self.mean)
        if stored.dim % length or (stored.dim != length and not stored.protocol.regions):
            differences.append(f"dimensions: {length} != {stored.dim}")
        if differences:
            raise LandmarksError(
                f"{stored.name}: the whitening was learned on descriptors made with other settings "
                f"({'; '.join(differences)}): learn a whitening on descriptors of this model"
            )


def learn_whitening(stored: DescriptorSet, dim: int, power: float = 1.0, normalize: bool = True) -> Whitening:
    """Learn mean and axes from a set; its rows are read twice in blocks and summed in float64.

    Args:
        stored: set of more than `dim` images to learn from.
        dim: number of axes to keep.
        power: exponent from 0 to 1: an axis of variance v is divided by v^(power / 2).
        normalize: L2-normalise rows first.

    Raises:
        LandmarksError: an argument is out of range, the set holds regions, or it has too few distinct images.
    """
    count, length = stored.descriptors.shape
    if not 1 <= dim <= length or not 0 <= power <= 1:
        raise LandmarksError(
            f"whitening: dim must be from 1 to {length} and power from 0 to 1, got dim={dim}, power={power}"
        )
    if stored.protocol.regions:
        raise LandmarksError(f"{stored.name}: holds regions; learn the whitening on whole images")
    if count <= dim:
        raise LandmarksError(f"{stored.name}: {count} images are too few for {dim} axes; use more, or a smaller dim")

    def blocks() -> Iterator[NDArray[np.float64]]:
        for _, block in prepared_blocks(stored.descriptors, ROWS, stored.name, normalize):
            yield block.astype(np.float64)

    mean, covariance = np.zeros(length), np.zeros((length, length))
    for block in blocks():
        mean += block.sum(axis=0) / count
    for block in blocks():
        block -= mean
        covariance += block.T @ block / count
    variances, axes = np.linalg.eigh(covariance)
    variances, axes = variances[::-1], axes[:, ::-1]
    usable = int((variances > max(LEAST_VARIANCE * variances[0], np.finfo(np.float32).tiny)).sum())
    if usable < dim:
        raise LandmarksError(
            f"{stored.name}: its {count} rows vary along {usable} axes only: use a dim of at most {usable}, or more "
            "varied images"
        )
    kept = axes[:, :dim].T / variances[:dim, None] ** (power / 2)
    # The sign of an axis is arbitrary; this rule chooses the same one on every machine.
    largest = np.take_along_axis(kept, np.abs(kept).argmax(axis=1)[:, None], axis=1)
    kept *= np.sign(largest)
    explained = float(variances[:dim].sum() / variances.sum())
    return Whitening(
        mean.astype(np.float32),
        kept.astype(np.float32, order="C"),
        normalize,
        float(power),
        explained,
        stored.protocol,
    )


def whiten_set(
    folder: str | Path, stored: DescriptorSet, whitening: Whitening, dtype: Precision = "float32"
) -> DescriptorSet:
    """Write a whitened copy of a set; each region of a regional set is whitened separately.

    The protocol of the copy includes the whitening's hash, so that whitened and plain sets are never compared.

    Args:
        folder: folder of the new set; must not exist yet.
        stored: a set of the model on which the whitening was learned.
        whitening: the whitening to apply.
        dtype: type of the values on disk.

    Raises:
        LandmarksError: the set is of another model or has invalid rows, or the folder exists.
    """
    whitening.require_fit(stored)
    check_rows(stored.descriptors, stored.name, whitening.normalize)
    length, regions = len(whitening.mean), stored.dim // len(whitening.mean)

    def make(start: int, stop: int) -> NDArray[np.float32]:
        rows = stored.descriptors[start:stop].reshape(-1, length)
        return whitening.apply(rows).reshape(stop - start, regions * whitening.dim)

    protocol = replace(stored.protocol, weights=f"{stored.protocol.weights} whitened {whitening.hash}")
    return write_derived(folder, stored.ids, regions * whitening.dim, protocol, dtype, make)


FORMAT = "landmarks whitening 1"  # format and version of the files, in their metadata
MAX_BYTES = 1 << 30  # largest file that is read


def save_whitening(whitening: Whitening, path: str | Path) -> None:
    """Write a whitening to a safetensors file, atomically; raise a LandmarksError if it exists."""
    path = Path(path)
    if path.exists():
        raise LandmarksError(f"{path} exists already: choose another name or remove it")
    metadata = {
        "format": FORMAT,
        "normalize": json.dumps(whitening.normalize),
        "power": repr(whitening.power),
        "explained": repr(whitening.explained),
        "protocol": json.dumps(asdict(whitening.protocol)),
    }
    # save_file ignores strides and would write a column-major array in its memory order.
    arrays = {name: np.ascontiguousarray(getattr(whitening, name)) for name in ("mean", "projection")}
    try:
        save_sealed(path, save_file, arrays, metadata)
    except (OSError, SafetensorError) as error:
        raise LandmarksError(f"{path}: could not write the whitening: {error}") from error


def load_whitening(path: str | Path) -> Whitening:
    """Read a file that `save_whitening` wrote; raise a LandmarksError if it is invalid."""
    path = Path(path)
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ValueError(f"larger than {MAX_BYTES} bytes")
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            if metadata.get("format") != FORMAT:
                raise ValueError("another format")
            mean, projection = file.get_tensor("mean"), file.get_tensor("projection")
        normalize, power, explained = (json.loads(metadata[key]) for key in ("normalize", "power", "explained"))
        protocol = metadata["protocol"]
        check_tensors(path)
    except (OSError, ValueError, KeyError, RecursionError, SafetensorError) as error:
        raise LandmarksError(f"{path}: not a valid whitening file: {error}") from error
    _check(path, mean, projection, normalize, power, explained)
    return Whitening(mean, projection, normalize, power, explained, ExtractionProtocol.from_json(protocol, path))


def _check(path: Path, mean: Any, projection: Any, normalize: Any, power: Any, explained: Any) -> None:
    fits = mean.ndim == 1 and projection.ndim == 2 and projection.shape[1] == len(mean) >= len(projection) >= 1
    if not fits or mean.dtype != np.float32 or projection.dtype != np.float32:
        raise LandmarksError(
            f"{path}: mean {mean.dtype} {mean.shape} and projection {projection.dtype} {projection.shape} are not "
            "float32 [D] and [dim, D]"
        )
    if not (np.isfinite(mean).all() and np.isfinite(projection).all()):
        raise LandmarksError(f"{path}: holds NaN or infinity")
    if type(normalize) is not bool or type(power) is not float or type(explained) is not float:
        raise LandmarksError(f"{path}: a setting has the wrong type")
