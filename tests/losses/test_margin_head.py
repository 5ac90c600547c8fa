"""What a margin loss gets from its base: checks, scores and a cross entropy with the margin in its place."""

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, one_hot

from landmarks.losses import MarginHead


class Squeezed(MarginHead):
    """A margin of somebody's own."""

    def with_margin(self, cosine: Tensor) -> tuple[Tensor, Tensor]:
        return cosine - cosine.square() / 4, 1 - cosine / 2


def test_a_margin_takes_the_place_of_the_true_cosine() -> None:
    torch.manual_seed(0)
    loss = Squeezed(20, 5, scale=12.0, chunk=8)
    x, labels = torch.randn(6, 5, requires_grad=True), torch.randint(20, (6,))
    cosine = loss.class_scores(x) / 12
    expected = cross_entropy(12 * (cosine - one_hot(labels, 20) * cosine.square() / 4), labels)
    value = loss(x, labels)
    torch.testing.assert_close(value, expected)
    theirs = torch.autograd.grad(expected, (x, loss.weight))
    for a, b in zip(torch.autograd.grad(value, (x, loss.weight)), theirs, strict=True):
        torch.testing.assert_close(a, b)
    assert not loss.needs_pairs and not loss.reads_length


@pytest.mark.parametrize("options", [{"num_landmarks": 0}, {"dim": 0}, {"chunk": 0}, {"scale": 0.0}])
def test_the_base_checks_what_all_share(options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        Squeezed(**{"num_landmarks": 3, "dim": 4, "scale": 1.0, **options})  # type: ignore[arg-type]
