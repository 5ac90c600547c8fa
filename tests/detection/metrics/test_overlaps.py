"""Overlaps of boxes, and the true box that each found box overlaps most."""

import numpy as np
import pytest

from landmarks.detection.metrics import best_overlaps, intersection_over_detection, intersection_over_union, overlaps

HALF, WHOLE = [0.0, 0.0, 0.5, 1.0], [0.0, 0.0, 1.0, 1.0]


@pytest.mark.parametrize(
    ("found", "true", "over_union", "over_detection"),
    [
        (HALF, WHOLE, 0.5, 1.0),
        (WHOLE, HALF, 0.5, 0.5),
        (HALF, [0.5, 0.0, 1.0, 1.0], 0.0, 0.0),  # they share an edge
        ([0, 0, 0.25, 0.25], [0.5, 0.5, 1, 1], 0.0, 0.0),  # two negative sides are no area
        ([0.25, 0, 0.25, 1], WHOLE, 0.0, 0.0),  # no area
        ([0.25, 0, 0.25, 1], [0.25, 0, 0.25, 1], 0.0, 0.0),
        ([-0.5, 0, 0.5, 1], WHOLE, 1 / 3, 0.5),  # sticks out
    ],
)
def test_shares(found: list[float], true: list[float], over_union: float, over_detection: float) -> None:
    boxes = np.array([found], np.float64), np.array([true], np.float64)
    assert intersection_over_union(*boxes).tolist() == pytest.approx([over_union], abs=1e-15)
    assert intersection_over_detection(*boxes).tolist() == pytest.approx([over_detection], abs=1e-15)


@pytest.mark.parametrize("pairs", [1, 5, 7, 1 << 20])
def test_blocks_of_any_size_find_the_same(pairs: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overlaps, "PAIRS", pairs)
    rng = np.random.default_rng(0)
    found, true = (np.sort(rng.integers(0, 9, (n, 2, 2)), axis=1).reshape(n, 4) / 8 for n in (60, 30))
    first = rng.integers(0, 30, 60)
    last = first + 1 + rng.integers(0, 30 - first)
    largest, rows = best_overlaps(found, first, last, true, intersection_over_union)
    for row in range(60):
        shares = intersection_over_union(np.repeat(found[row : row + 1], 30, axis=0), true)[first[row] : last[row]]
        assert largest[row] == shares.max()
        assert rows[row] == first[row] + np.argmax(shares)


def test_nothing_found() -> None:
    none = np.empty(0, np.int64)
    largest, rows = best_overlaps(np.empty((0, 4)), none, none, np.array([WHOLE]), intersection_over_union)
    assert len(largest) == len(rows) == 0
