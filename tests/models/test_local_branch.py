"""The local branch: what it computes, where its gradients end, and that nothing else of the network changes."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - the name its users know
from torch import nn

from landmarks.errors import LandmarksError
from landmarks.models import AveragePool, DescriptorNet, LocalBranch, published_net, timm_net


class Plain(nn.Conv2d):
    """A backbone of one's own that gives its last map only."""

    num_features = 6

    def __init__(self) -> None:
        super().__init__(3, 6, 32, stride=32)


def branch(**options: Any) -> LocalBranch:
    torch.manual_seed(1)
    return LocalBranch(6, 4, **options)


@pytest.mark.parametrize("relu", [True, False])
def test_the_branch_pools_reconstructions_by_attention(relu: bool) -> None:
    made, features = branch(relu=relu), torch.rand(2, 6, 3, 5)
    attention, descriptors = made(features)
    assert attention.shape == (2, 3, 5) and (attention > 0).all() and descriptors.shape == (2, 4, 3, 5)
    rebuilt = torch.einsum("oi,bihw->bohw", made.expand.weight[:, :, 0, 0], descriptors)
    rebuilt += made.expand.bias[:, None, None]
    rebuilt = rebuilt.clamp(min=0) if relu else rebuilt
    pooled, error = made.pooled(features)
    expected = torch.stack([
        sum(F.normalize(one[:, y, x], dim=0) * attention[image, y, x] for y in range(3) for x in range(5)) / 15
        for image, one in enumerate(rebuilt)
    ])  # fmt: skip
    torch.testing.assert_close(pooled, expected)
    torch.testing.assert_close(error, ((rebuilt - features) ** 2).mean())


def test_gradients_end_at_the_third_stage() -> None:
    made, features = branch(), torch.rand(2, 6, 3, 5, requires_grad=True)
    pooled, error = made.pooled(features)
    (pooled.square().sum() + error).backward()
    assert features.grad is None
    assert all(one.grad is not None and one.grad.abs().sum() > 0 for one in made.parameters())


def test_reconstruction_trains_the_autoencoder_alone_and_attention_both() -> None:
    made = branch()
    pooled, error = made.pooled(torch.rand(2, 6, 3, 5))
    error.backward(retain_graph=True)
    assert made.attention[0].weight.grad is None and made.reduce.weight.grad is not None
    made.zero_grad()
    pooled.square().sum().backward()  # as published, where only the backbone is out of reach
    assert made.attention[0].weight.grad.abs().sum() > 0 and made.reduce.weight.grad.abs().sum() > 0


def test_the_global_descriptor_stays_as_it_is() -> None:
    torch.manual_seed(0)
    plain = timm_net("test_resnet", dim=8).eval()
    net = timm_net("test_resnet", dim=8, local_dim=4).eval()
    net.load_state_dict(plain.state_dict() | {f"local.{key}": one for key, one in net.local.state_dict().items()})
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(net(images), plain(images))


NETS: dict[str, Callable[..., DescriptorNet]] = {
    name: partial(timm_net, name) for name in ("test_resnet", "test_efficientnet", "test_vit", "test_convnext")
} | {"inceptionv4": partial(published_net, "inceptionv4")}


@pytest.mark.parametrize("name", NETS)
def test_one_pass_gives_both(name: str) -> None:
    torch.manual_seed(0)
    net, images = NETS[name](dim=8, local_dim=4).eval(), torch.randn(1, 3, 160, 160)
    with torch.no_grad():
        descriptors, pooled, error = net.with_local(images)
        assert torch.equal(descriptors, net(images))
    assert pooled.shape == (1, net.local.channels) and error > 0
    stage = net.third_stage(images)
    assert stage.shape[1] == net.local.channels
    torch.testing.assert_close(net.local.pooled(stage)[1], error)


@pytest.mark.parametrize("checkpointing", [False, True])
def test_the_backbone_learns_as_without_the_branch(checkpointing: bool) -> None:
    gradients, statistics = [], []
    for local_dim in (None, 4):
        torch.manual_seed(0)
        net = timm_net("test_resnet", dim=8, local_dim=local_dim, checkpointing=checkpointing).train()
        torch.manual_seed(1)
        images = torch.randn(4, 3, 64, 64)
        if local_dim is None:
            loss = net(images).square().sum()
        else:
            descriptors, pooled, error = net.with_local(images)
            loss = descriptors.square().sum() + pooled.square().sum() + error
        loss.backward()
        gradients.append({key: one.grad for key, one in net.named_parameters() if not key.startswith("local.")})
        statistics.append(dict(net.named_buffers()))
    assert all(torch.equal(one, gradients[1][key]) for key, one in gradients[0].items() if one is not None)
    assert all(torch.equal(one, statistics[1][key]) for key, one in statistics[0].items())


def test_a_frozen_network_trains_its_branch_alone() -> None:
    net = timm_net("test_resnet", dim=8, batch_norm=True, dropout=0.5, local_dim=4, frozen_global=True)
    before = {key: one.clone() for key, one in net.state_dict().items()}
    for mode in (net.train(), net.eval().train()):
        assert [name for name, part in mode.named_children() if part.training] == ["local"]
    descriptors, pooled, error = net.with_local(torch.randn(4, 3, 64, 64))
    assert descriptors is None
    (pooled.square().sum() + error).backward()
    trained = {key for key, one in net.named_parameters() if one.requires_grad}
    assert trained == {f"local.{key}" for key, _ in net.local.named_parameters()}
    assert trained == {key for key, one in net.named_parameters() if one.grad is not None}
    assert all(torch.equal(one, before[key]) for key, one in net.state_dict().items())


def test_what_cannot_have_a_branch_says_why() -> None:
    with pytest.raises(LandmarksError, match="Plain does not give the map of its third stage"):
        DescriptorNet(Plain(), AveragePool(), local_dim=4)
    coarse = Plain()
    coarse.feature_info, coarse.forward_intermediates = [{"num_chs": 6, "reduction": 32}], coarse.forward
    with pytest.raises(LandmarksError, match="has 32; choose another model"):
        DescriptorNet(coarse, AveragePool(), local_dim=4)
    with pytest.raises(LandmarksError, match=r"add model\.local_dim=128"):
        timm_net("test_resnet", frozen_global=True)
    with pytest.raises(ValueError, match="local_dim"):
        timm_net("test_resnet", local_dim=0)


def test_a_relu_that_cannot_reconstruct_is_refused() -> None:
    timm_net("test_resnet", local_dim=4).check_local((64, 64))
    net = timm_net("test_convnext", local_dim=4).train()
    with pytest.raises(LandmarksError, match=r"train with model\.local_relu=false"):
        net.check_local((64, 64))
    assert net.training
    timm_net("test_convnext", local_dim=4, local_relu=False).check_local((64, 64))
    assert isinstance(timm_net("test_convnext").local, type(None)) and isinstance(net.local, nn.Module)
