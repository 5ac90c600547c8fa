"""How alike pictures are: the released `test_retrieval`, for any number of pictures.

Theirs printed the cosines of the picture 0.jpg with 1.jpg, 2.jpg and 3.jpg: the descriptors as they leave the network,
of pictures sized as in retrieval (see `landmarks.data.images.resize.resize_released`).
"""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from landmarks.errors import LandmarksError
from landmarks.interop.images.files import read_picture
from landmarks.interop.images.models import Describer
from landmarks.interop.images.names import shown


def describe_pictures(describer: Describer, paths: Iterable[str | Path]) -> NDArray[np.float32]:
    """Describe pictures, one at a time.

    Args:
        describer: see `landmarks.interop.images.models.open_describer`.
        paths: N pictures of any sizes; `check_pictures` names all that cannot be used before.

    Returns:
        float32 [N, D], as the network gives them; nothing is normalised.

    Raises:
        LandmarksError: names the first picture that cannot be used, or whose descriptor has no direction.
    """
    rows = []
    for path in paths:
        rows.append(describer.network(describer.resize(read_picture(path))))
        if not np.isfinite(rows[-1]).all() or not rows[-1].any():
            raise LandmarksError(
                f"{shown(path)}: {describer.name} gives a descriptor that is not finite, or nothing but zeros; its "
                "training has diverged, or its weights are damaged"
            )
    return np.stack(rows) if rows else np.empty((0, 0), np.float32)


def similarities(descriptors: NDArray[np.floating]) -> NDArray[np.float64]:
    """The cosines of the first picture with each of the others.

    Args:
        descriptors: [N, D], none of them zero, N at least 1.

    Returns:
        float64 [N - 1], in [-1, 1].
    """
    rows = descriptors.astype(np.float64)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return np.clip(rows[1:] @ rows[0], -1.0, 1.0)  # rounding may have passed 1
