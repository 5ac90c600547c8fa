import numpy as np

from landmarks.models.local_features import LocalFeatures
from landmarks.retrieval.local import LocalFeatureTable, StrongestFeatures

COUNTS = (3, 0, 5, 1)


def table() -> LocalFeatureTable:
    """Descriptors whose two elements are the picture and the place of the feature in it."""
    return LocalFeatureTable.of_features(
        [
            LocalFeatures(
                np.zeros((count, 2), np.float32),
                np.ones(count, np.float32),
                np.stack([np.full(count, picture), np.arange(count)], axis=1).astype(np.uint8).reshape(count, 2),
                (9, 9),
            )
            for picture, count in enumerate(COUNTS)
        ]
    )


def test_each_image_gives_its_first_features() -> None:
    strongest = StrongestFeatures(table(), 2)
    assert len(strongest) == 5 and strongest.dim == 2
    assert strongest.starts.tolist() == [0, 2, 2, 4, 5]
    assert strongest.rows(0, 5).tolist() == [[0, 0], [0, 1], [2, 0], [2, 1], [3, 0]]
    assert strongest.at(np.array([4, 1])).tolist() == [[3, 0], [0, 1]]
    assert strongest.images(np.arange(5)).tolist() == [0, 0, 2, 2, 3]


def test_an_order_of_its_own() -> None:
    strongest = StrongestFeatures(table().take(np.array([2, 0])), 4)
    assert strongest.rows(3, 6).tolist() == [[2, 3], [0, 0], [0, 1]]
    assert len(StrongestFeatures(table().take(np.array([1])), 4)) == 0
