"""Names and shapes of the six distinct networks; that they compute the same is in tests/interop/paddle."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from landmarks.errors import LandmarksError
from landmarks.losses import Softmax
from landmarks.models import PUBLISHED_MODELS, Variable, as_parameter, published_names, published_net
from published_oracles import NETWORKS, read_oracle


@pytest.mark.parametrize("name", NETWORKS)
def test_every_variable_is_used_once_and_every_parameter_filled_once(name: str, oracles: Path) -> None:
    oracle = read_oracle(oracles, name)
    roles = {variable: role for variable, _, role in oracle["params"]}
    model = PUBLISHED_MODELS[name]
    with torch.device("meta"):
        net = published_net(model.backbone, dim=model.dim)
        parts = nn.ModuleDict({"classifier": Softmax(oracle["outputs"], net.dim)} if model.classifier else {})
    names = published_names(model, net.backbone)
    assert sorted(names[ours].name for ours in names) == sorted(roles)
    assert all(roles[variable.name] == variable.role for variable in names.values())
    ours = net.state_dict() | parts.state_dict()
    assert set(names) == {key for key in ours if not key.endswith("num_batches_tracked")}


def test_every_published_model_has_names_for_its_backbone() -> None:
    for model in PUBLISHED_MODELS.values():
        with torch.device("meta"):
            backbone = published_net(model.backbone, dim=model.dim).backbone
        names = published_names(model, backbone)
        assert len({variable.name for variable in names.values()}) == len(names)
        assert ("fc.weight" in names) == (model.dim is not None)
        assert ("classifier.weight" in names) == (model.classifier is not None)


def test_a_backbone_of_another_kind_is_refused() -> None:
    with pytest.raises(TypeError, match="Linear"):
        published_names(PUBLISHED_MODELS["res200_arcmargin"], nn.Linear(2, 2))


def test_a_variable_of_another_shape_is_named() -> None:
    stored = np.arange(6, dtype=np.float32).reshape(2, 3)
    weights = Variable("fc_0.w_0", "fc")
    assert np.array_equal(as_parameter(stored, weights, (3, 2)), stored.T)
    assert as_parameter(stored, weights, (3, 2, 1, 1)).shape == (3, 2, 1, 1)
    with pytest.raises(LandmarksError, match=r"fc_0\.w_0.*\[2, 3\].*\[3, 2\]"):
        as_parameter(stored, weights, (2, 3))
    with pytest.raises(LandmarksError, match=r"bn_mean"):
        as_parameter(stored, Variable("bn_mean", "mean"), (6,))
