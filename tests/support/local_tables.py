"""Tables of local features in memory, of features that came from elsewhere."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from landmarks.models import LocalFeatures
from landmarks.retrieval.local import FeatureColumns, LocalFeatureTable


def table_of(features: Sequence[LocalFeatures], keys: NDArray[np.uint8] | None = None) -> LocalFeatureTable:
    """Without keys, uint8 [n, 16], the images have their numbers, good for one run only."""
    counts = np.array([len(one) for one in features], np.int64)
    if keys is None:
        keys = np.zeros((len(features), 16), np.uint8)
        keys[:, :8] = np.arange(1, len(features) + 1, dtype="<u8").view(np.uint8).reshape(-1, 8)
    columns = FeatureColumns(
        *(np.concatenate([getattr(one, name) for one in features]) for name in ("points", "scales", "descriptors"))
    )
    sizes = np.array([one.size for one in features], np.int32).reshape(-1, 2)
    return LocalFeatureTable(columns, np.cumsum(counts) - counts, counts, sizes, keys)


def features_of(descriptors: NDArray[np.integer]) -> LocalFeatures:
    """Features of one image with these descriptors [n, D], all at one place."""
    count = len(descriptors)
    points = np.zeros((count, 2), np.float32)
    return LocalFeatures(points, np.ones(count, np.float32), descriptors.astype(np.uint8), (9, 9))
