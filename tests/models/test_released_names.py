"""The six networks whose output the original framework computed on made-up weights: values, names and shapes."""

import json
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from landmarks.errors import LandmarksError
from landmarks.losses.softmax import Softmax
from landmarks.models.build import released_net
from landmarks.models.released_models import RELEASED_MODELS
from landmarks.models.released_names import Variable, as_parameter, released_names

NETWORKS = [
    "res152_arcmargin",
    "res200_arcmargin",
    "se_x152_arcmargin",
    "inceptionv4_arcmargin",
    "res152_softmax_v1",
    "res152_softmax_v2",
]


def made_up_weights(oracle: dict) -> dict[str, np.ndarray]:
    """By the rule of the oracles' README: each variable from a seed made of its name."""
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


@pytest.mark.parametrize("name", NETWORKS)
def test_network_equals_the_released_one(name: str, oracles: Path) -> None:
    oracle = json.loads((oracles / "paddle" / f"{name}.json").read_text())
    model = RELEASED_MODELS[name]
    net = released_net(model.backbone, dim=model.dim).eval()
    parts = nn.ModuleDict({"classifier": Softmax(oracle["outputs"], net.dim)} if model.classifier else {})
    names = released_names(model, net.backbone)
    roles = {variable: role for variable, _, role in oracle["params"]}

    # Every variable is used once, every parameter filled once, each in its role.
    assert sorted(names[ours].name for ours in names) == sorted(roles)
    assert all(roles[variable.name] == variable.role for variable in names.values())
    ours = net.state_dict() | parts.state_dict()
    assert set(names) == {key for key in ours if not key.endswith("num_batches_tracked")}

    values = made_up_weights(oracle)
    with torch.no_grad():
        for key, variable in names.items():
            value = as_parameter(values[variable.name], variable, tuple(ours[key].shape))
            ours[key].copy_(torch.from_numpy(value))
        output = net(made_up_input())
        if model.classifier:
            output = parts["classifier"].class_scores(output).softmax(dim=1)
        assert net(torch.zeros(1, 3, 96, 128)).shape == (1, net.dim)

    expected = np.asarray(oracle["expected"])
    error = np.abs(output.numpy() - expected).max() / (expected[0] - expected[1]).std()
    assert error < 2e-3  # 1e-2 is the limit; we measure up to 6e-4


def test_every_released_model_has_names_for_its_backbone() -> None:
    for model in RELEASED_MODELS.values():
        with torch.device("meta"):
            backbone = released_net(model.backbone, dim=model.dim).backbone
        names = released_names(model, backbone)
        assert len({variable.name for variable in names.values()}) == len(names)
        assert ("fc.weight" in names) == (model.dim is not None)
        assert ("classifier.weight" in names) == (model.classifier is not None)


def test_a_backbone_of_another_kind_is_refused() -> None:
    with pytest.raises(TypeError, match="Linear"):
        released_names(RELEASED_MODELS["res200_arcmargin"], nn.Linear(2, 2))


def test_a_variable_of_another_shape_is_named() -> None:
    stored = np.arange(6, dtype=np.float32).reshape(2, 3)
    weights = Variable("fc_0.w_0", "fc")
    assert np.array_equal(as_parameter(stored, weights, (3, 2)), stored.T)
    assert as_parameter(stored, weights, (3, 2, 1, 1)).shape == (3, 2, 1, 1)
    with pytest.raises(LandmarksError, match=r"fc_0\.w_0.*\[2, 3\].*\[3, 2\]"):
        as_parameter(stored, weights, (2, 3))
    with pytest.raises(LandmarksError, match=r"bn_mean"):
        as_parameter(stored, Variable("bn_mean", "mean"), (6,))
