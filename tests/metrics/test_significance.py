"""Intervals and tests equal scipy's from other people's runs, and behave as their definitions say."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from landmarks.metrics import (
    RunPredictions,
    gap_interval,
    gap_p,
    global_average_precision,
    holm,
    mean_interval,
    mean_p,
    weighted_gap,
)

RESAMPLES = 9_999


@pytest.fixture(params=[0, 1])
def case(request: pytest.FixtureRequest, oracles: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((oracles / f"bootstrap/case{request.param}.json").read_text())
    return found


def runs(case: dict[str, Any]) -> list[RunPredictions]:
    given = case["gap_input"]
    shows = np.array(given["has_landmark"], bool)
    return [
        RunPredictions(np.array(given[f"confidence_{one}"]), np.array(given[f"correct_{one}"], bool), shows)
        for one in "ab"
    ]


def assert_near(found: float, expected: float, deviation: float) -> None:
    assert abs(found - expected) <= 4 * deviation


def test_interval_of_a_mean(case: dict[str, Any]) -> None:
    difference, expected = np.array(case["ap_a"]) - np.array(case["ap_b"]), case["expected"]["bca_95"]
    deviation = expected["monte_carlo_sd_at_9999"]
    for found in (mean_interval(difference), mean_interval(difference, np.arange(len(difference)), seed=1)):
        assert_near(found.low, expected["low"], deviation["low"])
        assert_near(found.high, expected["high"], deviation["high"])


def test_p_of_a_mean(case: dict[str, Any]) -> None:
    difference, expected = np.array(case["ap_a"]) - np.array(case["ap_b"]), case["expected"]
    exact = expected["permutation_p"]["exact"]
    assert abs(mean_p(difference) - exact) <= 4 * np.sqrt(2 * exact / RESAMPLES) + 2 / RESAMPLES
    few = expected["exact_permutation_p"]
    assert mean_p(difference[few["queries"]]) == pytest.approx(few["two-sided"], abs=1e-12)


def test_gap_of_resamples(case: dict[str, Any]) -> None:
    first, second = runs(case)
    expected = case["expected"]["gap"]
    for one in expected["given_resamples"]:
        weights = np.bincount(one["queries"], minlength=len(first.scores))[None]
        images = weights[:, first.has_landmark].sum(axis=1)
        for run, name in ((first, "gap_a"), (second, "gap_b")):
            found = weighted_gap(weights[:, run.order], run.correct[run.order], images)
            assert found[0] == pytest.approx(one[name], abs=1e-12)
    found = gap_interval(([second], [first]))
    scale = np.sqrt(2_000 / RESAMPLES)
    low, high = expected["resampled_percentile_95"]
    assert_near(found.low, low, expected["monte_carlo_sd_at_2000"]["low"] * scale)
    assert_near(found.high, high, expected["monte_carlo_sd_at_2000"]["high"] * scale)


@given(seed=st.integers(0, 2**20), queries=st.integers(1, 12))
def test_weighted_gap_counts_each_prediction_as_often_as_its_weight(seed: int, queries: int) -> None:
    random = np.random.default_rng(seed)
    weights, correct = random.integers(4, size=(1, queries)), random.random(queries) < 0.5
    repeated = np.repeat(correct, weights[0])
    if not len(repeated):
        return
    places = np.arange(len(repeated))
    plain = global_average_precision(-places.astype(float), repeated, 7, places.astype(np.uint64), places)
    assert weighted_gap(weights, correct, np.array([7]))[0] == pytest.approx(plain, abs=1e-12)


def exchanged(first: RunPredictions, second: RunPredictions, which: np.ndarray) -> float:
    """GAP's change after some queries' predictions are exchanged, each keeping its place: by sorting, one by one."""
    rows, images, change = np.arange(len(which)), int(first.has_landmark.sum()), 0.0
    for leads in (0, 1):  # whose prediction comes first of those with the same place
        places = [np.argsort(one.order) * 2.0 + (turn ^ leads) for turn, one in enumerate((first, second))]
        for turn in (0, 1):
            from_second = which ^ bool(turn)
            place = np.where(from_second, places[1], places[0])
            correct = np.where(from_second, second.correct, first.correct)
            gap = global_average_precision(-place, correct, images, rows.astype(np.uint64), rows)
            change += gap / 2 if turn else -gap / 2
    return change


def test_p_of_gap_is_the_share_of_exchanges_that_change_as_much() -> None:
    random = np.random.default_rng(5)
    shows = np.ones(8, bool)
    first, second = (RunPredictions(random.random(8), random.random(8) < share, shows) for share in (0.3, 0.8))
    observed = abs(exchanged(first, second, np.zeros(8, bool)))
    ways = [np.array([number >> bit & 1 for bit in range(8)], bool) for number in range(256)]
    exact = np.mean([abs(exchanged(first, second, way)) >= observed - 1e-12 for way in ways])
    assert 0 < exact < 1
    assert abs(gap_p(([first], [second])) - exact) <= 4 * np.sqrt(exact * (1 - exact) / RESAMPLES)
    assert gap_p(([first], [second])) == pytest.approx(gap_p(([second], [first])), abs=0.02)
    together = np.repeat([0, 1], 4)
    assert gap_p(([first], [second]), together) > 0.4  # half of the exchanges change nothing or everything
    with pytest.raises(ValueError, match="zip"):
        gap_p(([first, first], [second]))


def test_equal_systems_differ_by_nothing() -> None:
    same = RunPredictions(np.array([0.9, np.nan, 0.5]), np.array([True, False, False]), np.array([True, True, False]))
    assert gap_p(([same], [same])) == 1 and gap_interval(([same], [same])) == (0, 0)
    assert mean_p(np.zeros(5)) == 1 and mean_interval(np.zeros(5)) == (0, 0)
    assert mean_interval(np.full(5, 0.25)) == (0.25, 0.25)


def test_queries_of_one_landmark_are_no_evidence_by_themselves() -> None:
    """Two landmarks with twenty queries each, all of which got better: by landmark that is a coin thrown twice."""
    better = np.random.default_rng(0).normal(0.1, 0.01, 40)
    groups = np.repeat([0, 1], 20)
    assert mean_p(better) < 0.001 and mean_p(better, groups) == 0.5


@given(st.lists(st.floats(0, 1), min_size=1, max_size=6))
def test_holm_corrects_each_for_those_not_yet_rejected(ps: list[float]) -> None:
    found = holm(ps)
    ranked = sorted(range(len(ps)), key=lambda place: ps[place])
    bound = 0.0
    for done, place in enumerate(ranked):
        bound = max(bound, min(1.0, ps[place] * (len(ps) - done)))
        assert found[place] == pytest.approx(bound)
