import numpy as np
import pytest
import torch
from torch import Tensor, nn

from landmarks.detection import find_objects, ids_of

CLASSES = np.array(["/m/a", "/m/b", "/m/c"])


class Fixed(nn.Module):
    """Finds the same boxes in every picture but in small ones none."""

    def forward(self, images: list[Tensor]) -> list[dict[str, Tensor]]:
        boxes = torch.tensor([[10.0, 5.0, 20.0, 40.0], [0.0, 0.0, 40.0, 20.0]])
        found = {"boxes": boxes, "labels": torch.tensor([3, 1]), "scores": torch.tensor([0.75, 0.5])}
        return [{key: value[: 2 * (image.shape[2] > 10)] for key, value in found.items()} for image in images]


def test_boxes_become_shares_of_their_own_picture_and_labels_rows_of_classes() -> None:
    images = [torch.zeros(3, 80, 40), torch.zeros(3, 5, 5), torch.zeros(3, 40, 80)]
    found = find_objects(Fixed(), images, np.array([7, 8, 2**64 - 1], np.uint64), CLASSES)
    assert found.image_ids.tolist() == [7, 7, 2**64 - 1, 2**64 - 1]
    assert found.labels.tolist() == [2, 0, 2, 0]
    assert found.scores.tolist() == [0.75, 0.5] * 2
    np.testing.assert_allclose(found.boxes[0], [0.25, 0.0625, 0.5, 0.5])
    np.testing.assert_allclose(found.boxes[2], [0.125, 0.125, 0.25, 1.0])


@pytest.mark.parametrize("images", [[], [torch.zeros(3, 5, 5)]])
def test_nothing_found_is_a_set_of_no_boxes(images: list[Tensor]) -> None:
    found = find_objects(Fixed(), images, np.arange(len(images), dtype=np.uint64), CLASSES)
    assert found.boxes.shape == (0, 4)
    assert found.labels.dtype == np.int32


def test_large_ids_survive() -> None:
    assert ids_of({"id": [2**64 - 1, 1]}).tolist() == [2**64 - 1, 1]
