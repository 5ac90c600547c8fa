import json
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from landmarks.losses import NPairs


def test_values_and_gradients_of_the_original(oracles: Path) -> None:
    cases = [c for c in json.loads((oracles / "paddle/losses.json").read_text()) if c["loss"] == "npairs"]
    assert len(cases) == 2
    for case in cases:
        x = torch.tensor(case["embeddings"], requires_grad=True)
        value = NPairs(30, x.shape[1], l2=case["params"]["reg_lambda"])(x, torch.tensor(case["labels"]))
        value.backward()
        assert value.item() == pytest.approx(case["expected_loss"], rel=1e-5)
        expected = torch.tensor(case["expected_grad_embeddings"])
        assert (x.grad - expected).abs().max() <= 1e-5 * expected.abs().max()


@given(seed=st.integers(0, 2**20), order=st.permutations(range(5)), repeated=st.booleans())
def test_order_of_pairs_does_not_matter(seed: int, order: list[int], repeated: bool) -> None:
    torch.manual_seed(seed)
    pairs, labels = torch.randn(5, 2, 4), torch.tensor([3, 1, 7, 1 if repeated else 2, 9])
    loss = NPairs(10, 4)
    before = loss(pairs.flatten(0, 1), labels.repeat_interleave(2))
    after = loss(pairs[order].flatten(0, 1), labels[order].repeat_interleave(2))
    torch.testing.assert_close(after, before)


def test_two_pairs_of_one_landmark_share_the_target() -> None:
    x = torch.randn(4, 3)
    similarities = x[0::2] @ x[1::2].T
    expected = -similarities.log_softmax(dim=1).mean()
    torch.testing.assert_close(NPairs(9, 3, l2=0.0)(x, torch.full((4,), 5)), expected)


def test_autocast_does_not_change_the_loss() -> None:
    x, labels = torch.randn(8, 5), torch.arange(4).repeat_interleave(2)
    expected = NPairs(4, 5)(x, labels)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(NPairs(4, 5)(x, labels), expected)


@pytest.mark.parametrize(
    ("shape", "labels", "message"),
    [
        ((3, 2), [1, 1, 2], "batch of 3"),
        ((0, 2), [], "batch of 0"),
        ((4, 2), [1, 1, 2, 3], "images 2 and 3 of the batch show different landmarks, 2 and 3"),
        ((4, 2), [1, 2, 1, 2], "images 0 and 1"),
        ((4, 2), [1, 1], r"not \[4, 2\] and \[2\]"),
    ],
)
def test_batches_not_in_pairs_are_refused(shape: tuple[int, int], labels: list[int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        NPairs(9, 2)(torch.randn(shape), torch.tensor(labels, dtype=torch.int64))


def test_a_negative_penalty_is_refused() -> None:
    with pytest.raises(ValueError, match="l2"):
        NPairs(9, 2, l2=-0.1)
