import logging
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from landmarks.errors import LandmarksError
from landmarks.retrieval.descriptors import (
    DescriptorSet,
    ExtractionProtocol,
    common_images,
    join_rows,
    join_sets,
    joined_protocol,
)

A = ExtractionProtocol("res152", "aa11", 448, "aspect", data="gldv2", split="index", versions={"torch": "2"})
B = ExtractionProtocol("inception", "bb22", 544, "aspect", (1.0, 1.4), data="gldv2", split="index")


def made(ids, dim, protocol, seed, dtype=np.float32) -> DescriptorSet:
    rows = np.random.default_rng(seed).standard_normal((len(ids), dim)).astype(dtype)
    return DescriptorSet(np.array(ids, np.uint64), rows, protocol, protocol.model)


def cosines(x, y):
    x, y = (z / np.linalg.norm(z, axis=1, keepdims=True) for z in (x.astype(np.float64), y.astype(np.float64)))
    return x @ y.T


def _of_length_two(rows):
    return (2 * rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@given(st.lists(st.tuples(st.integers(1, 9), st.floats(0.01, 100)), min_size=2, max_size=4), st.integers(0, 2**32 - 1))
def test_the_cosine_is_the_mean_of_cosines_with_squared_weights(parts, seed):
    rng = np.random.default_rng(seed)
    # Lengths of two: rows whose length is nearly one count as normalised and are left as they are.
    queries, index = ([_of_length_two(rng.standard_normal((n, dim))) for dim, _ in parts] for n in (3, 5))
    weights = [weight for _, weight in parts]
    joined = join_rows(queries, weights), join_rows(index, weights)
    np.testing.assert_allclose(np.linalg.norm(joined[0], axis=1), 1, atol=1e-6)
    expected = sum(w**2 * cosines(q, x) for w, q, x in zip(weights, queries, index, strict=True))
    np.testing.assert_allclose(cosines(*joined), expected / sum(w**2 for w in weights), atol=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_joins_the_images_that_all_sets_have(tmp_path, dtype, caplog):
    first, second = made([7, 3, 9, 5], 4, A, 0), made([5, 9, 1, 7], 3, B, 1, np.float16)
    with caplog.at_level(logging.WARNING):
        joined = join_sets(tmp_path / "joined", [first, second], [1, 0.5], dtype, max_missing=0.5)
    assert joined.ids.tolist() == [7, 9, 5]
    assert "2 of 5 images are left out: not all sets have them (res152 4, inception 4)" in caplog.text
    expected = join_rows([first.descriptors[[0, 2, 3]], second.descriptors[[3, 1, 0]]], [1, 0.5])
    np.testing.assert_array_equal(joined.descriptors, expected.astype(dtype))
    assert joined.protocol.model == "res152+inception" and joined.protocol.data == "gldv2"


def test_the_protocol_differs_where_any_part_or_weight_does():
    joined = joined_protocol([A, B], [1, 0.5])
    assert joined.weights.startswith("1*aa11+0.5*bb22 (")
    assert joined.split == "index" and joined.versions == A.versions
    alike = joined_protocol([replace(A, split="test", versions={}), replace(B, split="test")], [2, 1])
    assert not joined.differences(alike)  # only the ratio of weights counts
    for other in (
        joined_protocol([A, B], [1, 0.6]),
        joined_protocol([B, A], [0.5, 1]),
        joined_protocol([A, replace(B, input_size=448)], [1, 0.5]),
        joined_protocol([A, replace(B, flip=True)], [1, 0.5]),
        joined_protocol([A, replace(B, weights="cc")], [1, 0.5]),
    ):
        assert joined.differences(other)


def test_too_few_common_images_are_refused():
    first, second = made(range(100), 2, A, 0), made(range(2, 102), 2, B, 1)
    with pytest.raises(LandmarksError, match=r"4 of 102 images are not in all sets .* more than 1\.0%"):
        common_images([first, second], 0.01)
    assert len(common_images([first, second], 0.04)) == 98
    with pytest.raises(LandmarksError, match="no image is in all of these sets"):
        common_images([first, made([200], 2, B, 1)], 1.0)


@pytest.mark.parametrize("weights", [[1.0], [1.0, 0.0], [1.0, -1.0], [1.0, float("nan")], [1.0, float("inf")]])
def test_impossible_weights_are_refused(weights):
    with pytest.raises(LandmarksError, match="weights must be 2 numbers above 0"):
        join_rows([np.ones((1, 2), np.float32)] * 2, weights)


def test_bad_sets_are_refused_before_anything_is_written(tmp_path):
    good, bad = made(range(4), 2, A, 0), made(range(4), 2, B, 1)
    with pytest.raises(LandmarksError, match="two or more sets"):
        join_sets(tmp_path / "joined", [good])
    with pytest.raises(LandmarksError, match="inception: holds regions"):
        join_sets(tmp_path / "joined", [good, replace(bad, protocol=replace(B, regions=3))])
    bad.descriptors[2] = 0
    with pytest.raises(LandmarksError, match="inception: 1 of 4 rows hold only zeros, the first is row 2"):
        join_sets(tmp_path / "joined", [good, bad])
    with pytest.raises(LandmarksError, match="descriptors 2: 1 of 4 rows"):
        join_rows([good.descriptors, bad.descriptors])
    with pytest.raises(LandmarksError, match="descriptors 2: has 3 rows, but descriptors 1 has 4"):
        join_rows([good.descriptors, good.descriptors[:3]])
    assert not list(tmp_path.iterdir())
