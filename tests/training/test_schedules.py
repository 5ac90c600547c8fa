"""Learning rates over a run."""

import math
from contextlib import suppress
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from landmarks.errors import LandmarksError
from landmarks.training import cosine, onecycle, step


def optimizer() -> torch.optim.SGD:
    return torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)


def rates(schedule: torch.optim.lr_scheduler.LRScheduler, steps: int) -> list[float]:
    found = []
    for _ in range(steps):
        found.append(schedule.get_last_lr()[0])
        schedule.optimizer.step()
        schedule.step()
    return found


def test_the_published_steps() -> None:
    found = rates(step(optimizer(), 300), 300)  # 30,000 iterations scaled by 100
    assert found[149] == 1.0
    assert found[150] == pytest.approx(0.1)
    assert found[249] == pytest.approx(0.1)
    assert found[250] == pytest.approx(0.01)


def test_cosine_climbs_then_falls_to_its_end() -> None:
    found = rates(cosine(optimizer(), 100, final=0.1, warmup=0.1), 101)
    assert found[:10] == pytest.approx([(i + 1) / 11 for i in range(10)])
    assert found[10] == pytest.approx(1.0)
    assert found[55] == pytest.approx(0.1 + 0.9 * (1 + math.cos(math.pi / 2)) / 2)
    assert found[100] == pytest.approx(0.1)


@given(st.integers(1, 400), st.floats(0, 0.9), st.floats(0, 1))
def test_rates_stay_within_bounds_and_fall_after_the_warmup(total: int, warmup: float, final: float) -> None:
    found = rates(cosine(optimizer(), total, final=final, warmup=warmup), total)
    assert all(0 < rate <= 1 + 1e-9 or math.isclose(rate, final, abs_tol=1e-12) for rate in found)
    after = found[math.ceil(warmup * total) :]
    assert all(b <= a + 1e-9 for a, b in pairwise(after))


@given(st.integers(2, 300), st.floats(0.02, 0.95))
def test_onecycle_has_the_rates_of_torch(total: int, warmup: float) -> None:
    ours = rates(onecycle(optimizer(), total, warmup=warmup), total)
    theirs = torch.optim.lr_scheduler.OneCycleLR(
        optimizer(), max_lr=1.0, total_steps=total, pct_start=warmup, cycle_momentum=False
    )
    with suppress(ZeroDivisionError):  # torch's fails where the rise is one step long
        assert ours == pytest.approx(rates(theirs, total), abs=1e-9)


def test_onecycle_goes_on_where_a_run_is_made_longer() -> None:
    assert rates(onecycle(optimizer(), 10), 13)[-3:] == pytest.approx([4e-6] * 3)


@pytest.mark.parametrize(("key", "value"), [("start", 2.0), ("final", -1.0), ("warmup", 1.0)])
def test_onecycle_takes_fractions(key: str, value: float) -> None:
    with pytest.raises(LandmarksError, match=rf"scheduler\.{key}"):
        onecycle(optimizer(), 100, **{key: value})


@pytest.mark.parametrize("milestones", [[0.8, 0.5], [0.0, 0.5], [0.5, 1.0], [15000, 25000]])
def test_milestones_must_ascend_within_the_run(milestones: list[float]) -> None:
    with pytest.raises(LandmarksError, match=r"scheduler\.milestones"):
        step(optimizer(), 100, milestones=milestones)


@pytest.mark.parametrize("warmup", [-0.1, 1.0, 500])
def test_warmup_is_a_fraction(warmup: float) -> None:
    with pytest.raises(LandmarksError, match=r"scheduler\.warmup"):
        cosine(optimizer(), 100, warmup=warmup)
