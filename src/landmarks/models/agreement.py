"""Whether a network written down in another form still computes the same, seen on images made up for that.

Differences are told in units of the spread: how far the outputs of two images lie apart. An absolute bound would be
strict for one network and lax for another.
"""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F  # noqa: N812 - the name its users know
from torch import Tensor

from landmarks.data import MULTIPLE
from landmarks.errors import LandmarksError

TOLERANCE = 1e-3
"""Largest difference, in spreads. Sums taken in another order move the outputs of the published networks by up to 2e-5
(so much lies between torch's own two memory formats, too); arithmetic in bfloat16 moves them by 1.6e-2."""
SHAPES = ((2, 4, 6), (1, 7, 4), (3, 5, 5))
"""Batch, and height and width in multiples; the example of `models.program` is none, no two agree in anything."""
BLOCKS = 2
"""Patches of one colour that lie in a multiple: networks answer alike to all images of plain noise."""

Network = Callable[[Tensor], Tensor]


def largest_difference(reference: Network, other: Network, multiple: int = MULTIPLE) -> float:
    """How far two networks disagree at most, in spreads of the first one's outputs.

    Args:
        reference: normalised images float32 [B, 3, H, W] to outputs float32 [B, D], on the CPU.
        other: the same in another form.
        multiple: see `models.program.program_multiple`.
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
            raise LandmarksError("the network gives values that are not finite: look at its weights")
        spread = (outputs[1:] - outputs[:-1]).std().item()
        difference = (others - outputs).abs().max().item()
    if difference == 0:
        return 0.0
    return difference / spread if spread and not math.isnan(difference) else math.inf


def trial_images(multiple: int = MULTIPLE) -> list[Tensor]:
    """Normalised images of `SHAPES`, patches of random colours, the same in every call: float32 [B, 3, H, W]."""
    random = torch.Generator().manual_seed(0)
    images = []
    for batch, height, width in SHAPES:
        patches = torch.randn(batch, 3, BLOCKS * height, BLOCKS * width, generator=random)
        brightness = torch.randn(batch, 1, 1, 1, generator=random)
        whole = F.interpolate(patches + brightness, (height * multiple, width * multiple), mode="nearest")
        images.append(whole)
    return images
