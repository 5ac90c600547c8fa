"""ArcMargin equals the original framework and a plain reference, whatever the types and positions."""

import json
import math
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import cross_entropy, linear, normalize, one_hot

from landmarks.losses import ArcMargin


def plain_arcmargin(x: Tensor, weight: Tensor, labels: Tensor, margin: float, scale: float, easy: bool) -> Tensor:
    """The definition, with every intermediate [B, C] written down."""
    cosine = linear(normalize(x), normalize(weight))
    phi = cosine * math.cos(margin) - torch.sqrt(1 - cosine**2 + 1e-6) * math.sin(margin)
    if easy:
        phi = torch.where(cosine > 0, phi, cosine)
    else:
        phi = torch.where(cosine > math.cos(math.pi - margin), phi, cosine - math.sin(math.pi - margin) * margin)
    hot = one_hot(labels, len(weight))
    return cross_entropy(scale * (hot * phi + (1 - hot) * cosine), labels)


def assert_close(ours: Tensor, expected: Tensor, tolerance: float = 1e-5) -> None:
    """Relative to the largest value: small ones are differences of large ones."""
    assert (ours - expected).abs().max() <= tolerance * expected.abs().max()


@pytest.mark.parametrize("kept", [0, 16_384])
@pytest.mark.parametrize("chunk", [5, 12, 1024])
def test_values_and_gradients_of_the_original(
    monkeypatch: pytest.MonkeyPatch, oracles: Path, chunk: int, kept: int
) -> None:
    monkeypatch.setattr("landmarks.losses.cross_entropy.KEPT_CLASSES", kept)
    cases = [c for c in json.loads((oracles / "paddle/losses.json").read_text()) if c["loss"] == "arcmargin"]
    assert len(cases) == 3
    for case in cases:
        x = torch.tensor(case["embeddings"], requires_grad=True)
        weight = torch.tensor(case["class_weights"])
        loss = ArcMargin(len(weight), x.shape[1], **case["params"], chunk=chunk)
        loss.weight.data.copy_(weight)
        value = loss(x, torch.tensor(case["labels"]))
        value.backward()
        assert value.item() == pytest.approx(case["expected_loss"], rel=1e-5)
        assert_close(x.grad, torch.tensor(case["expected_grad_embeddings"]))
        assert_close(loss.weight.grad, torch.tensor(case["expected_grad_class_weights"]))


@given(
    seed=st.integers(0, 2**20),
    batch=st.integers(1, 9),
    classes=st.integers(1, 11),
    margin=st.sampled_from([0.0, 0.15, 0.5, 1.5, 3.0]),
    scale=st.sampled_from([1.0, 30.0, 80.0]),
    easy=st.booleans(),
    chunk=st.integers(1, 12),
)
def test_equals_the_plain_definition(
    seed: int, batch: int, classes: int, margin: float, scale: float, easy: bool, chunk: int
) -> None:
    torch.manual_seed(seed)
    loss = ArcMargin(classes, 6, margin, scale, easy_margin=easy, chunk=chunk).double()
    x = torch.randn(batch, 6, dtype=torch.float64, requires_grad=True)
    labels = torch.randint(classes, (batch,))
    value = loss(x, labels)
    ours = torch.autograd.grad(value, (x, loss.weight))
    expected = plain_arcmargin(x, loss.weight, labels, margin, scale, easy)
    theirs = torch.autograd.grad(expected, (x, loss.weight))
    torch.testing.assert_close(value, expected, rtol=1e-9, atol=1e-12)
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-8, atol=1e-11)


def test_descriptors_on_top_of_their_landmark_stay_finite() -> None:
    loss = ArcMargin(3, 4)
    x = torch.cat([loss.weight.data, -loss.weight.data]).requires_grad_()
    loss(x, torch.tensor([0, 1, 2, 0, 1, 2])).backward()
    assert x.grad.isfinite().all() and loss.weight.grad.isfinite().all()


def test_bfloat16_descriptors_and_weights() -> None:
    loss = ArcMargin(64, 8).bfloat16()
    x = torch.randn(10, 8, dtype=torch.bfloat16, requires_grad=True)
    value = loss(x, torch.randint(64, (10,)))
    value.backward()
    assert value.dtype == torch.float32
    assert x.grad.dtype == loss.weight.grad.dtype == torch.bfloat16


@pytest.mark.parametrize(
    "options",
    [{"margin": 3.2}, {"sine_eps": -1.0}, {"sine_eps": math.nan}],
)
def test_options_out_of_range(options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        ArcMargin(3, 4, **options)
