"""Which parameters get which learning rate and weight decay."""

import itertools
from functools import partial

import pytest
import torch
from torch import nn

from landmarks.errors import LandmarksError
from landmarks.losses import ArcMargin, NPairs
from landmarks.models import DescriptorNet, published_net, timm_net
from landmarks.training import LandmarkModule, ParameterGroups, cosine
from published_oracles import shrink_backbones


def module(net: nn.Module, groups: ParameterGroups, loss: nn.Module | None = None) -> LandmarkModule:
    return LandmarkModule(
        net,
        loss or ArcMargin(num_landmarks=5, dim=net.dim),
        partial(torch.optim.AdamW, lr=0.1, weight_decay=0.05),
        cosine,
        parameters=groups,
    )


def settings(trained: LandmarkModule) -> dict[str, tuple[float, float]]:
    """Learning rate as a factor of the optimizer's, and weight decay, by the name of the parameter."""
    names = {id(value): name for name, value in trained.named_parameters()}
    groups = trained._optimizer().param_groups
    found = {
        names[id(value)]: (group["lr"] / 0.1, group["weight_decay"]) for group in groups for value in group["params"]
    }
    assert len(found) == sum(len(group["params"]) for group in groups)  # none stands in two groups
    assert set(found) == {name for name, value in trained.named_parameters() if value.requires_grad}
    return found


def test_by_default_all_parameters_are_one_group_with_weight_decay() -> None:
    assert set(settings(module(timm_net("test_vit", dim=8), ParameterGroups())).values()) == {(1.0, 0.05)}


def test_rates_fall_from_layer_to_layer_of_a_transformer() -> None:
    net = timm_net("test_vit", dim=8)
    found = settings(module(net, ParameterGroups(layer_decay=0.5, head_rate=3, decay_norms=False)))
    depth = len(net.backbone.network.blocks)
    assert found["loss.weight"] == (pytest.approx(3.0), 0.05)
    assert found["model.fc.weight"] == (1.0, 0.05) and found["model.fc.bias"] == (1.0, 0.0)
    rates = [found[f"model.backbone.network.blocks.{block}.attn.qkv.weight"][0] for block in range(depth)]
    assert [b / a for a, b in itertools.pairwise(rates)] == pytest.approx([2.0] * (depth - 1))
    assert found["model.backbone.network.patch_embed.proj.weight"][0] == pytest.approx(rates[0] / 2)
    assert found["model.backbone.network.pos_embed"] == (pytest.approx(rates[0] / 2), 0.0)  # timm leaves it out
    assert found["model.backbone.network.blocks.0.norm1.weight"][1] == 0.0


@pytest.mark.parametrize("backbone", ["res200", "inceptionv4"])
def test_published_networks_tell_their_layers(backbone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if backbone != "inceptionv4":
        shrink_backbones(monkeypatch)
    with torch.device("meta"):
        net = published_net(backbone, dim=8)
        found = settings(module(net, ParameterGroups(layer_decay=0.9)))
    rates = [rate for name, (rate, _) in found.items() if name.startswith("model.backbone.")]
    assert all(b >= a - 1e-9 for a, b in itertools.pairwise(rates))  # in the order of the layers
    assert rates[-1] == pytest.approx(1.0) and len(set(rates)) > 4 and min(rates) == rates[0]
    assert {decay for _, decay in found.values()} == {0.05}


class Plain(nn.Module):
    """A backbone that knows nothing of layers."""

    num_features = 3

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.conv(images)


def test_what_cannot_be_grouped_is_refused() -> None:
    net = DescriptorNet(Plain(), nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()), dim=4)
    with pytest.raises(LandmarksError, match=r"parameters\.layer_decay: this network does not tell its layers"):
        module(net, ParameterGroups(layer_decay=0.9))
    with pytest.raises(LandmarksError, match=r"parameters\.head_rate: this loss has no weights"):
        module(net, ParameterGroups(head_rate=3), NPairs(5, 4))
    assert settings(module(net, ParameterGroups(decay_norms=False)))["model.backbone.conv.bias"] == (1.0, 0.0)


@pytest.mark.parametrize("wrong", [{"layer_decay": 0.0}, {"layer_decay": 1.5}, {"head_rate": 0.0}])
def test_values_out_of_range_name_their_key(wrong: dict[str, float]) -> None:
    with pytest.raises(LandmarksError, match=rf"parameters\.{next(iter(wrong))}"):
        ParameterGroups(**wrong)


def test_the_schedule_moves_all_rates_alike() -> None:
    trained = module(timm_net("test_resnet", dim=8), ParameterGroups(layer_decay=0.5))
    optimizer = trained._optimizer()
    before = [group["lr"] for group in optimizer.param_groups]
    schedule = cosine(optimizer, 10, warmup=0.0)
    for _ in range(5):
        optimizer.step()
        schedule.step()
    assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([rate / 2 for rate in before])
