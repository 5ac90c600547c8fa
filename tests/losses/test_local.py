"""The loss of a local branch: its parts, their weights, and what it learns."""

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - the name its users know

from landmarks.losses import LocalLoss


def test_the_parts_are_weighted() -> None:
    torch.manual_seed(0)
    loss = LocalLoss(num_landmarks=5, dim=8, attention_weight=2.0, reconstruction_weight=3.0)
    pooled, landmarks = torch.randn(4, 8), torch.tensor([0, 4, 4, 2])
    entropy = F.cross_entropy(pooled @ loss.head.weight.T + loss.head.bias, landmarks)
    torch.testing.assert_close(loss(pooled, torch.tensor(0.5), landmarks), 2 * entropy + 1.5)
    published = LocalLoss(num_landmarks=5, dim=8)
    assert (published.attention_weight, published.reconstruction_weight) == (1.0, 10.0)


def test_a_negative_weight_is_refused() -> None:
    with pytest.raises(ValueError, match="reconstruction_weight=-1"):
        LocalLoss(5, 8, reconstruction_weight=-1)
