"""What losses with class weights share: scores in pieces, checks, and a cross entropy with the margin in its place."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, one_hot

from landmarks.losses import ArcMargin, ClassHead, MarginHead, NPairs, Softmax


@pytest.mark.parametrize("kind", [Softmax, ArcMargin])
def test_ranges_of_classes_join_to_all(kind: type[Softmax | ArcMargin]) -> None:
    head: ClassHead = kind(11, 4)
    assert (head.num_landmarks, head.dim) == (11, 4)
    x = torch.randn(3, 4)
    parts = [head.class_scores(x, start, start + 5) for start in (0, 5, 10)]
    torch.testing.assert_close(torch.cat(parts, dim=1), head.class_scores(x))
    longer = head.class_scores(3 * x)
    assert torch.allclose(longer, head.class_scores(x), atol=1e-4) is not head.reads_length


def test_which_losses_are_heads() -> None:
    assert isinstance(Softmax(2, 2), ClassHead) and isinstance(ArcMargin(2, 2), ClassHead)
    assert not isinstance(NPairs(2, 2), ClassHead)


@pytest.mark.parametrize("chunk", [16, 64])
@pytest.mark.parametrize("kind", [Softmax, ArcMargin])
def test_autocast_does_not_change_the_loss(kind: type[Softmax | ArcMargin], chunk: int) -> None:
    loss = kind(64, 8, chunk=chunk)
    x, labels = torch.randn(10, 8, requires_grad=True), torch.randint(64, (10,))
    inputs = (x, *loss.parameters())
    expected = torch.autograd.grad(loss(x, labels), inputs)
    with torch.autocast("cpu", torch.bfloat16):
        value = loss(x, labels)
        ours = torch.autograd.grad(value, inputs)
        assert value.dtype == loss.class_scores(x).dtype == torch.float32
    assert all(torch.equal(a, b) for a, b in zip(ours, expected, strict=True))


def logits_of(head: ClassHead, x: Tensor, start: int = 0, stop: int | None = None) -> Tensor:
    """By the formula, in float64 throughout."""
    weight = head.weight.detach().double()[start:stop]
    if isinstance(head, Softmax):
        return x @ weight.T + head.bias.detach().double()[start:stop]
    assert isinstance(head, MarginHead)
    lengths = x.square().sum(1).sqrt()[:, None] * weight.square().sum(1).sqrt()
    return head.current_scale * (x @ weight.T) / lengths


@pytest.mark.parametrize("kind", [Softmax, ArcMargin])
def test_descriptors_of_float64_are_scored_in_float64(kind: type[Softmax | ArcMargin]) -> None:
    torch.manual_seed(3)
    head = kind(20, 8)
    if isinstance(head, Softmax):
        torch.nn.init.normal_(head.bias)
    x = torch.randn(6, 8, dtype=torch.float64)
    for place in ((0, None), (3, 9)):
        found = head.class_scores(x, *place).detach()
        assert found.dtype == torch.float64
        torch.testing.assert_close(found, logits_of(head, x, *place), rtol=1e-12, atol=1e-12)
    for dtype in (torch.float16, torch.bfloat16, torch.float32):
        assert head.class_scores(x.to(dtype)).dtype == torch.float32
    labels = torch.randint(20, (6,))
    assert head(x, labels).dtype == torch.float64 and NPairs(20, 8)(x, torch.arange(6) // 2).dtype == torch.float64


class Squeezed(MarginHead):
    """A margin of somebody's own."""

    def with_margin(self, cosine: Tensor, margin: Tensor, length: Tensor) -> tuple[Tensor, Tensor]:
        return cosine - cosine.square() / 4, 1 - cosine / 2


def squeezed(loss: MarginHead, x: Tensor, labels: Tensor) -> Tensor:
    cosine = loss.class_scores(x) / 12
    return cross_entropy(12 * (cosine - one_hot(labels, 20) * cosine.square() / 4), labels)


@pytest.mark.parametrize("chunk", [8, 30])
@pytest.mark.parametrize(
    ("kind", "definition"),
    [
        (lambda chunk: Softmax(20, 5, chunk), lambda loss, x, labels: cross_entropy(loss.class_scores(x), labels)),
        (lambda chunk: Squeezed(20, 5, scale=12.0, chunk=chunk), squeezed),
    ],
)
def test_a_loss_is_the_cross_entropy_of_its_scores(
    kind: Callable[[int], ClassHead], definition: Callable[..., Tensor], chunk: int
) -> None:
    torch.manual_seed(0)
    loss = kind(chunk)
    if isinstance(loss, Softmax):
        torch.nn.init.normal_(loss.bias)
    x, labels = torch.randn(6, 5, requires_grad=True), torch.randint(20, (6,))
    value, expected = loss(x, labels), definition(loss, x, labels)
    torch.testing.assert_close(value, expected)
    inputs = (x, *loss.parameters())
    for a, b in zip(torch.autograd.grad(value, inputs), torch.autograd.grad(expected, inputs), strict=True):
        torch.testing.assert_close(a, b)
