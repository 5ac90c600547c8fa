"""The six published networks with made-up weights, by the rule of the oracles' README, and small ones like them."""

import json
import zlib
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from timm.models.resnet import Bottleneck, ResNet

from landmarks.models import PUBLISHED_MODELS, build, published_names, published_net

Values = dict[str, NDArray[np.float32]]

NETWORKS = [
    "res152_arcmargin",
    "res200_arcmargin",
    "se_x152_arcmargin",
    "inceptionv4_arcmargin",
    "res152_softmax_v1",
    "res152_softmax_v2",
]


def read_oracle(oracles: Path, name: str) -> dict[str, Any]:
    return json.loads((oracles / "paddle" / f"{name}.json").read_text())


def made_up_weights(oracle: dict[str, Any]) -> Values:
    """Each variable from a seed made of its name."""
    values = {}
    for variable, shape, role in oracle["params"]:
        random = np.random.RandomState(zlib.crc32(variable.encode()) & 0xFFFFFFFF)
        if role == "scale":
            value = random.uniform(*oracle["scale_range"], shape)
        elif role == "variance":
            value = random.uniform(0.5, 1.5, shape)
        elif role in ("mean", "bias"):
            value = oracle["shift_std"] * random.standard_normal(shape)
        else:
            fan_in = np.prod(shape[1:]) if role == "conv" else shape[0]
            value = random.standard_normal(shape) * np.sqrt(2 / fan_in)
        values[variable] = value.astype(np.float32)
    return values


def made_up_input() -> torch.Tensor:
    random = np.random.RandomState(7)
    blocks = np.kron(random.uniform(-2, 2, (2, 3, 7, 7)), np.ones((1, 1, 32, 32)))
    return torch.from_numpy((blocks + 0.3 * random.standard_normal((2, 3, 224, 224))).astype(np.float32))


def small_resnet(layers: tuple[int, ...]) -> ResNet:
    """In the structure of ResNet-vd."""
    return ResNet(
        Bottleneck,
        layers,
        channels=(4, 4, 4, 8),
        stem_width=4,
        stem_type="deep",
        avg_down=True,
        num_classes=0,
        global_pool="",
    )


def shrink_backbones(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put small networks in the place of the published ones, each of another depth."""
    for number, backbone in enumerate(build.BACKBONES, 1):
        monkeypatch.setitem(build.BACKBONES, backbone, partial(small_resnet, (1, number, 1, 1)))


def random_values(name: str, classes: int = 3) -> Values:
    """Variables that fit a published model, with the backbone that `models.build.BACKBONES` has for it."""
    model = PUBLISHED_MODELS[name]
    net = published_net(model.backbone, dim=model.dim)
    shapes = {key: tuple(value.shape) for key, value in net.state_dict().items()}
    shapes |= {"classifier.weight": (classes, net.dim), "classifier.bias": (classes,)}
    random = np.random.default_rng(0)
    values = {}
    for key, variable in published_names(model, net.backbone).items():
        shape = shapes[key][:2][::-1] if variable.role == "fc" else shapes[key]
        value = random.standard_normal(shape) * (0.1 if variable.role != "variance" else 0) + 1
        values[variable.name] = value.astype(np.float32)
    return values
