"""Random augmentation of images together with their boxes, determined by a seed for each image."""

from collections.abc import Sequence
from dataclasses import dataclass

import albumentations
import numpy as np
from numpy.typing import NDArray

from landmarks.data import generators, leaves
from landmarks.errors import LandmarksError


@dataclass(frozen=True, eq=False)
class BoxedImage:
    """An image uint8 [H, W, 3], boxes float32 [n, 4] in pixels, and their original rows int64 [n]; crops drop some."""

    image: NDArray[np.uint8]
    boxes: NDArray[np.float32]
    rows: NDArray[np.int64]


class BoxAugmentation:
    """A list of albumentations transforms for images with boxes.

    Args:
        transforms: Transforms, applied in this order, such as `albumentations.HorizontalFlip(p=0.5)` and
            `albumentations.RandomSizedBBoxSafeCrop`. The output may have any size.
        min_visibility: A box is dropped if a crop leaves less than this share of its area.

    Raises:
        LandmarksError: A transform has an unknown argument, fails, or the output is not uint8 [H, W, 3].
    """

    def __init__(
        self,
        transforms: Sequence[albumentations.BasicTransform | albumentations.BaseCompose],
        min_visibility: float = 0.25,
    ) -> None:
        for transform in leaves(transforms):
            name = type(transform).__name__
            if unknown := getattr(transform, "invalid_args", None):
                raise LandmarksError(f"data.augmentation: {name} has no argument {unknown[0]!r}")
        boxes = albumentations.BboxParams(
            "pascal_voc", label_fields=["rows"], min_visibility=min_visibility, clip=True, filter_invalid_bboxes=True
        )
        # With bbox_params, a list that only changes colours would warn in every worker.
        self._moves = any(isinstance(transform, albumentations.DualTransform) for transform in leaves(transforms))
        try:
            self._compose = albumentations.Compose(list(transforms), bbox_params=boxes if self._moves else None)
            for seed in range(4):  # several seeds, so that most random transforms are tried
                tried = self(np.zeros((60, 80, 3), np.uint8), np.array([[10, 10, 70, 50]], np.float32), seed)
        except Exception as error:
            raise LandmarksError(f"data.augmentation: fails on an image of 80 x 60 with a box ({error})") from error
        if tried.image.dtype != np.uint8 or tried.image.ndim != 3 or tried.image.shape[2] != 3:
            raise LandmarksError(
                f"data.augmentation: gives {tried.image.dtype} {tried.image.shape} instead of uint8 [H, W, 3]; remove "
                "Normalize and ToTensorV2, since pixels are normalised on the device"
            )

    def __call__(self, image: NDArray[np.uint8], boxes: NDArray[np.float32], seed: int) -> BoxedImage:
        """Augment an image uint8 [H, W, 3] with boxes float32 [n, 4] in pixels; `seed` decides all random choices."""
        self._compose.set_random_state(*generators(seed))
        if not self._moves:
            return BoxedImage(self._compose(image=image)["image"], boxes, np.arange(len(boxes)))
        out = self._compose(image=image, bboxes=boxes, rows=np.arange(len(boxes)))
        kept = np.asarray(out["bboxes"], np.float32).reshape(-1, 4)
        return BoxedImage(out["image"], kept, np.asarray(out["rows"], np.int64).reshape(-1))
