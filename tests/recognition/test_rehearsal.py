import numpy as np
import pytest
from numpy.typing import NDArray

from landmarks.recognition import FEATURES, Cast, choose, features_of, neighbours_without_own, rehearsal, rehearse
from landmarks.retrieval import EMPTY, Gallery, Ranking
from landmarks.retrieval.search import ExactIndex
from resources import make_resources


def gallery(images: int = 60, landmarks: int = 6, seed: int = 0) -> Gallery:
    """Loose clusters, some images without landmark."""
    rng = np.random.default_rng(seed)
    own = rng.integers(0, landmarks, images)
    centres = rng.normal(0, 1, (landmarks, 8))
    rows = (centres[own] + rng.normal(0, 0.8, (images, 8))).astype(np.float32)
    return Gallery(rows, np.where(rng.random(images) < 0.1, -1, own).astype(np.int32), landmarks)


def expected_neighbours(of: Gallery, row: int, hidden: bool, k: int) -> list[int]:
    unit = of.descriptors / np.linalg.norm(of.descriptors, axis=1, keepdims=True)
    scores = unit.astype(np.float64) @ unit[row]
    allowed = [
        other
        for other in np.argsort(-scores, kind="stable").tolist()
        if other != row and scores[other] < 1 - 1e-5 and not (hidden and of.landmarks[other] == of.landmarks[row] != -1)
    ]
    return allowed[:k]


def ranking(indices: list[list[int]], scores: list[list[float]]) -> Ranking:
    return Ranking(np.array(indices, np.int32), np.array(scores, np.float32))


def test_own_image_copies_and_hidden_landmarks_are_left_out() -> None:
    world = gallery()
    world.descriptors[7] = 2 * world.descriptors[3]  # the same direction
    cast = choose(world, 40, 0.5, 1000, seed=1)
    assert cast.hidden.any() and not cast.hidden.all()
    found = neighbours_without_own(world, cast, 5, make_resources())
    for place, (row, hidden) in enumerate(zip(cast.rows.tolist(), cast.hidden.tolist(), strict=True)):
        assert found.indices[place].tolist() == expected_neighbours(world, row, hidden, 5)


def test_a_gallery_that_hides_everything_leaves_empty_places() -> None:
    world = Gallery(np.eye(4, dtype=np.float32) + 0.5, np.zeros(4, np.int32), 1)
    found = neighbours_without_own(world, Cast(np.arange(4), np.array([True, False, False, True])), 6, make_resources())
    assert found.filled.sum(axis=1).tolist() == [0, 3, 3, 0]
    assert (found.indices[0] == EMPTY).all()


def test_the_choice_is_seeded_and_keeps_to_its_limits() -> None:
    world = gallery(300, 6)
    cast = choose(world, 100, 0.5, 1000, seed=4)
    assert len(np.unique(cast.rows)) == 100 and (world.landmarks[cast.rows] >= 0).all()
    assert 30 < cast.hidden.sum() < 70
    again, other = choose(world, 100, 0.5, 1000, seed=4), choose(world, 100, 0.5, 1000, seed=5)
    assert np.array_equal(again.rows, cast.rows) and np.array_equal(again.hidden, cast.hidden)
    assert not np.array_equal(np.sort(other.rows), np.sort(cast.rows))
    assert len(choose(world, 10_000, 0.5, 1000, seed=4).rows) == (world.landmarks >= 0).sum()
    counts = np.bincount(world.landmarks[world.landmarks >= 0])
    limited = choose(world, 300, 1.0, int(np.median(counts)), seed=4)
    assert limited.hidden.any()
    assert (counts[world.landmarks[limited.rows[limited.hidden]]] <= np.median(counts)).all()
    assert not choose(world, 300, 0.0, 1000, seed=4).hidden.any()


def test_features_say_what_the_neighbours_say() -> None:
    landmarks = np.array([0, 0, 1, -1, 2], np.int32)
    neighbours = ranking([[0, 2, 1, 3], [2, 0, -1, -1], [4, -1, -1, -1]], [
        [0.8, 0.6, 0.4, 0.2], [0.5, -0.5, -np.inf, -np.inf], [0.9, -np.inf, -np.inf, -np.inf],
    ])  # fmt: skip
    found = features_of(neighbours, landmarks, np.array([0, 1, -1], np.int32), 4)
    assert FEATURES == ("similarity", "margin", "share", "density")
    assert found == pytest.approx(np.array([[0.8, 0.2, 0.6, 0.2], [0.5, 0.5, 1.0, 0.0], [0, -0.9, 0, 0]]), abs=1e-6)


def test_hidden_landmarks_are_never_right_and_groups_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    world = gallery(200)
    cast = choose(world, 150, 0.4, 1000, seed=0)

    def rehearsed() -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        found = rehearse(world, cast, 5, 3, make_resources(ExactIndex(3, memory_budget_mb=1)))
        return np.array(found.features), np.array(found.right)

    features, right = rehearsed()
    assert not right[cast.hidden].any() and 0.5 < right[~cast.hidden].mean() <= 1
    assert features[right, 0].mean() > features[~right, 0].mean()
    assert len(cast.rows) < rehearsal.GROUP
    monkeypatch.setattr(rehearsal, "GROUP", 7)
    in_groups = rehearsed()
    assert np.array_equal(features, in_groups[0]) and np.array_equal(right, in_groups[1])
