"""Tables of local features in memory, of features that came from elsewhere."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from landmarks.local_features import FeatureKind, LocalFeatures
from landmarks.retrieval.local import FeatureColumns, LocalFeatureTable


def table_of(features: Sequence[LocalFeatures], keys: NDArray[np.uint8] | None = None) -> LocalFeatureTable:
    """Without keys, uint8 [n, 16], the images have their numbers, good for one run only."""
    counts = np.array([len(one) for one in features], np.int64)
    if keys is None:
        keys = np.zeros((len(features), 16), np.uint8)
        keys[:, :8] = np.arange(1, len(features) + 1, dtype="<u8").view(np.uint8).reshape(-1, 8)
    columns = FeatureColumns(
        *(
            np.concatenate([getattr(one, name) for one in features])
            for name in ("points", "scales", "scores", "descriptors")
        ),
        features[0].kind,
    )
    sizes = np.array([one.size for one in features], np.int32).reshape(-1, 2)
    return LocalFeatureTable(columns, np.cumsum(counts) - counts, counts, sizes, keys)


def features_of(descriptors: NDArray[np.integer], kind: FeatureKind | None = None) -> LocalFeatures:
    """Features of one image with these descriptors [n, D], as uint8 unless a kind says otherwise, all at one place."""
    kind = kind or FeatureKind("made up", descriptors.shape[1], "uint8", 1.0)
    ones = np.ones(len(descriptors), np.float32)
    return LocalFeatures(np.zeros((len(ones), 2), np.float32), ones, ones, descriptors.astype(kind.dtype), (9, 9), kind)
