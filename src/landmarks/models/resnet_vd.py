"""The residual networks of the published models, built from timm's blocks.

ResNet-vd is ResNet with a stem of three 3x3 convolutions and shortcuts that average-pool before they project
(He et al., "Bag of Tricks for Image Classification with Convolutional Neural Networks", CVPR 2019, figures 2c
and 2d: timm's "d" variants). SE-ResNeXt adds grouped convolutions (Xie et al., CVPR 2017) and channel
attention (Hu et al., "Squeeze-and-Excitation Networks", CVPR 2018).

The published depths are not timm's: `resnet200d` has [3, 24, 36, 3] blocks, and timm has no SE-ResNeXt152. Weights are
initialised as in timm: He normal convolutions, and the last batch norm of each block at zero, so that a block starts as
its shortcut and 200 layers train from scratch.

Images can have sides of any length, but results agree with the original framework only at multiples of 32, because
average pools treat borders differently.
"""

from typing import Any

from timm.models.resnet import Bottleneck, ResNet


def resnet152_vd(**options: Any) -> ResNet:
    """Build ResNet152-vd without its head, timm's `resnet152d`: float [B, 3, H, W] to [B, 2048, H/32, W/32]."""
    return _headless(layers=(3, 8, 36, 3), stem_width=32, **options)


def resnet200_vd(**options: Any) -> ResNet:
    """Build ResNet200-vd without its head: float [B, 3, H, W] to [B, 2048, H/32, W/32]."""
    return _headless(layers=(3, 12, 48, 3), stem_width=32, **options)


def se_resnext152_vd(**options: Any) -> ResNet:
    """Build SE-ResNeXt152-vd 64x4d without its head: float [B, 3, H, W] to [B, 2048, H/32, W/32].

    64 groups of width 4 make the inner width of every bottleneck equal to its output width.
    """
    attention = {"attn_layer": "se"}
    return _headless((3, 8, 36, 3), stem_width=64, cardinality=64, base_width=4, block_args=attention, **options)


def _headless(layers: tuple[int, int, int, int], stem_width: int, **options: Any) -> ResNet:
    block: Any = Bottleneck  # timm's hint asks for an instance where it takes the class
    return ResNet(
        block,
        layers,
        stem_width=stem_width,
        stem_type="deep",
        avg_down=True,
        num_classes=0,
        global_pool="",
        **options,
    )
