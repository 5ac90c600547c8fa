import pytest
import torch
from torch.nn.functional import cross_entropy

from landmarks.losses import Softmax


@pytest.mark.parametrize("chunk", [7, 30, 8192])
def test_is_the_cross_entropy_of_its_logits(chunk: int) -> None:
    loss = Softmax(30, 5, chunk=chunk)
    torch.nn.init.normal_(loss.bias)
    x, labels = torch.randn(8, 5, requires_grad=True), torch.randint(30, (8,))
    expected = cross_entropy(loss.class_scores(x), labels)
    inputs = (x, loss.weight, loss.bias)
    theirs = torch.autograd.grad(expected, inputs)
    value = loss(x, labels)
    torch.testing.assert_close(value, expected)
    for a, b in zip(torch.autograd.grad(value, inputs), theirs, strict=True):
        torch.testing.assert_close(a, b)


def test_autocast_does_not_change_the_loss() -> None:
    loss = Softmax(30, 5)
    x, labels = torch.randn(8, 5), torch.randint(30, (8,))
    expected = loss(x, labels)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(loss(x, labels), expected)
        assert loss.class_scores(x).dtype == torch.float32


def test_needs_a_landmark_and_a_dimension() -> None:
    with pytest.raises(ValueError, match="num_landmarks=0"):
        Softmax(0, 4)
    with pytest.raises(ValueError, match="dim=0"):
        Softmax(4, 0)
