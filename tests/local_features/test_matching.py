import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from landmarks.errors import LandmarksError
from landmarks.local_features import FeatureKind, LocalFeatures, Matcher, Matches
from local_tables import features_of


def descriptors(count: int, dim: int, seed: int, levels: int = 256) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, levels, (count, dim)).astype(np.uint8)


def matched(a: np.ndarray, b: np.ndarray, matcher: Matcher) -> Matches:
    return matcher(features_of(a), features_of(b))


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
    found = matched(a, b, Matcher(match, 0.8))
    pairs = list(zip(found.first.tolist(), found.second.tolist(), strict=True))
    assert set(pairs) == brute_force(a, b, match, 0.8)
    assert len({i for i, _ in pairs}) == len({j for _, j in pairs}) == len(pairs)
    assert pairs == sorted(pairs)


def test_extreme_descriptors_of_full_length_are_exact():
    a = np.vstack([np.full((1, 256), 255), np.zeros((1, 256))]).astype(np.uint8)
    found = matched(a, a[::-1].copy(), Matcher("mutual"))
    assert found.first.tolist() == [0, 1] and found.second.tolist() == [1, 0]


def test_copies_of_one_descriptor_are_no_clear_match():
    a = descriptors(5, 16, 0)
    assert len(matched(a, np.vstack([a, a]), Matcher("ratio", 0.9))) == 0
    assert len(matched(a, np.vstack([a, a]), Matcher("mutual"))) == 5


def test_bad_input_is_refused():
    with pytest.raises(LandmarksError, match="two kinds"):
        matched(descriptors(3, 8, 0), descriptors(3, 9, 0), Matcher())
    with pytest.raises(LandmarksError, match="mutual or ratio"):
        Matcher("both")
    for ratio in (0.0, 1.1, float("nan")):
        with pytest.raises(LandmarksError, match="ratio"):
            Matcher("ratio", ratio)


def test_the_ratio_counts_only_where_it_is_used():
    assert Matcher("mutual", 0.7).signature() == Matcher("mutual", 0.8).signature()
    assert Matcher("ratio", 0.7).signature() != Matcher("ratio", 0.8).signature()


@pytest.mark.parametrize("stored", ["int8", "float16", "binary"])
def test_stored_descriptors_are_matched_as_the_numbers_they_stand_for(stored):
    kind = FeatureKind("made up", 64, stored, 280.0 if stored == "int8" else 1.0)
    rng = np.random.default_rng(0)
    first = rng.standard_normal((50, 64)).astype(np.float32)
    first /= np.linalg.norm(first, axis=1, keepdims=True)
    order = rng.permutation(50)
    near = first[order] + rng.standard_normal((50, 64)).astype(np.float32) * np.float32(0.03)
    both = [features_of(kind.encode(each), kind) for each in (first, near)]
    assert [each.descriptors.shape[1] for each in both] == [kind.width] * 2
    found = Matcher("mutual")(*both)
    right = order[found.second] == found.first
    assert right.mean() > 0.9 and len(found) > 40
    numbers = kind.numbers(both[0].descriptors) / kind.length
    assert np.linalg.norm(numbers, axis=1) == pytest.approx(1, abs=0.02)
    assert (
        len(Matcher("mutual", max_distance=1e-4)(*both)) < len(found) == len(Matcher("mutual", max_distance=2)(*both))
    )


def test_kinds_of_features_are_checked():
    with pytest.raises(LandmarksError, match="uint8, int8, float16 or binary"):
        FeatureKind("x", 8, "int16")
    with pytest.raises(LandmarksError, match="at most 2048"):
        FeatureKind("x", 8, "int8", 4096.0)
    with pytest.raises(LandmarksError, match="max_distance"):
        Matcher(max_distance=0)
    assert len(LocalFeatures.none(FeatureKind("x", 12, "binary"))) == 0
