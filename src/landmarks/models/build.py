"""What the files in `conf/model` call: a descriptor network from a few short keys."""

from collections.abc import Callable
from pathlib import Path
from typing import Literal

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

BACKBONES: dict[BackboneName, Callable[[], nn.Module]] = {
    "res152": resnet152_vd,
    "res200": resnet200_vd,
    "se_x152": se_resnext152_vd,
    "inceptionv4": InceptionV4,
}
POOLINGS: dict[Pooling, Callable[[], nn.Module]] = {"average": AveragePool, "gem": GeM}

NO_IMAGENET_WEIGHTS = {
    "res200": "timm has no ResNet-200 of this depth plan (its resnet200d is another network)",
    "se_x152": "timm has no SE-ResNeXt152",
    "inceptionv4": "timm's inception_v4 has wide kernels where this network has tall ones, so that its weights do "
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
) -> DescriptorNet:
    """One of the four published networks.

    Args:
        backbone: Which.
        pooling: `average` as published, or `gem`.
        dim: Length of the descriptor; None takes the pooled features.
        batch_norm: Batch norm on the descriptor.
        dropout: Share of the descriptor set to zero in training, in [0, 1).
        pretrained: False starts from scratch, True takes ImageNet weights from timm (res152 has them), a path
            takes a file: see `models.weights.load_weights`.
        checkpointing: Train in less memory and a third more time.
    """
    if pretrained is True and backbone in NO_IMAGENET_WEIGHTS:
        reason = NO_IMAGENET_WEIGHTS[backbone]
        raise LandmarksError(
            f"model.pretrained=true: there are no ImageNet weights for {backbone}: {reason}. "
            "Go on with model.pretrained=false, which trains from scratch, with a file (model.pretrained=PATH), "
            "or with model=res152 model.pretrained=true"
        )
    network = BACKBONES[backbone]()
    if pretrained is True:
        network.load_state_dict(create_pretrained("resnet152d").state_dict())
    net = DescriptorNet(network, POOLINGS[pooling](), dim, batch_norm, dropout, checkpointing)
    return _with_file(net, pretrained)


def timm_net(
    name: str,
    pooling: Pooling = "average",
    dim: int | None = 512,
    batch_norm: bool = False,
    dropout: float = 0.0,
    pretrained: bool | str | Path = False,
    checkpointing: bool = False,
) -> DescriptorNet:
    """A network of timm, by its name there.

    Args:
        name: timm's name, with or without a tag: `convnext_tiny`, `vit_small_patch14_dinov2.lvd142m`.
        pooling: `average` or `gem`.
        dim: Length of the descriptor; None takes the pooled features.
        batch_norm: Batch norm on the descriptor.
        dropout: Share of the descriptor set to zero in training, in [0, 1).
        pretrained: As of `published_net`, but True fetches timm's weights.
        checkpointing: Train in less memory and a third more time; not all of timm's networks can.
    """
    backbone = TimmBackbone(name, pretrained is True)
    net = DescriptorNet(backbone, POOLINGS[pooling](), dim, batch_norm, dropout, checkpointing)
    return _with_file(net, pretrained)


def _with_file(net: DescriptorNet, pretrained: bool | str | Path) -> DescriptorNet:
    if not isinstance(pretrained, bool):
        load_weights(net, Path(pretrained))
    return net
