"""Faster R-CNN with a feature pyramid, which the detector files in `conf/model` build.

Ren et al., Faster R-CNN, 2015; Lin et al., Feature Pyramid Networks, 2017. All parts are torchvision's, and with the
backbone `resnet50` the weights of its `fasterrcnn_resnet50_fpn` fit by name; the backbone comes from timm, so that
smaller ones can be used. The inference defaults are those of the published detector: scores from 0.1, non-maximum
suppression per class at IoU 0.5, at most 100 boxes.

Three things differ from `torchvision.models.detection`:

- Images arrive in their final size. They are resized with antialiasing in the workers that read them, while
  torchvision resizes without antialiasing on the device.
- Corners stay float32 under mixed precision. Anchors and offsets in bfloat16 would move boxes by up to four pixels.
- Region pooling depends on the sizes of the anchors, so that small images work as well.
"""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch
from timm.layers.norm_act import freeze_batch_norm_2d
from torch import Tensor, nn
from torchvision.models.detection import FasterRCNN
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.rpn import RPNHead
from torchvision.models.detection.transform import GeneralizedRCNNTransform
from torchvision.ops import FeaturePyramidNetwork, MultiScaleRoIAlign
from torchvision.ops.feature_pyramid_network import LastLevelMaxPool

from landmarks.data import MEAN, STD
from landmarks.errors import LandmarksError, counted
from landmarks.models import create_pretrained, named_as, normalize, read_weights, refuse_odd

CELLS = 7  # side of the grid that a region is pooled to
ASPECT_RATIOS = (0.5, 1.0, 2.0)  # height over width of anchors
STEM = ("conv1", "bn1", "layer1", "conv_stem", "stem")  # layers that keep their pretrained weights
CLASSES = "roi_heads.box_predictor."  # layers that depend on the number of classes
COUNTER = "num_batches_tracked"  # not used by batch norm with a fixed momentum


def faster_rcnn(
    num_classes: int,
    backbone: str = "resnet50.tv_in1k",
    backbone_options: Mapping[str, Any] | None = None,
    pretrained: bool | str | Path = False,
    channels: int = 256,
    hidden: int = 1024,
    strides: Sequence[int] = (4, 8, 16, 32),
    anchor_sizes: Sequence[int] = (32, 64, 128, 256, 512),
    proposals: int = 2000,
    anchor_samples: int = 256,
    box_samples: int = 512,
    score_threshold: float = 0.1,
    nms_threshold: float = 0.5,
    max_boxes: int = 100,
    fill: bool = True,
) -> FasterRCNN:
    """Build a detector.

    It takes a list of images, uint8 [3, H, W]. In training it also takes targets, a list of dicts of `boxes` float32
    [n, 4] in pixels and `labels` int64 [n] in 1..C, and returns four losses by name; otherwise it returns a list of
    dicts of `boxes`, `labels` and `scores`.

    Args:
        num_classes: C, the number of classes without the background.
        backbone: timm's name of a convolutional network, with or without a tag.
        backbone_options: Options passed on to timm, such as the widths of a ResNet's stages.
        pretrained: False starts from scratch and trains batch norm. True takes timm's ImageNet weights, and a path
            those in a file (see `load_detector_weights`); both freeze batch norm and the first stage.
        channels: Channels of the pyramid.
        hidden: Width of the two layers that classify a region.
        strides: Strides of the backbone's feature maps for the pyramid; one coarser level is added.
        anchor_sizes: Side of the anchors of each level, pixels; one more than `strides`.
        proposals: Regions per image that are classified in training; half as many in inference.
        anchor_samples: Anchors per image that enter the loss.
        box_samples: Regions per image that enter the loss.
        score_threshold: Minimal score of a box.
        nms_threshold: Of boxes of one class with a larger IoU than this, only the best is kept.
        max_boxes: Maximal number of boxes per image.
        fill: Whether to load the `pretrained` weights; False leaves random weights, for a checkpoint to replace.

    Raises:
        LandmarksError: The arguments are inconsistent, the backbone is unknown, or the weights do not fit.
    """
    if num_classes < 1 or len(anchor_sizes) != len(strides) + 1:
        raise LandmarksError(
            f"model: {num_classes} classes, {len(strides)} strides and {len(anchor_sizes)} anchor_sizes; "
            "a detector needs at least one class, and one more of anchor_sizes than of strides"
        )
    pyramid = Pyramid(_body(backbone, backbone_options or {}, strides, pretrained is True and fill), channels)
    anchors = Anchors(tuple((size,) for size in anchor_sizes), (ASPECT_RATIOS,) * len(anchor_sizes))
    pooling = MultiScaleRoIAlign(
        [str(level) for level in range(len(strides))],
        CELLS,
        sampling_ratio=2,
        canonical_scale=CELLS * anchor_sizes[0],  # 224 for anchors from 32 on
        canonical_level=2 + int(np.log2(strides[0])),
    )
    model = FasterRCNN(
        pyramid,
        rpn_anchor_generator=anchors,
        rpn_head=AnchorHead(channels, len(ASPECT_RATIOS)),
        rpn_pre_nms_top_n_train=proposals,
        rpn_post_nms_top_n_train=proposals,
        rpn_pre_nms_top_n_test=proposals // 2,
        rpn_post_nms_top_n_test=proposals // 2,
        rpn_batch_size_per_image=anchor_samples,
        box_roi_pool=pooling,
        box_head=TwoMLPHead(channels * CELLS**2, hidden),
        box_predictor=BoxHead(hidden, 1 + num_classes),
        box_batch_size_per_image=box_samples,
        # torchvision keeps scores above the threshold, this detector also those equal to it
        box_score_thresh=float(np.nextafter(np.float32(score_threshold), np.float32(-1))),
        box_nms_thresh=nms_threshold,
        box_detections_per_img=max_boxes,
    )
    model.transform = Batching()
    if fill and not isinstance(pretrained, bool):
        load_detector_weights(model, Path(pretrained))
    if pretrained is not False:
        pyramid.body = freeze_batch_norm_2d(pyramid.body)
        for name, parameter in pyramid.body.named_parameters():
            parameter.requires_grad_(not name.startswith(STEM))
    return model


def prepared(model: FasterRCNN, channels_last: bool, compile: bool) -> FasterRCNN:
    """Set the memory format of a detector and compile it, if asked to."""
    if channels_last:
        model = model.to(memory_format=torch.channels_last)
    if compile:  # in place, so that names in checkpoints do not change
        model.backbone.compile(dynamic=True)
    return model


class Pyramid(nn.Module):
    """A backbone with a feature pyramid, named as in torchvision's detectors."""

    def __init__(self, body: Any, channels: int) -> None:
        super().__init__()
        self.body = body
        self.fpn = FeaturePyramidNetwork(body.feature_info.channels(), channels, LastLevelMaxPool())
        self.out_channels = channels

    def forward(self, images: Tensor) -> OrderedDict[str, Tensor]:
        """Compute the levels of the pyramid by name, finest first, from float [B, 3, H, W]."""
        levels: OrderedDict[str, Tensor] = self.fpn(OrderedDict((str(i), x) for i, x in enumerate(self.body(images))))
        return levels


class Anchors(AnchorGenerator):
    """Anchors in float32, whatever the type of the features."""

    def set_cell_anchors(self, dtype: torch.dtype, device: torch.device) -> None:
        """Move the anchors to the device without changing their type."""
        super().set_cell_anchors(torch.float32, device)


class AnchorHead(RPNHead):
    """Scores and offsets of anchors in float32."""

    def forward(self, x: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """Compute scores [B, A, H, W] and offsets [B, 4A, H, W] of each level from its map [B, C, H, W]."""
        scores, offsets = super().forward(x)
        return [level.float() for level in scores], [level.float() for level in offsets]


class BoxHead(FastRCNNPredictor):
    """Classes and offsets of regions in float32."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Compute logits [R, 1 + C] and offsets [R, 4 (1 + C)] of regions [R, hidden]."""
        logits, offsets = super().forward(x)
        return logits.float(), offsets.float()


class Batching(GeneralizedRCNNTransform):
    """Makes one normalised batch of uint8 images of several sizes, without resizing them."""

    def __init__(self) -> None:
        super().__init__(0, 0, list(MEAN), list(STD))

    def normalize(self, image: Tensor) -> Tensor:
        """Convert uint8 [3, H, W] to normalised float32."""
        return normalize(image[None])[0]

    def resize(self, image: Tensor, target: dict[str, Tensor] | None = None) -> tuple[Tensor, dict[str, Tensor] | None]:
        """Return image and boxes unchanged."""
        return image, target


def _body(name: str, given: Mapping[str, Any], strides: Sequence[int], pretrained: bool) -> Any:
    architecture = name.partition(".")[0]
    if not timm.is_model(architecture):
        raise LandmarksError(f"model.backbone={name}: timm has no such network; `timm.list_models()` lists all names")
    try:
        with torch.device("meta"):
            plain: Any = timm.create_model(architecture, features_only=True, **given)
        found: list[int] = plain.feature_info.reduction()
    except (RuntimeError, AttributeError, TypeError) as error:
        raise LandmarksError(
            f"model.backbone={name}: this network gives no feature maps of several strides ({error}); choose another"
        ) from error
    if absent := [stride for stride in strides if stride not in found]:
        raise LandmarksError(f"model.strides: {name} has no feature maps of stride {absent}; it has {found}")
    options: dict[str, Any] = {
        **given,
        "features_only": True,
        "out_indices": tuple(found.index(stride) for stride in strides),
    }
    if pretrained:
        return create_pretrained(name, **options)
    return timm.create_model(name, pretrained=False, **options)


def load_detector_weights(model: FasterRCNN, path: Path) -> None:
    """Load weights into a detector from a `.safetensors` file or a torch checkpoint, without unpickling objects.

    The names in the file decide what it contains:

    - a detector with names `backbone.body.…`, as torchvision and this package save it, perhaps with the prefix of a
      wrapper; its class layer is left out if it has another number of classes;
    - a backbone, with timm's or torchvision's names; other layers, such as its classifier, are left out.

    Args:
        model: The detector; it is unusable after an error.
        path: The file.

    Raises:
        LandmarksError: The weights do not fit; the message names the file and the layers.
    """
    found = read_weights(path)
    weights = named_as(model.state_dict(), found, path)
    if any(name.startswith("backbone.body.") for name in weights):
        _load(model, _of_same_classes(model, weights), path)
        return
    body = model.backbone.body
    own = body.state_dict().keys()
    _load(body, {name: w for name, w in named_as(own, found, path).items() if name in own}, path)


def _of_same_classes(model: nn.Module, weights: dict[str, Tensor]) -> dict[str, Tensor]:
    own = {name: w for name, w in model.state_dict().items() if name.startswith(CLASSES)}
    if all(name in weights and weights[name].shape == w.shape for name, w in own.items()):
        return weights
    return {**weights, **own}


def _load(network: nn.Module, weights: dict[str, Tensor], path: Path) -> None:
    try:
        refuse_odd(weights)
        found = network.load_state_dict(weights, strict=False)
    except LandmarksError as error:
        raise LandmarksError(f"model.pretrained={path}: {error}") from None
    except RuntimeError as error:  # names every tensor of another shape
        raise LandmarksError(f"model.pretrained={path} does not fit the detector: {error}") from None
    missing = [name for name in found.missing_keys if not name.endswith(COUNTER)]
    for kind, names in (("missing", missing), ("unknown", found.unexpected_keys)):
        if names:
            raise LandmarksError(f"model.pretrained={path} does not fit the detector: {counted(kind, names)}")
