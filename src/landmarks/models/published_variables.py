"""Map the variables of the published weight files to parameters of our networks.

The published models were written by another framework and name their variables in four ways: by place
(`res4b1_branch2a`), by number in order of creation (`conv2d_17.w_0`), and in two more ways for SE-ResNeXt and
InceptionV4. For each there is a function below from our backbone to its layers in the order of creation;
`published_names` expands the layers into variables. Every variable is used once and every parameter is filled once,
which the tests check against the lists of variables of all networks.
"""

from collections.abc import Iterator
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from timm.layers.conv_bn_act import ConvNormAct
from timm.models.resnet import ResNet
from torch import nn

from landmarks.errors import LandmarksError
from landmarks.models.inception_v4 import InceptionV4
from landmarks.models.published_models import PublishedModel

Role = Literal["conv", "fc", "bias", "scale", "mean", "variance"]


class Variable(NamedTuple):
    """A variable of a published file: its name and its role."""

    name: str
    role: Role


class Layer(NamedTuple):
    """A convolution and its batch norm, or a fully connected layer without one: our names, then the published name."""

    ours: str
    our_norm: str | None
    published: str


def published_names(model: PublishedModel, backbone: nn.Module) -> dict[str, Variable]:
    """Map every parameter and batch-norm statistic of ours to the published variable that fills it.

    Args:
        model: A row of `PUBLISHED_MODELS`.
        backbone: Our network of the row's `backbone`; only its structure is read.

    Returns:
        Our name to the variable, named as in the `state_dict` of a `DescriptorNet`, and `classifier.weight` and
        `.bias` for the softmax loss. `num_batches_tracked` has no counterpart and is left out.
    """
    names: dict[str, Variable] = {}
    for layer in _layers(model, backbone):
        names |= {f"backbone.{ours}": variable for ours, variable in _variables(model, layer)}
    for ours, fc in (("fc", model.descriptor), ("classifier", model.classifier)):
        if fc is not None:
            names[f"{ours}.weight"] = Variable(f"{fc}.w_0", "fc")
            names[f"{ours}.bias"] = Variable(f"{fc}.b_0", "bias")
    return names


def as_parameter(value: NDArray[np.generic], variable: Variable, shape: tuple[int, ...]) -> NDArray[np.generic]:
    """Convert a published variable to the layout of our parameter.

    Fully connected weights are published as [in, out]; ours are [out, in], or [out, in, 1, 1] in channel attention.

    Args:
        value: The variable.
        variable: Its name and role.
        shape: Shape of our parameter.

    Raises:
        LandmarksError: The shapes do not fit.
    """
    laid_out = value.T if variable.role == "fc" else value
    expected = shape[:2] if variable.role == "fc" else shape
    if laid_out.shape != expected:
        raise LandmarksError(
            f"{variable.name}: the file has shape {list(value.shape)}, "
            f"the network needs {list(expected[::-1] if variable.role == 'fc' else expected)}"
        )
    return laid_out.reshape(shape)


def _layers(model: PublishedModel, backbone: nn.Module) -> Iterator[Layer]:
    if isinstance(backbone, InceptionV4):
        return _inception(backbone)
    if not isinstance(backbone, ResNet):
        raise TypeError(f"no published model has a {type(backbone).__name__} for a backbone")
    match model.naming:
        case "numbered":
            return _numbered(backbone)
        case "se_resnext":
            return _se_resnext(backbone)
        case _:
            return _placed(backbone)


def _variables(model: PublishedModel, layer: Layer) -> Iterator[tuple[str, Variable]]:
    """Expand a layer into variables: the convolution's weight, then the parameters and statistics of its batch norm."""
    if layer.our_norm is None:
        yield f"{layer.ours}.weight", Variable(f"{layer.published}_weights", "fc")
        yield f"{layer.ours}.bias", Variable(f"{layer.published}_offset", "bias")
        return
    match model.naming:
        case "numbered":
            conv = f"conv2d_{layer.published}.w_0"
            norm = [f"batch_norm_{layer.published}.{end}" for end in ("w_0", "b_0", "w_1", "w_2")]
        case "placed":
            conv = f"{layer.published}_weights"
            norm = [f"bn{layer.published[3:]}_{end}" for end in ("scale", "offset", "mean", "variance")]
        case _:
            conv = f"{layer.published}_weights"
            norm = [f"{layer.published}_bn_{end}" for end in ("scale", "offset", "mean", "variance")]
    yield f"{layer.ours}.weight", Variable(conv, "conv")
    ends = ("weight", "bias", "running_mean", "running_var")
    roles: tuple[Role, ...] = ("scale", "bias", "mean", "variance")
    for end, name, role in zip(ends, norm, roles, strict=True):
        yield f"{layer.our_norm}.{end}", Variable(name, role)


STEM = (("conv1.0", "conv1.1"), ("conv1.3", "conv1.4"), ("conv1.6", "bn1"))
BLOCK = (("conv1", "bn1"), ("conv2", "bn2"), ("conv3", "bn3"), ("downsample.1", "downsample.2"))


def _blocks(backbone: ResNet) -> Iterator[tuple[int, int, str, nn.Module]]:
    """Yield for each block its stage 1-4, its place in the stage from 0, our name, and the block."""
    for stage in range(1, 5):
        for place, (_, block) in enumerate(getattr(backbone, f"layer{stage}").named_children()):
            yield stage, place, f"layer{stage}.{place}", block


def _block_layers(block: nn.Module) -> tuple[tuple[str, str], ...]:
    return BLOCK if block.downsample is not None else BLOCK[:3]


def _placed(backbone: ResNet) -> Iterator[Layer]:
    """Yield names by place: `res4a`, `res4b1`, `res4b2`, … in the long stage 4; `res3a`, `res3b`, … elsewhere."""
    for number, (conv, norm) in enumerate(STEM, 1):
        yield Layer(conv, norm, f"conv1_{number}")
    for stage, place, ours, block in _blocks(backbone):
        letter = chr(ord("a") + place) if stage != 3 or place == 0 else f"b{place}"
        branches = ("branch2a", "branch2b", "branch2c", "branch1")
        for (conv, norm), branch in zip(_block_layers(block), branches, strict=False):
            yield Layer(f"{ours}.{conv}", f"{ours}.{norm}", f"res{stage + 1}{letter}_{branch}")


def _numbered(backbone: ResNet) -> Iterator[Layer]:
    """Yield the layers of `_placed` in the same order, numbered from 0."""
    for number, layer in enumerate(_placed(backbone)):
        yield layer._replace(published=str(number))


def _se_resnext(backbone: ResNet) -> Iterator[Layer]:
    """Yield names like `conv4_1_x1`, the first convolution of the first block: stages count from 4, blocks from 1."""
    for number, (conv, norm) in enumerate(STEM, 1):
        yield Layer(conv, norm, f"conv1_{number}")
    for stage, place, ours, block in _blocks(backbone):
        block_name = f"{stage + 3}_{place + 1}"
        for (conv, norm), end in zip(_block_layers(block), ("x1", "x2", "x3", "prj"), strict=False):
            yield Layer(f"{ours}.{conv}", f"{ours}.{norm}", f"conv{block_name}_{end}")
        yield Layer(f"{ours}.se.fc1", None, f"fc{block_name}_sqz")
        yield Layer(f"{ours}.se.fc2", None, f"fc{block_name}_exc")


INCEPTION_STEM = (
    "conv1_3x3_s2 conv2_3x3_s1 conv3_3x3_s1 inception_stem1_3x3_s2 inception_stem2_3x3_reduce "
    "inception_stem2_3x3 inception_stem2_1x7_reduce inception_stem2_1x7 inception_stem2_7x1 "
    "inception_stem2_3x3_2 inception_stem3_3x3_s2"
)
INCEPTION_BLOCKS = (
    ("inception_a{}_", 4, "1x1 1x1_2 3x3_reduce 3x3 3x3_2_reduce 3x3_2 3x3_3"),
    ("reduction_a_", 1, "3x3 3x3_2_reduce 3x3_2 3x3_3"),
    ("inception_b{}_", 7, "1x1 1x1_2 1x7_reduce 1x7 7x1 7x1_2_reduce 1x7_2 7x1_2 1x7_3 7x1_3"),
    ("reduction_b_", 1, "3x3_reduce 3x3 1x7_reduce 1x7 7x1 3x3_2"),
    ("inception_c{}_", 3, "1x1 1x1_2 1x1_3 1x3 3x1 1x1_4 1x3_2 3x1_2 1x3_3 3x1_3"),
)


def _inception(backbone: InceptionV4) -> Iterator[Layer]:
    published = INCEPTION_STEM.split()
    for block, repeats, layers in INCEPTION_BLOCKS:
        published += [block.format(i) + layer for i in range(1, repeats + 1) for layer in layers.split()]
    ours = [name for name, module in backbone.named_modules() if isinstance(module, ConvNormAct)]
    for name, their_name in zip(ours, published, strict=True):
        yield Layer(f"{name}.conv", f"{name}.bn", their_name)
