"""Check on synthetic images that an exported network computes the same as the original.

Differences are measured in units of the spread, the standard deviation of the differences between the outputs of two
images. An absolute bound would be strict for one network and loose for another.
"""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F  # noqa: N812 - the usual name
from torch import Tensor

from landmarks.data import MULTIPLE
from landmarks.errors import LandmarksError

TOLERANCE = 1e-3
"""Largest accepted difference, in spreads. Another order of sums changes the outputs of the published networks by up to
2e-5 (as do torch's two memory formats); arithmetic in bfloat16 changes them by 1.6e-2."""
SHAPES = ((2, 4, 6), (1, 7, 4), (3, 5, 5))
"""Batch, and height and width in multiples: all different, and different from the example of `models.program`."""
BLOCKS = 2
"""Patches of one colour along a multiple; networks give nearly the same output for all images of plain noise."""

Network = Callable[[Tensor], Tensor]


def largest_difference(reference: Network, other: Network, multiple: int = MULTIPLE) -> float:
    """Return the largest difference between the outputs of two networks, in spreads of the first one's outputs.

    Args:
        reference: Network from normalised images float32 [B, 3, H, W] to outputs float32 [B, D], on the CPU.
        other: The same network in another form.
        multiple: See `models.program.program_multiple`.

    Returns:
        The difference, 0 or more; infinite if it is NaN, or if all outputs are the same.

    Raises:
        LandmarksError: The shapes of the outputs differ, or outputs of the reference are not finite.
    """
    expected, found = [], []
    with torch.inference_mode():
        for images in trial_images(multiple):
            expected.append(reference(images))
            found.append(other(images))
            if found[-1].shape != expected[-1].shape:
                raise LandmarksError(f"it gives {list(found[-1].shape)} instead of {list(expected[-1].shape)}")
        outputs, others = torch.cat(expected).double(), torch.cat(found).double()
        if not outputs.isfinite().all():
            raise LandmarksError("the network gives values that are not finite: check its weights")
        spread = (outputs[1:] - outputs[:-1]).std().item()
        difference = (others - outputs).abs().max().item()
    if difference == 0:
        return 0.0
    return difference / spread if spread and not math.isnan(difference) else math.inf


def trial_images(multiple: int = MULTIPLE) -> list[Tensor]:
    """Return images of the shapes in `SHAPES`, float32 [B, 3, H, W], of random patches, the same in every call."""
    random = torch.Generator().manual_seed(0)
    images = []
    for batch, height, width in SHAPES:
        patches = torch.randn(batch, 3, BLOCKS * height, BLOCKS * width, generator=random)
        brightness = torch.randn(batch, 1, 1, 1, generator=random)
        whole = F.interpolate(patches + brightness, (height * multiple, width * multiple), mode="nearest")
        images.append(whole)
    return images
