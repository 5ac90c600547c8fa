"""Local features by attention: the positions of a network's third stage that its local branch finds worth matching.

Noh et al., "Large-Scale Image Retrieval with Attentive Deep Local Features", ICCV 2017, section 4; the pyramid of seven
scales, the limits of 1,000 features and 1,024 pixels are those of the published programs of DELF and DELG. Ours: levels
above the limit show the pixels that an image has instead of enlarging what was shrunk before; their sides are multiples
of the stride, so that the grid of positions is the same in all; the centre of what a position describes is measured and
not computed from paddings; and its diameter is two strides, since theoretical receptive fields of deep networks cover
whole images.

Why measured: what counts is the middle of the effective receptive field (Luo et al., "Understanding the Effective
Receptive Field in Deep Convolutional Neural Networks", NeurIPS 2016). Paddings put the first position of EfficientNet
with TensorFlow's "same" paddings on pixel 15; its trained weights look at pixel 9, and 0 is a ResNet's. An error would
be of another size in every level of the pyramid.
"""

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - the usual name
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from landmarks.errors import LandmarksError
from landmarks.models import DescriptorNet, Device, find_third_stage, normalize, open_model

# Scales of the levels of the pyramid, as published: 0.25 to 2, by the root of 2.
PYRAMID = tuple(2 ** (power / 2) for power in range(-4, 3))
DIAMETER = 2
"""Of a feature, in strides."""
TRIALS, TRIAL_SIDE, PATCH = 4, 15, 8
"""Images on which the centre is measured, their side in strides, and pixels of the patches of colour in them."""


Centres = tuple[NDArray[np.float64], NDArray[np.float64]]


class DelfPoints(NamedTuple):
    """The local features of one image, by falling attention.

    Attributes:
        points: float32 [n, 2], x and y of the centres of what they describe, in pixels of the given image; the centre
            of the first pixel is 0.
        scales: float32 [n], diameters in pixels of that image.
        scores: float32 [n], attention.
        descriptors: float32 [n, D], of length one.
        size: Height and width of that image in pixels.
    """

    points: NDArray[np.float32]
    scales: NDArray[np.float32]
    scores: NDArray[np.float32]
    descriptors: NDArray[np.float32]
    size: tuple[int, int]


class AttentionMap(NamedTuple):
    """What a network attends to in an image.

    Attributes:
        values: float32 [H', W'], attention, above 0.
        rows: float64 [H'], the heights of the centres in pixels of the given image.
        columns: float64 [W'], their places from the left.
    """

    values: NDArray[np.float32]
    rows: NDArray[np.float64]
    columns: NDArray[np.float64]


class DelfPyramid:
    """Computes local features with a network that has a local branch.

    Args:
        net: The network in eval mode, on the device to compute on.
        max_features: Largest number of features of an image.
        long_side: Long side of the level of scale 1 in pixels, for images that are larger; smaller ones keep their
            size there.
        pyramid: Scales of the levels.
        min_score: Attention that a feature must exceed. What is much differs between networks; 0 leaves out none.

    Raises:
        LandmarksError: The network has no local branch or takes images of a single size, or an argument is out of
            range.
    """

    def __init__(
        self,
        net: nn.Module,
        max_features: int = 1000,
        long_side: int = 1024,
        pyramid: Sequence[float] = PYRAMID,
        min_score: float = 0.0,
    ) -> None:
        if not isinstance(net, DescriptorNet) or net.local is None:
            raise LandmarksError(
                "this model has no local branch; train one with model.local_dim=128, on a model that is trained "
                "already with model.pretrained=FILE model.frozen_global=true"
            )
        if max_features < 1 or long_side < 1 or not pyramid or min(pyramid) <= 0 or not math.isfinite(sum(pyramid)):
            raise LandmarksError(
                "DELF: max_features and long_side are 1 or more, and scales of the pyramid above 0, not "
                f"{max_features}, {long_side} and {list(pyramid)}"
            )
        self.net = net
        self.branch = net.local
        self.max_features = max_features
        self.long_side = long_side
        self.pyramid = tuple(pyramid)
        self.min_score = min_score
        self.stride: int = find_third_stage(net.backbone)[1]["reduction"]
        self.multiple = math.lcm(self.stride, net.input_multiple)
        self.smallest = _smallest_side(net, self.multiple)
        self.start = _first_centre(net, self.stride, self.multiple)

    @torch.inference_mode()
    def __call__(self, image: NDArray[np.uint8]) -> DelfPoints:
        """Compute the features of an image, uint8 [H, W, 3] RGB, of any size."""
        height, width = image.shape[:2]
        found = [self._features(level, image) for level in self._levels(image, self.pyramid)]
        points, scales, scores, descriptors = (np.concatenate(kind) for kind in zip(*found, strict=True))
        order = np.argsort(-scores, kind="stable")[: self.max_features]
        order = order[scores[order] > self.min_score]
        return DelfPoints(points[order], scales[order], scores[order], descriptors[order], (height, width))

    @torch.inference_mode()
    def attention(self, image: NDArray[np.uint8]) -> AttentionMap:
        """Compute the attention at scale 1 of an image, uint8 [H, W, 3] RGB."""
        (level,) = self._levels(image, [1.0])
        values = self._run(level)[0].numpy()
        return AttentionMap(values, *self._centres(level, image, values.shape))

    def _centres(self, level: NDArray[np.uint8], image: NDArray[np.uint8], cells: Sequence[int]) -> Centres:
        """Place the rows and columns of the map of a level in the image."""
        rows, columns = (
            (self.start + np.arange(count) * self.stride + 0.5) * whole / side - 0.5
            for count, whole, side in zip(cells, image.shape[:2], level.shape[:2], strict=True)
        )
        return rows, columns

    def _levels(self, image: NDArray[np.uint8], scales: Sequence[float]) -> list[NDArray[np.uint8]]:
        """Resize an image to each scale, without levels that are the same after rounding."""
        height, width = image.shape[:2]
        shrink = min(self.long_side / max(height, width), 1.0)
        sizes = [(self._side(height * shrink * scale), self._side(width * shrink * scale)) for scale in scales]
        source = Image.fromarray(image)
        largest = max(sizes)
        if height * width > largest[0] * largest[1]:  # of 100 megapixels most are needed once
            source = _resized(source, largest)
        return [np.asarray(_resized(source, size)) for size in dict.fromkeys(sizes)]

    def _side(self, pixels: float) -> int:
        return max(round(pixels / self.multiple) * self.multiple, self.smallest)

    def _run(self, level: NDArray[np.uint8]) -> tuple[Tensor, Tensor]:
        """Compute attention [H', W'] and descriptors [D, H', W'] of a level, on the CPU."""
        pixels = torch.from_numpy(level.transpose(2, 0, 1)[None].copy()).to(_device(self.net))
        attention, descriptors = self.branch(self.net.third_stage(normalize(pixels)))
        return attention[0].float().cpu(), F.normalize(descriptors.float(), dim=1)[0].cpu()

    def _features(self, level: NDArray[np.uint8], image: NDArray[np.uint8]) -> tuple[NDArray[np.float32], ...]:
        """Return points, scales, scores and descriptors of one level in pixels of the image."""
        attention, descriptors = self._run(level)
        rows, columns = self._centres(level, image, attention.shape)
        points = np.stack(np.meshgrid(columns, rows), axis=-1).reshape(-1, 2)
        shrunk = math.sqrt(math.prod(image.shape[:2]) / math.prod(level.shape[:2]))
        return (
            points.astype(np.float32),
            np.full(len(points), DIAMETER * self.stride * shrunk, np.float32),
            attention.flatten().numpy(),
            descriptors.flatten(1).T.contiguous().numpy(),
        )


def open_delf(path: str | Path, device: Device = "cpu", trust: Iterable[str] = (), **options: Any) -> DelfPyramid:
    """Open a checkpoint or model file whose network has a local branch.

    Args:
        path: The file.
        device: Device to compute on; "auto" uses a GPU if there is one.
        trust: See `open_model`.
        **options: Of `DelfPyramid`.

    Raises:
        LandmarksError: The file cannot be used, or its network has no local branch.
    """
    opened = open_model(path, "descriptors", device, trust=trust)
    try:
        return DelfPyramid(opened.network, **options)
    except LandmarksError as error:
        raise LandmarksError(f"{path}: {error}") from None


@torch.no_grad()
def _smallest_side(net: DescriptorNet, multiple: int) -> int:
    """Find the smallest multiple that the network takes as a side of an image; without paddings it needs several."""
    error: Exception | None = None
    for side in range(multiple, TRIAL_SIDE * multiple + 1, multiple):
        try:
            if net.third_stage(torch.zeros(1, 3, side, side, device=_device(net))).numel():
                return side
        except Exception as one:  # networks raise errors of any type
            error = one
    raise LandmarksError(
        f"its network takes no images of up to {side} x {side} pixels, and a pyramid has many sizes; train another one"
    ) from error


@torch.inference_mode(False)
@torch.enable_grad()
def _first_centre(net: DescriptorNet, stride: int, multiple: int) -> float:
    """Measure the pixel that the first position of the map is centred on, of rows as of columns.

    It is the centre of mass of the squared gradient of a position in the middle, on images of coloured patches. Rounded
    to quarters of a pixel, so that it is the same on every machine.
    """
    side = TRIAL_SIDE * multiple
    random = torch.Generator().manual_seed(0)
    patches = torch.randn(TRIALS, 3, -(-side // PATCH), -(-side // PATCH), generator=random)
    images = F.interpolate(patches, size=(side, side)).to(_device(net)).requires_grad_()
    features = net.third_stage(images)
    middle = features.shape[-1] // 2
    weights = torch.randn(features.shape[:2], generator=random).to(features)
    (gradient,) = torch.autograd.grad((features[:, :, middle, middle] * weights).sum(), images)
    energy = gradient.double().square().sum(dim=(0, 1)).cpu()
    along = energy.sum(dim=0) + energy.sum(dim=1)
    centre = float((along * torch.arange(side)).sum() / along.sum())
    return round((centre - middle * stride) * 4) / 4


def _device(net: nn.Module) -> torch.device:
    return next(net.parameters()).device


def _resized(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    return image.resize((size[1], size[0]), Image.Resampling.LANCZOS, reducing_gap=3.0)
