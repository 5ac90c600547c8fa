"""Faster R-CNN over a feature pyramid: what the detector files in `conf/model` call.

Ren et al., Faster R-CNN, 2015; Lin et al., Feature Pyramid Networks, 2017. Every part is torchvision's, and with the
backbone `resnet50` the weights of its `fasterrcnn_resnet50_fpn` fit name by name; the backbone comes from timm, so
that a small one can take its place. The defaults of inference are those of the published detector: scores from 0.1,
suppression per class at IoU 0.5, at most 100 boxes.

Three things differ from `torchvision.models.detection`:

- Images come in their final size. They are shrunk in the workers that read them, with antialiasing, where
  torchvision would enlarge or shrink without, on the device.
- Corners stay float32 under mixed precision. Anchors and offsets in bfloat16 would move boxes by up to four pixels.
- What scales with the size of objects (region pooling) follows the anchors, so that small images work as well.
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
STEM = ("conv1", "bn1", "layer1", "conv_stem", "stem")  # what ImageNet weights know better than a short training
CLASSES = "roi_heads.box_predictor."  # what depends on the number of classes
COUNTER = "num_batches_tracked"  # batch norm with a fixed momentum never reads it


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

    It takes a list of uint8 [3, H, W]; in training also targets, a list of dicts of `boxes` float32 [n, 4] in pixels
    and `labels` int64 [n] in 1..C, and then returns four losses by name; else a list of dicts of `boxes`, `labels`
    and `scores`.

    Args:
        num_classes: C, without the background.
        backbone: timm's name of a convolutional network, with or without a tag.
        backbone_options: Handed on to timm, such as the widths of a ResNet's stages.
        pretrained: False starts from scratch, with trained batch norm; True takes timm's ImageNet weights, a path a
            file (see `load_detector_weights`), and both keep batch norm and the first stage as they are.
        channels: Of the pyramid.
        hidden: Width of the two layers that judge a region.
        strides: Of the backbone's maps that the pyramid is made of; one coarser is added.
        anchor_sizes: Side of the anchors of each level, pixels; one more than `strides`.
        proposals: Regions of an image that are judged in training; half as many otherwise.
        anchor_samples: Anchors of an image that enter the loss.
        box_samples: Regions of an image that enter the loss.
        score_threshold: Least score of a box.
        nms_threshold: Boxes of one class that overlap more than this are one.
        max_boxes: Most boxes of an image.
        fill: False leaves random what `pretrained` says where weights come from, for a checkpoint to fill.
    """
    if num_classes < 1 or len(anchor_sizes) != len(strides) + 1:
        raise LandmarksError(
            f"model: {num_classes} classes, {len(strides)} strides and {len(anchor_sizes)} anchor_sizes; "
            "a detector needs a class, and a size of anchors for each stride and for one level more"
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
        # torchvision keeps what lies above, we what is not below
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
    """Make a detector ready to run."""
    if channels_last:
        model = model.to(memory_format=torch.channels_last)
    if compile:  # in place: the names in checkpoints stay those of the plain network
        model.backbone.compile(dynamic=True)
    return model


class Pyramid(nn.Module):
    """A backbone and the pyramid over it, in the names of torchvision's detectors."""

    def __init__(self, body: Any, channels: int) -> None:
        super().__init__()
        self.body = body
        self.fpn = FeaturePyramidNetwork(body.feature_info.channels(), channels, LastLevelMaxPool())
        self.out_channels = channels

    def forward(self, images: Tensor) -> OrderedDict[str, Tensor]:
        """Float [B, 3, H, W] to the levels of the pyramid, finest first, by name."""
        levels: OrderedDict[str, Tensor] = self.fpn(OrderedDict((str(i), x) for i, x in enumerate(self.body(images))))
        return levels


class Anchors(AnchorGenerator):
    """Anchors in float32, whatever the features are."""

    def set_cell_anchors(self, dtype: torch.dtype, device: torch.device) -> None:
        """Move the anchors to the device; their type stays."""
        super().set_cell_anchors(torch.float32, device)


class AnchorHead(RPNHead):
    """Scores and offsets of anchors in float32."""

    def forward(self, x: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """Maps [B, C, H, W] of all levels -> scores [B, A, H, W] and offsets [B, 4A, H, W] of each."""
        scores, offsets = super().forward(x)
        return [level.float() for level in scores], [level.float() for level in offsets]


class BoxHead(FastRCNNPredictor):
    """Classes and offsets of regions in float32."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Regions [R, hidden] -> logits [R, 1 + C] and offsets [R, 4 (1 + C)]."""
        logits, offsets = super().forward(x)
        return logits.float(), offsets.float()


class Batching(GeneralizedRCNNTransform):
    """Puts uint8 images of several sizes into one normalised batch; none is resized."""

    def __init__(self) -> None:
        super().__init__(0, 0, list(MEAN), list(STD))

    def normalize(self, image: Tensor) -> Tensor:
        """Uint8 [3, H, W] to float32, normalised."""
        return normalize(image[None])[0]

    def resize(self, image: Tensor, target: dict[str, Tensor] | None = None) -> tuple[Tensor, dict[str, Tensor] | None]:
        """Leave image and boxes as they are."""
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
        raise LandmarksError(f"model.backbone={name}: gives no maps of several strides ({error})") from error
    if absent := [stride for stride in strides if stride not in found]:
        raise LandmarksError(f"model.strides: {name} has no maps of stride {absent}; it has {found}")
    options: dict[str, Any] = {
        **given,
        "features_only": True,
        "out_indices": tuple(found.index(stride) for stride in strides),
    }
    if pretrained:
        return create_pretrained(name, **options)
    return timm.create_model(name, pretrained=False, **options)


def load_detector_weights(model: FasterRCNN, path: Path) -> None:
    """Fill a detector from a `.safetensors` file or a torch checkpoint, which is read without unpickling objects.

    Names decide what the file holds:

    - a detector, `backbone.body.…`, as torchvision and we save it, with whatever wrapper's name before; its layer of
      classes is left out where it knows another number of them;
    - a backbone, in timm's or torchvision's names; what it has besides, such as its classifier, is left out.

    After an error, which names the file and what does not fit, the model is of no use.
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
