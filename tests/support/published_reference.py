"""The published networks a second time: plain function calls that read variables by their published names.

Written from the published structure alone, on no module of ours, so that it can disagree with them. The average pools
of the shortcuts are those of the original framework: they round an odd size down, where timm's round up.
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

Values = Mapping[str, Tensor]
Layer = Callable[..., Tensor]


def reference(name: str, values: Values, images: Tensor) -> Tensor:
    """Descriptors, or the softmax of a classifier."""
    if name.startswith("inceptionv4"):
        return _connected(values, "fc_0", _inception(images, _named(values, "{}_weights", "{}_bn_")).mean((2, 3)))
    if name.startswith("se_x152"):
        return _connected(values, "fc_100", _se_resnext(images, values).mean((2, 3)))
    depths = (3, 12, 48, 3) if name.startswith("res200") else (3, 8, 36, 3)
    if "softmax" in name or name.startswith("res200"):
        pooled = _resnet(images, depths, _by_place(values)).mean((2, 3))
    else:
        pooled = _resnet(images, depths, _by_number(values)).mean((2, 3))
    x = _connected(values, "fc_0", pooled)
    if name == "res152_softmax_v1":
        x = _connected(values, "fc_1", x)
    return x.softmax(1) if "softmax" in name else x


def _connected(values: Values, name: str, x: Tensor) -> Tensor:
    return x @ values[f"{name}.w_0"] + values[f"{name}.b_0"]


def _normed(x: Tensor, values: Values, weight: str, norm: list[str], stride: int, padding: str, groups: int) -> Tensor:
    kernel = values[weight]
    pads = (kernel.shape[2] // 2, kernel.shape[3] // 2) if padding == "same" else (0, 0)
    x = F.conv2d(x, kernel, None, stride, pads, 1, groups)
    scale, offset, mean, variance = (values[name][None, :, None, None] for name in norm)
    return (x - mean) / (variance + 1e-5).sqrt() * scale + offset


def _named(values: Values, weight: str, norm: str) -> Layer:
    def layer(x: Tensor, name: str, stride: int = 1, padding: str = "same", groups: int = 1) -> Tensor:
        ends = [norm.format(name) + end for end in ("scale", "offset", "mean", "variance")]
        return _normed(x, values, weight.format(name), ends, stride, padding, groups)

    return layer


def _by_place(values: Values) -> Layer:
    def layer(x: Tensor, name: str, stride: int = 1) -> Tensor:
        ends = [f"bn{name[3:]}_{end}" for end in ("scale", "offset", "mean", "variance")]
        return _normed(x, values, f"{name}_weights", ends, stride, "same", 1)

    return layer


def _by_number(values: Values) -> Layer:
    made = iter(range(1000))

    def layer(x: Tensor, name: str, stride: int = 1) -> Tensor:
        number = next(made)
        ends = [f"batch_norm_{number}.{end}" for end in ("w_0", "b_0", "w_1", "w_2")]
        return _normed(x, values, f"conv2d_{number}.w_0", ends, stride, "same", 1)

    return layer


def _stem(x: Tensor, layer: Layer) -> Tensor:
    for name, stride in (("conv1_1", 2), ("conv1_2", 1), ("conv1_3", 1)):
        x = layer(x, name, stride).relu()
    return F.max_pool2d(x, 3, 2, 1)


def _resnet(x: Tensor, depths: tuple[int, ...], layer: Layer) -> Tensor:
    x = _stem(x, layer)
    for stage, depth in enumerate(depths, 2):
        for place in range(depth):
            letter = f"b{place}" if stage == 4 and place else "abcdefghijkl"[place]
            block, stride = f"res{stage}{letter}_branch", 2 if place == 0 and stage > 2 else 1
            y = layer(x, f"{block}2a").relu()
            y = layer(y, f"{block}2b", stride).relu()
            y = layer(y, f"{block}2c")
            if place == 0:
                x = layer(x if stride == 1 else F.avg_pool2d(x, 2, 2), f"{block}1")
            x = (x + y).relu()
    return x


def _se_resnext(x: Tensor, values: Values) -> Tensor:
    layer = _named(values, "{}_weights", "{}_bn_")
    x = _stem(x, layer)
    for stage, depth in enumerate((3, 8, 36, 3), 4):
        for place in range(1, depth + 1):
            block, stride = f"{stage}_{place}", 2 if place == 1 and stage > 4 else 1
            y = layer(x, f"conv{block}_x1").relu()
            y = layer(y, f"conv{block}_x2", stride, groups=64).relu()
            y = layer(y, f"conv{block}_x3")
            squeezed = y.mean((2, 3)) @ values[f"fc{block}_sqz_weights"] + values[f"fc{block}_sqz_offset"]
            excited = squeezed.relu() @ values[f"fc{block}_exc_weights"] + values[f"fc{block}_exc_offset"]
            if place == 1:
                x = layer(x if stride == 1 else F.avg_pool2d(x, 2, 2), f"conv{block}_prj")
            x = (x + y * excited.sigmoid()[:, :, None, None]).relu()
    return x


def _inception(x: Tensor, layer: Layer) -> Tensor:
    def chain(x: Tensor, prefix: str, names: str) -> Tensor:
        for name in names.split():
            name, _, how = name.partition(":")  # ":2" strides, ":0" does not pad
            x = layer(x, prefix + name, 2 if how == "2" else 1, "none" if how else "same").relu()
        return x

    def smoothed(x: Tensor) -> Tensor:
        return F.avg_pool2d(x, 3, 1, 1, count_include_pad=False)

    x = chain(x, "", "conv1_3x3_s2:2 conv2_3x3_s1:0 conv3_3x3_s1")
    x = torch.cat([F.max_pool2d(x, 3, 2), chain(x, "inception_stem1_", "3x3_s2:2")], 1)
    short, long = "3x3_reduce 3x3:0", "1x7_reduce 1x7 7x1 3x3_2:0"
    x = torch.cat([chain(x, "inception_stem2_", short), chain(x, "inception_stem2_", long)], 1)
    x = torch.cat([chain(x, "inception_stem3_", "3x3_s2:2"), F.max_pool2d(x, 3, 2)], 1)
    for i in range(1, 5):
        rest = [chain(x, f"inception_a{i}_", b) for b in ("1x1_2", "3x3_reduce 3x3", "3x3_2_reduce 3x3_2 3x3_3")]
        x = torch.cat([chain(smoothed(x), f"inception_a{i}_", "1x1"), *rest], 1)
    rest = [chain(x, "reduction_a_", branch) for branch in ("3x3:2", "3x3_2_reduce 3x3_2 3x3_3:2")]
    x = torch.cat([F.max_pool2d(x, 3, 2), *rest], 1)
    for i in range(1, 8):
        branches = ("1x1_2", "1x7_reduce 1x7 7x1", "7x1_2_reduce 1x7_2 7x1_2 1x7_3 7x1_3")
        rest = [chain(x, f"inception_b{i}_", branch) for branch in branches]
        x = torch.cat([chain(smoothed(x), f"inception_b{i}_", "1x1"), *rest], 1)
    rest = [chain(x, "reduction_b_", branch) for branch in ("3x3_reduce 3x3:2", "1x7_reduce 1x7 7x1 3x3_2:2")]
    x = torch.cat([F.max_pool2d(x, 3, 2), *rest], 1)
    for i in range(1, 4):
        here = f"inception_c{i}_"
        third, fourth = chain(x, here, "1x1_3"), chain(x, here, "1x1_4 1x3_2 3x1_2")
        split = [
            chain(third, here, "1x3"),
            chain(third, here, "3x1"),
            chain(fourth, here, "1x3_3"),
            chain(fourth, here, "3x1_3"),
        ]
        x = torch.cat([chain(smoothed(x), here, "1x1"), chain(x, here, "1x1_2"), *split], 1)
    return x
