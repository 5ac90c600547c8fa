"""Build descriptor networks from a few settings; the files in `conf/model` call these functions."""

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Literal

from timm.layers.drop import DropPath
from torch import nn

from landmarks.errors import LandmarksError
from landmarks.models.descriptor import DescriptorNet
from landmarks.models.inception_v4 import InceptionV4
from landmarks.models.pooling import AveragePool, GeM
from landmarks.models.published_models import BackboneName
from landmarks.models.resnet_vd import resnet152_vd, resnet200_vd, se_resnext152_vd
from landmarks.models.timm_backbone import TimmBackbone, create_pretrained
from landmarks.models.weights import load_weights

Pooling = Literal["average", "gem"]

# The function that builds each published backbone, by name.
BACKBONES: dict[BackboneName, Callable[..., nn.Module]] = {
    "res152": resnet152_vd,
    "res200": resnet200_vd,
    "se_x152": se_resnext152_vd,
    "inceptionv4": InceptionV4,
}
POOLINGS: dict[Pooling, Callable[[], nn.Module]] = {"average": AveragePool, "gem": GeM}

NO_IMAGENET_WEIGHTS = {
    "res200": "timm has no ResNet-200 with these numbers of blocks (its resnet200d is another network)",
    "se_x152": "timm has no SE-ResNeXt152",
    "inceptionv4": "timm's inception_v4 has 1x7 kernels where this network has 7x1, so that its weights do "
    "not fit (model=timm model.name=inception_v4 model.pretrained=true is that network with its weights)",
}


def published_net(
    backbone: BackboneName,
    pooling: Pooling = "average",
    dim: int | None = 512,
    batch_norm: bool = False,
    dropout: float = 0.0,
    pretrained: bool | str | Path = False,
    checkpointing: bool = False,
    local_dim: int | None = None,
    local_relu: bool = True,
    frozen_global: bool = False,
    drop_path: float = 0.0,
) -> DescriptorNet:
    """Build one of the four published networks.

    Args:
        backbone: Name of the backbone.
        pooling: `average` as published, or `gem`.
        dim: Length of the descriptor; None uses the pooled features.
        batch_norm: Apply batch norm to the descriptor.
        dropout: Share of the descriptor set to zero in training, in [0, 1).
        pretrained: False starts from random weights, True downloads ImageNet weights from timm (only for res152), a
            path reads a file: see `models.weights.load_weights`.
        checkpointing: Train in less memory and a third more time.
        local_dim: Length of local descriptors, see `models.local_branch`; None builds no local branch.
        local_relu: End the reconstruction of the local branch with a ReLU.
        frozen_global: Train the local branch alone.
        drop_path: Stochastic depth (Huang et al., ECCV 2016): the share of images that skip the last residual block in
            training, in [0, 1); it falls to 0 towards the first. InceptionV4 has no residual blocks.

    Raises:
        LandmarksError: There are no weights for this backbone, they cannot be downloaded, the file does not fit, or
            the backbone has no stochastic depth.
    """
    if pretrained is True and backbone in NO_IMAGENET_WEIGHTS:
        reason = NO_IMAGENET_WEIGHTS[backbone]
        raise LandmarksError(
            f"model.pretrained=true: there are no ImageNet weights for {backbone}: {reason}. "
            "Use model.pretrained=false, which trains from scratch, a file of weights (model.pretrained=PATH), "
            "or with model=res152 model.pretrained=true"
        )
    network = _with_depth(BACKBONES[backbone], drop_path)
    if pretrained is True:
        network.load_state_dict(create_pretrained("resnet152d").state_dict())
    net = DescriptorNet(
        network, POOLINGS[pooling](), dim, batch_norm, dropout, checkpointing, local_dim, local_relu, frozen_global
    )
    return _with_file(net, pretrained)


def timm_net(
    name: str,
    pooling: Pooling = "average",
    dim: int | None = 512,
    batch_norm: bool = False,
    dropout: float = 0.0,
    pretrained: bool | str | Path = False,
    checkpointing: bool = False,
    local_dim: int | None = None,
    local_relu: bool = True,
    frozen_global: bool = False,
    drop_path: float = 0.0,
) -> DescriptorNet:
    """Build a descriptor network on a backbone of timm.

    Args:
        name: timm's name, with or without a tag: `convnext_tiny`, `vit_small_patch14_dinov2.lvd142m`.
        pooling: `average` or `gem`.
        dim: Length of the descriptor; None uses the pooled features.
        batch_norm: Apply batch norm to the descriptor.
        dropout: Share of the descriptor set to zero in training, in [0, 1).
        pretrained: As for `published_net`; True downloads timm's weights.
        checkpointing: Train in less memory and a third more time; some timm networks do not support it.
        local_dim: As for `published_net`; the network needs a feature map with a stride of 8 to 16 pixels.
        local_relu: End the reconstruction of the local branch with a ReLU; false where the third stage of the network
            has negative values, as in EfficientNet and ConvNeXt.
        frozen_global: Train the local branch alone.
        drop_path: As for `published_net`; timm's `drop_path_rate`, which some networks do not have.

    Raises:
        LandmarksError: timm has no such network or no weights for it, they cannot be downloaded, a file does not fit,
            or the network has no stochastic depth.
    """
    backbone = _with_depth(partial(TimmBackbone, name, pretrained is True), drop_path)
    net = DescriptorNet(
        backbone, POOLINGS[pooling](), dim, batch_norm, dropout, checkpointing, local_dim, local_relu, frozen_global
    )
    return _with_file(net, pretrained)


def _with_depth(build: Callable[..., nn.Module], drop_path: float) -> nn.Module:
    """Build a backbone with stochastic depth."""
    if not 0 <= drop_path < 1:
        raise LandmarksError(f"model.drop_path: {drop_path} is a share in [0, 1)")
    if not drop_path:
        return build()
    with suppress(TypeError):  # of a network that does not know the option; others ignore it
        network = build(drop_path_rate=drop_path)
        if any(isinstance(module, DropPath) and module.drop_prob for module in network.modules()):
            return network
    raise LandmarksError("model.drop_path: this network has no stochastic depth; leave it at 0")


def _with_file(net: DescriptorNet, pretrained: bool | str | Path) -> DescriptorNet:
    if not isinstance(pretrained, bool):
        load_weights(net, Path(pretrained))
    return net
