"""Heads in pieces are heads as a whole; a loss without class weights is none."""

import pytest
import torch

from landmarks.losses import ArcMargin, ClassHead, NPairs, Softmax


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
