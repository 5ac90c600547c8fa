import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from landmarks.data import (
    GroundTruth,
    ImageSet,
    ImageTable,
    ValidationSize,
    select_gallery,
    select_index,
    select_queries,
)
from landmarks.data.stores import FolderStore
from landmarks.errors import LandmarksError
from landmarks.metrics import RecognitionSolution, RetrievalSolution


def numbers(*values: int) -> np.ndarray:
    return np.array(values, dtype=np.uint64)


def image_set(count: int, landmarks: list[int] | None = None) -> ImageSet:
    ids = np.arange(count, dtype=np.uint64)
    if landmarks is None:
        return ImageSet(ImageTable.unlabelled(ids), FolderStore("."))
    names = np.array([str(i) for i in range(max(landmarks) + 1)])
    return ImageSet(ImageTable(ids, np.array(landmarks, dtype=np.int32), names), FolderStore("."))


RETRIEVAL = RetrievalSolution(
    numbers(2, 4), np.array([True, False]), np.array([0, 2, 3]), numbers(10, 11, 11), numbers(0, 1, 3)
)
RECOGNITION = RecognitionSolution(
    numbers(4, 5), np.array([True, False]), np.array([0, 1, 1]), np.array([7]), numbers(0, 1)
)
NO_TRUTH = GroundTruth()


@pytest.mark.parametrize(
    ("truth", "queries", "expected"),
    [
        (GroundTruth(RETRIEVAL, RECOGNITION), "scored", [2, 4, 5]),
        (GroundTruth(RETRIEVAL, None), "scored", [2, 4]),
        (GroundTruth(None, RECOGNITION), "scored", [4, 5]),
        (NO_TRUTH, "scored", [0, 1, 2, 3, 4, 5]),
        (GroundTruth(RETRIEVAL, RECOGNITION), "all", [0, 1, 2, 3, 4, 5]),
    ],
)
def test_scored_queries(truth: GroundTruth, queries: str, expected: list[int]) -> None:
    chosen = select_queries(image_set(6), truth, ValidationSize(queries))  # type: ignore[arg-type]
    assert chosen.table.ids.tolist() == expected


def test_index_keeps_every_correct_image() -> None:
    images, truth = image_set(100), GroundTruth(RETRIEVAL, None)
    assert select_index(images, truth, ValidationSize(), 0) is images
    for distractors in (0, 5, 98, 1000):
        size = ValidationSize(index_distractors=distractors)
        chosen = select_index(images, truth, size, 0).table.ids
        assert {10, 11} <= set(chosen.tolist())
        assert len(chosen) == min(100, 2 + distractors) and (np.diff(chosen.astype(int)) > 0).all()
        assert np.array_equal(chosen, select_index(images, truth, size, 0).table.ids)
    some = [select_index(images, truth, ValidationSize(index_distractors=5), s).table.ids.sum() for s in (0, 1)]
    assert some[0] != some[1]


@given(
    landmarks=st.lists(st.integers(0, 6), min_size=1, max_size=60), wanted=st.integers(0, 70), seed=st.integers(0, 9)
)
def test_gallery_sample_is_even_over_landmarks(landmarks: list[int], wanted: int, seed: int) -> None:
    images = image_set(len(landmarks), landmarks)
    chosen = select_gallery(images, ValidationSize(gallery_images=wanted), seed).table
    assert len(chosen) == min(wanted, len(landmarks))
    taken, whole = chosen.counts(), images.table.counts()
    if len(chosen):
        # A landmark has fewer than another only where it has no more images to give.
        assert all(count >= taken.max() - 1 or count == total for count, total in zip(taken, whole, strict=True))


def test_negative_sizes() -> None:
    with pytest.raises(LandmarksError, match=r"data\.validation\.index_distractors is -1"):
        ValidationSize(index_distractors=-1)
