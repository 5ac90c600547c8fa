"""Classes divided between two real processes give the loss and gradients of one."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.distributed import group

from landmarks.losses import chunked_cross_entropy, log_sums_of_others
from ranks import run_ranks


def cosface(scores: Tensor, margin: float) -> tuple[Tensor, Tensor]:
    return scores - margin, torch.ones_like(scores)


def straight_through(scores: Tensor, margin: float) -> tuple[Tensor, Tensor]:
    """The original applies the margin without autograd, so that its slope is 1."""
    return (scores.acos() + margin).cos(), torch.ones_like(scores)


@pytest.mark.parametrize("kept", [0, 100])
@pytest.mark.parametrize("case", [0, 1])
def test_loss_and_gradients_of_the_original(
    oracles: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: int, kept: int
) -> None:
    monkeypatch.setattr("landmarks.losses.cross_entropy.KEPT_CLASSES", kept)
    facts = json.loads((oracles / f"sharded_head/case{case}.json").read_text())
    arrays = np.load(oracles / f"sharded_head/case{case}.npz")
    margins = {
        "cosface": (cosface, facts["cosface_margin"]),
        "arcface": (straight_through, facts["arcface_margin_radians"]),
    }

    def one_rank(rank: int) -> dict[str, Any]:
        start, count = facts["class_start_and_count_per_rank"][rank]
        found = {}
        for name, (function, margin) in margins.items():
            raw = torch.tensor(arrays["x"], requires_grad=True)
            weight = torch.tensor(arrays["w"][start : start + count], requires_grad=True)
            loss = chunked_cross_entropy(
                torch.nn.functional.normalize(raw),
                weight,
                torch.tensor(arrays["labels"]) - start,
                scale=facts["scale"],
                unit_weight=True,
                target_score=lambda scores, f=function, m=margin: f(scores, m),
                chunk=4,
                group=group.WORLD,
            )
            loss.backward()
            found[name] = (loss.item(), raw.grad.tolist(), weight.grad.tolist())
        return found

    ranks = run_ranks(one_rank, tmp_path)
    for name in margins:
        losses, by_x, by_weight = zip(*(one[name] for one in ranks), strict=True)
        assert losses == pytest.approx(facts["loss_per_rank"][name], rel=1e-12)
        # the original multiplies this gradient by the number of ranks, over which DDP then averages
        for ours, expected in ((2 * np.sum(by_x, axis=0), "grad_x"), (np.concatenate(by_weight), "grad_w")):
            theirs = arrays[f"{name}.{expected}"]
            assert np.abs(ours - theirs).max() <= 1e-9 * np.abs(theirs).max()


def test_all_options_at_once_equal_one_process(tmp_path: Path) -> None:
    torch.manual_seed(0)
    x, weight = torch.randn(7, 4, dtype=torch.float64), torch.randn(5, 3, 4, dtype=torch.float64)
    bias, labels = torch.randn(5, dtype=torch.float64), torch.tensor([0, 4, 4, 2, 1, 3, 0])

    def results(start: int, stop: int, group: Any) -> list[Any]:
        inputs = [one.clone().requires_grad_() for one in (x, weight[start:stop], bias[start:stop])]
        loss = chunked_cross_entropy(
            inputs[0],
            inputs[1],
            labels - start,
            inputs[2],
            scale=torch.tensor(7.0),
            unit_weight=True,
            target_score=lambda scores: (scores.sin(), scores.cos()),
            chunk=3,
            label_smoothing=0.2,
            group=group,
        )
        sums = log_sums_of_others(x, weight[start:stop], labels - start, 7.0, True, 3, group)
        return [one.tolist() for one in (loss, *torch.autograd.grad(loss, inputs), *sums)]

    first, second = run_ranks(lambda rank: results(*((0, 2), (2, 5))[rank], group.WORLD), tmp_path)
    loss, by_x, by_weight, by_bias, scores, sums = results(0, 5, None)
    assert first[0] == second[0] == pytest.approx(loss, rel=1e-12)
    np.testing.assert_allclose(np.add(first[1], second[1]), by_x, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(first[2] + second[2], by_weight, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(first[3] + second[3], by_bias, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose((first[4:], second[4:]), ([scores, sums],) * 2, rtol=1e-12)
    assert math.isfinite(loss)


def test_a_single_class_in_the_other_process(tmp_path: Path) -> None:
    """Where a process has no other class than the true one, its share of the sum is 0."""

    def one_rank(rank: int) -> float:
        x, weight = torch.tensor([[1.0, 2.0]]), torch.tensor([[1.0, 0.0], [0.0, 1.0]])[rank : rank + 1]
        return chunked_cross_entropy(x, weight, torch.tensor([-rank]), group=group.WORLD).item()

    assert run_ranks(one_rank, tmp_path) == pytest.approx([math.log(1 + math.e)] * 2)
