import numpy as np
import pytest

from landmarks.errors import LandmarksError
from landmarks.retrieval.descriptors import (
    DescriptorSet,
    DescriptorWriter,
    ExtractionProtocol,
    as_regions,
    check_regions,
    gather_regions,
    regions_of,
)

PROTOCOL = ExtractionProtocol("res152", "ab12", 448, "released")


def described(ids, dim, name="set"):
    rows = np.random.default_rng(dim).standard_normal((len(ids), dim)).astype(np.float32)
    return DescriptorSet(np.array(ids, np.uint64), rows, PROTOCOL, name)


def test_regions_of_a_file_are_a_view_of_it(tmp_path):
    rows = np.arange(60, dtype=np.float32).reshape(4, 15)
    with DescriptorWriter(tmp_path / "regions", 4, 15, PROTOCOL) as writer:
        writer.add(np.arange(4, dtype=np.uint64), rows)
        writer.finish()
    opened = DescriptorSet.open(tmp_path / "regions")
    found = regions_of(described(range(4), 3), opened)
    assert found.shape == (4, 5, 3) and np.shares_memory(found, opened.descriptors)
    np.testing.assert_array_equal(found[2, 1], rows[2, 3:6])


def test_regions_follow_the_order_of_the_whole_pictures():
    regions = described([5, 3, 9, 1], 6, "parts")
    found = regions_of(described([9, 5], 2), regions)
    np.testing.assert_array_equal(found, regions.descriptors.reshape(4, 3, 2)[[2, 0]])


def test_pictures_without_regions_and_rows_of_other_models_are_named():
    with pytest.raises(LandmarksError, match=r"parts: no regions of 2 of the 3 pictures of all, .* 0000000000000007"):
        regions_of(described([7, 5, 8], 2, "all"), described([5], 6, "parts"))
    with pytest.raises(LandmarksError, match="parts: rows of 7 values are not regions of 2"):
        as_regions(described([1], 7, "parts"), 2)


def test_gathered_regions_have_length_one():
    regions = np.random.default_rng(0).standard_normal((6, 4, 3)).astype(np.float16)
    found = gather_regions(regions, np.array([5, 0]), "regions")
    expected = regions[[5, 0]].astype(np.float32)
    np.testing.assert_allclose(found, expected / np.linalg.norm(expected, axis=2, keepdims=True), atol=1e-6)
    assert found.dtype == np.float32


@pytest.mark.parametrize(("value", "what"), [(0, "only zeros"), (np.nan, "NaN or infinity")])
def test_a_region_without_direction_is_named(value, what):
    regions = np.ones((6, 4, 3), np.float32)
    regions[3, 2] = value
    gather_regions(regions, np.array([0, 5]), "regions")
    with pytest.raises(LandmarksError, match=f"regions: 1 of 24 rows hold {what}, the first is row 14"):
        gather_regions(regions, np.array([3]), "regions")


def test_other_arrays_are_refused():
    for wrong in (np.ones((2, 3), np.float32), np.ones((2, 0, 3), np.float32), np.ones((2, 3, 4))):
        with pytest.raises(LandmarksError, match="query regions: expected"):
            check_regions(wrong, "query regions")
