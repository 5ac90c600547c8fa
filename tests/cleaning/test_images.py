from dataclasses import replace

import numpy as np
import pytest

from labelled import PROTOCOL, labelled
from landmarks.cleaning import match
from landmarks.errors import LandmarksError
from landmarks.retrieval.descriptors import DescriptorSet


def test_images_are_sorted_by_landmark_and_id_with_their_descriptors() -> None:
    table, embedded, _ = labelled([3, 0, 5, 1], wrong=2)
    images = match(table, embedded)
    keys = list(zip(images.landmarks.tolist(), images.ids.tolist(), strict=True))
    assert keys == sorted(zip(table.landmarks.tolist(), table.ids.tolist(), strict=True))
    assert images.counts.tolist() == np.bincount(table.landmarks, minlength=4).tolist()
    for landmark, (begin, end) in enumerate(zip(images.starts[:-1], images.starts[1:], strict=True)):
        assert (images.landmarks[begin:end] == landmark).all()
    expected = np.asarray(embedded.descriptors)[embedded.rows(images.ids)]
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    some = np.array([7, 2, 2, 5])
    assert np.allclose(images.read(slice(0, 9)), expected, atol=1e-6)
    assert np.allclose(images.read(some), expected[some], atol=1e-6)


def test_images_without_descriptor_or_landmark_are_left_out() -> None:
    table, embedded, _ = labelled([4, 4])
    fewer = DescriptorSet(embedded.ids[:5], embedded.descriptors[:5], PROTOCOL)
    images = match(table, fewer)
    assert (len(images), images.not_embedded) == (5, 3) and set(images.ids) == set(fewer.ids)
    landmarks = table.landmarks.copy()
    landmarks[table.find(fewer.ids[:2])] = -1
    images = match(replace(table, landmarks=landmarks), fewer)
    assert (len(images), images.not_embedded) == (3, 3)


def test_sets_that_do_not_fit_are_named() -> None:
    table, embedded, _ = labelled([4, 4])
    other = replace(PROTOCOL, data="demo", split="index")
    shifted = DescriptorSet(embedded.ids + np.uint64(6), embedded.descriptors, other, "B/index")
    with pytest.raises(LandmarksError, match=r"B/index: 6 of its 8 images are not in .* was made of demo, index"):
        match(table, shifted)
    regions = DescriptorSet(embedded.ids, embedded.descriptors, replace(PROTOCOL, regions=2), "B")
    with pytest.raises(LandmarksError, match="descriptors of regions"):
        match(table, regions)
    with pytest.raises(LandmarksError, match="none of its images has a landmark"):
        match(replace(table, landmarks=np.full(8, -1, np.int32)), embedded)


@pytest.mark.parametrize(("value", "what"), [(np.nan, "NaN or infinity"), (0.0, "only zeros")])
def test_invalid_rows_are_refused(value: float, what: str) -> None:
    table, embedded, _ = labelled([4, 4])
    matrix = np.array(embedded.descriptors)
    matrix[[2, 6]] = value
    with pytest.raises(LandmarksError, match=f"2 of 8 rows hold {what}, the first is row 2"):
        match(table, DescriptorSet(embedded.ids, matrix, PROTOCOL))
