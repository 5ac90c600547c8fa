import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from landmarks.errors import LandmarksError
from landmarks.retrieval.local import Matcher


def descriptors(count: int, dim: int, seed: int, levels: int = 256) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, levels, (count, dim)).astype(np.uint8)


def brute_force(a: np.ndarray, b: np.ndarray, match: str, ratio: float) -> set[tuple[int, int]]:
    distances = np.sqrt(((a[:, None].astype(np.int64) - b[None].astype(np.int64)) ** 2).sum(axis=2))
    pairs = []
    for i, row in enumerate(distances if len(b) else []):
        j = int(row.argmin())
        if match == "mutual":
            keep = distances[:, j].min() == row[j]
        else:
            keep = len(b) > 1 and row[j] ** 2 < np.float32(ratio**2) * np.float32(np.delete(row, j).min() ** 2)
        if keep:
            pairs.append((row[j], i, j))
    taken: dict[int, tuple[int, int]] = {}
    for _, i, j in sorted(pairs):
        taken.setdefault(j, (i, j))
    return set(taken.values())


@given(
    st.integers(0, 30),
    st.integers(0, 30),
    st.integers(1, 8),
    st.integers(0, 10_000),
    st.sampled_from(["mutual", "ratio"]),
    st.sampled_from([2, 5, 256]),
)
def test_pairs_are_those_of_brute_force(n, m, dim, seed, match, levels):
    a, b = descriptors(n, dim, seed, levels), descriptors(m, dim, seed + 1, levels)
    found = Matcher(match, 0.8)(a, b)
    pairs = list(zip(found.first.tolist(), found.second.tolist(), strict=True))
    assert set(pairs) == brute_force(a, b, match, 0.8)
    assert len({i for i, _ in pairs}) == len({j for _, j in pairs}) == len(pairs)
    assert pairs == sorted(pairs)
    for (i, j), distance in zip(pairs, found.distances, strict=True):
        assert distance == pytest.approx(np.linalg.norm(a[i].astype(float) - b[j].astype(float)), rel=1e-6)


def test_extreme_descriptors_of_full_length_are_exact():
    a = np.vstack([np.full((1, 256), 255), np.zeros((1, 256))]).astype(np.uint8)
    found = Matcher("mutual")(a, a[::-1].copy())
    assert found.first.tolist() == [0, 1] and found.second.tolist() == [1, 0]
    assert found.distances.tolist() == [0, 0]


def test_copies_of_one_descriptor_are_no_clear_match():
    a = descriptors(5, 16, 0)
    assert len(Matcher("ratio", 0.9)(a, np.vstack([a, a]))) == 0
    assert len(Matcher("mutual")(a, np.vstack([a, a]))) == 5


def test_bad_input_is_refused():
    with pytest.raises(LandmarksError, match="descriptors"):
        Matcher()(descriptors(3, 8, 0), descriptors(3, 9, 0))
    with pytest.raises(LandmarksError, match="D up to"):
        Matcher()(descriptors(3, 300, 0), descriptors(3, 300, 0))
    with pytest.raises(LandmarksError, match="mutual or ratio"):
        Matcher("both")
    for ratio in (0.0, 1.1, float("nan")):
        with pytest.raises(LandmarksError, match="ratio"):
            Matcher("ratio", ratio)


def test_the_ratio_counts_only_where_it_is_used():
    assert Matcher("mutual", 0.7).signature() == Matcher("mutual", 0.8).signature()
    assert Matcher("ratio", 0.7).signature() != Matcher("ratio", 0.8).signature()
