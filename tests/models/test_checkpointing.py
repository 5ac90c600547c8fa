"""Training with checkpointed blocks gives the gradients and statistics of training without, in less memory."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from landmarks.errors import LandmarksError
from landmarks.extraction import DescriptorModule
from landmarks.models import (
    AveragePool,
    DescriptorNet,
    InceptionV4,
    published_net,
    resnet152_vd,
    resnet200_vd,
    se_resnext152_vd,
    timm_net,
)


def small_resnet(layers: tuple[int, ...] = (1, 2, 1, 1)) -> nn.Module:
    from timm.models.resnet import Bottleneck, ResNet

    return ResNet(Bottleneck, layers, stem_width=8, stem_type="deep", avg_down=True, num_classes=0, global_pool="",
                  channels=(16, 32, 32, 32), block_args={"attn_layer": "se"})  # fmt: skip


NETS: dict[str, Callable[[bool], DescriptorNet]] = {
    "resnet": lambda on: DescriptorNet(small_resnet(), AveragePool(), 8, checkpointing=on),
    "inceptionv4": lambda on: DescriptorNet(InceptionV4(), AveragePool(), 8, checkpointing=on),
    "timm": lambda on: timm_net("test_efficientnet", dim=8, checkpointing=on),
    "stochastic depth": lambda on: timm_net("test_vit", dim=8, dropout=0.5, checkpointing=on),
}


def two_steps(build: Callable[[bool], DescriptorNet], on: bool, side: int) -> tuple[dict[str, Tensor], list[Tensor]]:
    """State after two steps of training, and the descriptors of training and evaluation in turn."""
    torch.manual_seed(0)
    net = build(on)
    optimizer = torch.optim.SGD(net.parameters(), lr=1e-4, momentum=0.9)
    seen = []
    for step in range(2):
        torch.manual_seed(step)
        descriptors = net.train()(torch.randn(3, 3, side, side))
        optimizer.zero_grad()
        descriptors.square().mean().backward()
        optimizer.step()
        with torch.no_grad():
            assert descriptors.isfinite().all()
            seen += [descriptors.detach(), net.eval()(torch.randn(1, 3, side, side))]
    return net.state_dict(), seen


@pytest.mark.parametrize("name", NETS)
def test_the_same_weights_and_statistics(name: str) -> None:
    side = 96 if name == "inceptionv4" else 64
    plain, before = two_steps(NETS[name], False, side)
    state, seen = two_steps(NETS[name], True, side)
    assert plain.keys() == state.keys()
    for key, value in plain.items():
        torch.testing.assert_close(state[key], value, rtol=1e-5, atol=1e-6)  # num_batches_tracked among them
    for one, other in zip(before, seen, strict=True):  # an untrained InceptionV4 may overflow where it evaluates
        torch.testing.assert_close(other, one, rtol=1e-5, atol=1e-6, equal_nan=True)


def kept_bytes(net: nn.Module, images: Tensor) -> int:
    """Bytes that the forward pass keeps for the backward pass, weights left out."""
    own = {parameter.untyped_storage().data_ptr() for parameter in net.parameters()}
    kept: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        net(images).sum().backward()
    return sum(kept.values())


def test_less_is_kept() -> None:
    images = torch.randn(2, 3, 64, 64)
    assert kept_bytes(NETS["inceptionv4"](True), torch.randn(2, 3, 96, 96)) > 0
    deep = [DescriptorNet(small_resnet((2, 4, 8, 2)), AveragePool(), 8, checkpointing=on) for on in (False, True)]
    plain, checkpointed = (kept_bytes(net, images) for net in deep)
    assert checkpointed < plain / 2


def test_all_published_backbones_have_blocks() -> None:
    with torch.device("meta"):
        for build in (resnet152_vd, resnet200_vd, se_resnext152_vd, InceptionV4):
            assert DescriptorNet(build(), AveragePool(), checkpointing=True).backbone.grad_checkpointing
    assert not published_net("inceptionv4").backbone.grad_checkpointing


class OtherNorm(nn.BatchNorm2d):
    """What takes the place of batch norm after the network was built, as synchronised batch norm does."""


def test_modules_that_are_replaced_count_once_too() -> None:
    net = NETS["resnet"](True)
    for parent in list(net.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.BatchNorm2d):
                parent.add_module(name, OtherNorm(child.num_features))
    net.eval()(torch.randn(1, 3, 64, 64))
    net.train()(torch.randn(2, 3, 64, 64)).sum().backward()
    norms = [module for module in net.modules() if isinstance(module, nn.BatchNorm2d)]
    assert {(int(norm.num_batches_tracked), norm.momentum) for norm in norms} == {(1, 0.1)}


def test_what_cannot_be_checkpointed_is_named() -> None:
    with pytest.raises(LandmarksError, match="checkpointing=true: this network does not support"):
        timm_net("selecsls42", dim=8, checkpointing=True)
    with pytest.raises(LandmarksError, match="exclude each other"):
        DescriptorModule(NETS["resnet"](True), compile=True)
