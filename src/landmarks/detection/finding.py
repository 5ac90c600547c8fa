"""From a batch of pictures to the boxes found in them, in the form in which boxes are scored and kept."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torchvision.models.detection import FasterRCNN

from landmarks.recognition import BACKGROUND, Detections


def find_objects(
    model: FasterRCNN, images: Sequence[Tensor], ids: NDArray[np.uint64], classes: NDArray[np.str_]
) -> Detections:
    """Look for objects.

    Args:
        model: in eval mode.
        images: B pictures, uint8 [3, H, W] on the model's device.
        ids: uint64 [B].
        classes: str [C], machine names; class i is the model's label i + 1.

    Returns:
        Boxes as shares of the pictures, best first in each.
    """
    found: list[dict[str, Tensor]] = model(list(images)) if images else []
    shares = [
        one["boxes"] / one["boxes"].new_tensor([*image.shape[:0:-1], *image.shape[:0:-1]])
        for one, image in zip(found, images, strict=True)
    ]
    return Detections(
        image_ids=np.repeat(ids, [len(boxes) for boxes in shares]),
        labels=_joined([one["labels"] for one in found]).astype(np.int32) - BACKGROUND,
        scores=_joined([one["scores"] for one in found]).astype(np.float64),
        boxes=_joined(shares).astype(np.float64).reshape(-1, 4),
        classes=classes,
    )


def ids_of(batch: dict[str, list[int]]) -> NDArray[np.uint64]:
    """The ids of a batch's pictures, uint64 [B]."""
    return np.array(batch["id"], dtype=np.uint64)


def _joined(parts: Sequence[Tensor]) -> NDArray[np.floating | np.integer]:
    joined: NDArray[np.floating | np.integer] = torch.cat(list(parts)).cpu().numpy() if parts else np.empty(0)
    return joined
