"""Gradients of the hand-written backward pass, its memory, and what it refuses."""

from unittest.mock import patch

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import cross_entropy, linear

from landmarks.losses import chunked_cross_entropy
from landmarks.losses import cross_entropy as module


def bent(scores: Tensor) -> tuple[Tensor, Tensor]:
    """A made-up replacement of the true class's score, and its slope."""
    return scores.sin(), scores.cos()


@pytest.mark.parametrize("unit", [False, True])
@pytest.mark.parametrize("with_bias", [False, True])
@pytest.mark.parametrize("chunk", [1, 4, 10])
@pytest.mark.parametrize("kept", [0, 100])
@pytest.mark.parametrize(("centers", "smoothing"), [((), 0.0), ((3,), 0.1)])
def test_gradients_are_those_of_the_values(
    monkeypatch: pytest.MonkeyPatch,
    unit: bool,
    with_bias: bool,
    chunk: int,
    kept: int,
    centers: tuple[int, ...],
    smoothing: float,
) -> None:
    monkeypatch.setattr(module, "KEPT_CLASSES", kept)
    torch.manual_seed(0)
    x = torch.randn(5, 3, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(10, *centers, 3, dtype=torch.float64, requires_grad=True)
    bias = torch.randn(10, dtype=torch.float64, requires_grad=True) if with_bias else None
    labels = torch.tensor([0, 9, 4, 4, 3])

    def loss(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return chunked_cross_entropy(
            x, weight, labels, bias, 3.0, unit, target_score=bent, chunk=chunk, label_smoothing=smoothing
        )

    assert torch.autograd.gradcheck(loss, (x, weight, bias))


@given(
    seed=st.integers(0, 2**20),
    classes=st.integers(1, 40),
    centers=st.sampled_from([1, 2, 3]),
    smoothing=st.sampled_from([0.0, 0.1, 0.9]),
    chunk=st.integers(1, 50),
    size=st.sampled_from([1.0, 1e2, 1e4]),
    kept=st.sampled_from([0, 20, 100]),
)
def test_equals_torch_at_any_chunk_and_size_of_logits(
    seed: int, classes: int, centers: int, smoothing: float, chunk: int, size: float, kept: int
) -> None:
    torch.manual_seed(seed)
    x = (size * torch.randn(6, 4)).requires_grad_()
    weight, bias = torch.randn(classes, centers, 4, requires_grad=True), torch.randn(classes, requires_grad=True)
    labels = torch.randint(classes, (6,))
    with patch.object(module, "KEPT_CLASSES", kept):
        own = weight.squeeze(1) if centers == 1 else weight
        ours = chunked_cross_entropy(x, own, labels, bias, chunk=chunk, label_smoothing=smoothing)
    logits = linear(x, weight.flatten(0, 1)).view(6, classes, centers).amax(dim=2) + bias
    theirs = cross_entropy(logits, labels, label_smoothing=smoothing)
    # smoothing adds up all logits, whose rounding does not cancel exactly
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5 + 1e-8 * size * classes)
    inputs = (x, weight, bias)
    for a, b in zip(torch.autograd.grad(ours, inputs), torch.autograd.grad(theirs, inputs), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-5 * size)


def test_a_scaled_loss_has_scaled_gradients() -> None:
    x, weight = torch.randn(5, 3, requires_grad=True), torch.randn(9, 3, requires_grad=True)
    loss = chunked_cross_entropy(x, weight, torch.arange(5), chunk=4)
    plain = torch.autograd.grad(loss, weight, retain_graph=True)[0]
    torch.testing.assert_close(torch.autograd.grad(1024.0 * loss, weight)[0], 1024.0 * plain)


def test_all_logits_never_exist_at_once() -> None:
    largest = 0

    class Watch(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
            nonlocal largest
            result = func(*args, **(kwargs or {}))
            if isinstance(result, Tensor):
                largest = max(largest, result.numel())
            return result

    x, weight = torch.randn(32, 4, requires_grad=True), torch.randn(20_000, 4, requires_grad=True)
    with Watch():
        loss = chunked_cross_entropy(x, weight, torch.arange(32), unit_weight=True, chunk=100)
        loss.backward()
    assert largest <= max(weight.numel(), 32 * 100)


def test_labels_and_shapes_are_checked() -> None:
    x, weight = torch.randn(2, 3), torch.randn(5, 3)
    for wrong in (-1, 5):
        with pytest.raises((IndexError, RuntimeError), match=r"out of range|out of bounds"):
            chunked_cross_entropy(x, weight, torch.tensor([0, wrong]))
    with pytest.raises(ValueError, match=r"labels \[2\]"):
        chunked_cross_entropy(x, weight, torch.tensor([0]))
    with pytest.raises(ValueError, match=r"\[B, 3\]"):
        chunked_cross_entropy(torch.randn(2, 4), weight, torch.tensor([0, 1]))
    with pytest.raises(ValueError, match="at least 1"):
        chunked_cross_entropy(torch.empty(0, 3), weight, torch.empty(0, dtype=torch.int64))
