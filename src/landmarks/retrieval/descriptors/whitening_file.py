"""A whitening on disk: one safetensors file with two arrays, and the protocol of what it was learned on.

Nothing is unpickled, and lengths are checked against the file before memory is taken.
"""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from landmarks.errors import LandmarksError
from landmarks.retrieval.descriptors.protocol import protocol_from_json
from landmarks.retrieval.descriptors.whitening import Whitening
from landmarks.storage import SEAL, UNSEALED, check_tensors, sealed_tensors

FORMAT = "landmarks whitening 1"
MAX_BYTES = 1 << 30


def save_whitening(whitening: Whitening, path: str | Path) -> None:
    """Write the file, whole or not at all.

    Raises:
        LandmarksError: a file is there already, or it cannot be written.
    """
    path = Path(path)
    if path.exists():
        raise LandmarksError(f"{path} exists already: choose another name or remove it")
    metadata = {
        "format": FORMAT,
        "normalize": json.dumps(whitening.normalize),
        "power": repr(whitening.power),
        "explained": repr(whitening.explained),
        "protocol": json.dumps(asdict(whitening.protocol)),
        SEAL: UNSEALED,
    }
    # save_file would write an array whose columns come first as it lies in memory.
    arrays = {name: np.ascontiguousarray(getattr(whitening, name)) for name in ("mean", "projection")}
    try:
        with sealed_tensors(path) as partial:
            save_file(arrays, partial, metadata)
    except (OSError, SafetensorError) as error:
        raise LandmarksError(f"{path}: could not write the whitening: {error}") from error


def load_whitening(path: str | Path) -> Whitening:
    """Read what `save_whitening` wrote.

    Raises:
        LandmarksError: missing, oversized, damaged or foreign file, arrays that do not fit or are not finite.
    """
    path = Path(path)
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ValueError(f"larger than {MAX_BYTES} bytes")
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            if metadata.get("format") != FORMAT:
                raise ValueError("another format")
            mean, projection = file.get_tensor("mean"), file.get_tensor("projection")
        normalize, power, explained, protocol = (
            json.loads(metadata[key]) for key in ("normalize", "power", "explained", "protocol")
        )
        check_tensors(path)
    except (OSError, ValueError, KeyError, RecursionError, SafetensorError) as error:
        raise LandmarksError(f"{path}: not a readable whitening: {error}") from error
    _check(path, mean, projection, normalize, power, explained)
    return Whitening(mean, projection, normalize, power, explained, protocol_from_json(protocol, path))


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
