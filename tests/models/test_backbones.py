"""The published backbones: depths, maps and parameters, and that they start trainable."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import timm
import torch
from timm.layers.drop import DropPath

from landmarks.errors import LandmarksError
from landmarks.models import InceptionV4, published_net, resnet152_vd, resnet200_vd, se_resnext152_vd, timm_net


def test_depths_and_widths_of_the_residual_networks() -> None:
    with torch.device("meta"):
        networks = resnet152_vd(), resnet200_vd(), se_resnext152_vd()
    depths = [[len(getattr(network, f"layer{i}")) for i in range(1, 5)] for network in networks]
    assert depths == [[3, 8, 36, 3], [3, 12, 48, 3], [3, 8, 36, 3]]
    assert [n.num_features for n in networks] == [2048] * 3
    images = torch.empty(2, 3, 64, 96, device="meta")
    assert [list(n(images).shape) for n in networks] == [[2, 2048, 2, 3]] * 3


def test_the_152_layers_are_those_of_timm() -> None:
    ours, theirs = resnet152_vd().eval(), timm.create_model("resnet152d", num_classes=0, global_pool="").eval()
    ours.load_state_dict(theirs.state_dict())
    images = torch.randn(1, 3, 64, 96)
    with torch.inference_mode():
        assert torch.equal(ours(images), theirs(images))


def test_map_and_number_of_parameters_of_inception() -> None:
    with torch.device("meta"):
        ours, usual = InceptionV4(), timm.create_model("inception_v4", num_classes=0)
    assert sum(p.numel() for p in ours.parameters()) == sum(p.numel() for p in usual.parameters())
    assert ours.num_features == 1536
    for height, width in ((96, 128), (544, 768)):
        shape = ours(torch.empty(1, 3, height, width, device="meta")).shape
        assert list(shape) == [1, 1536, height // 32 - 2, width // 32 - 2]


@pytest.mark.parametrize(
    ("build", "side", "weights"),
    [
        (InceptionV4, 128, lambda net: [net.stem[0].conv.weight]),
        (resnet200_vd, 64, lambda net: [net.conv1[0].weight, net.layer4[2].bn3.weight]),
        (se_resnext152_vd, 64, lambda net: [net.conv1[0].weight, net.layer4[2].bn3.weight]),
    ],
)
def test_they_start_trainable(build: Callable[[], Any], side: int, weights: Callable[[Any], list[Any]]) -> None:
    torch.manual_seed(0)
    network = build()
    features = network(torch.randn(2, 3, side, side))
    assert 0.01 < features.std() < 100  # neither vanished nor exploded on the way
    features.square().mean().backward()
    assert all(weight.grad.norm() > 1e-6 and weight.grad.norm().isfinite() for weight in weights(network))
    if build is resnet200_vd:
        assert all(not block.bn3.weight.any() for block in network.layer3)


@pytest.mark.parametrize(
    "build",
    [
        partial(published_net, "res200"),
        partial(timm_net, "resnet18d"),
        partial(timm_net, "test_vit"),
        partial(timm_net, "test_efficientnet"),
    ],
)
def test_stochastic_depth_grows_with_depth_and_changes_no_weight(build: Callable[..., Any]) -> None:
    with torch.device("meta"):
        plain, deep = build(), build(drop_path=0.2)
    drops = [module.drop_prob for module in deep.modules() if isinstance(module, DropPath)]
    assert drops == sorted(drops) and drops[-1] == pytest.approx(0.2, abs=0.08)
    assert list(plain.state_dict()) == list(deep.state_dict())


@pytest.mark.parametrize("build", [partial(published_net, "inceptionv4"), partial(timm_net, "vgg11")])
def test_networks_without_residual_blocks_have_no_stochastic_depth(build: Callable[..., Any]) -> None:
    with torch.device("meta"), pytest.raises(LandmarksError, match=r"model\.drop_path: this network has no stochastic"):
        build(drop_path=0.1)


def test_stochastic_depth_is_a_share() -> None:
    with pytest.raises(LandmarksError, match=r"model\.drop_path: 1\.0 is a share"):
        timm_net("test_resnet", drop_path=1.0)
