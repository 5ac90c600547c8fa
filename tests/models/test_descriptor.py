import pytest
import torch
from torch import nn

from landmarks.models.descriptor import DescriptorNet
from landmarks.models.pooling import AveragePool


class Backbone(nn.Module):
    num_features = 6

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 6, 32, stride=32)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.conv(x)


def test_descriptor_is_the_raw_output_of_the_layer() -> None:
    net = DescriptorNet(Backbone(), AveragePool(), dim=4)
    images = torch.randn(2, 3, 64, 96)
    pooled = net.backbone(images).mean(dim=(2, 3))
    torch.testing.assert_close(net(images), pooled @ net.fc.weight.T + net.fc.bias)
    assert net.dim == 4 and net.input_multiple == 32
    assert {k.split(".")[0] for k in net.state_dict()} == {"backbone", "fc"}


def test_without_a_layer_the_pooled_features_are_the_descriptor() -> None:
    net = DescriptorNet(Backbone(), AveragePool(), dim=None)
    images = torch.randn(2, 3, 32, 64)
    torch.testing.assert_close(net(images), net.backbone(images).mean(dim=(2, 3)))
    assert net.dim == 6


def test_batch_norm_and_dropout_act_on_the_descriptor() -> None:
    torch.manual_seed(0)
    net = DescriptorNet(Backbone(), AveragePool(), dim=50, batch_norm=True, dropout=0.4)
    images = torch.randn(40, 3, 32, 32)
    descriptors = net(images)
    assert 0.3 < (descriptors == 0).float().mean() < 0.5
    kept = torch.where(descriptors == 0, torch.nan, descriptors * 0.6)
    assert kept.nanmean(dim=0).abs().max() < 0.8  # whitened per dimension, up to what dropout took
    net.eval()
    assert (net(images) != 0).all()
    torch.testing.assert_close(net(images[:1]), net(images)[:1])


def test_sides_must_be_multiples_of_32() -> None:
    net = DescriptorNet(Backbone(), AveragePool(), dim=4)
    for height, width in ((64, 65), (48, 64)):
        with pytest.raises(ValueError, match=f"{height} x {width}.*32"):
            net(torch.randn(1, 3, height, width))


def test_options_out_of_range() -> None:
    for options in ({"dim": 0}, {"dropout": 1.0}, {"dropout": -0.1}):
        with pytest.raises(ValueError, match=next(iter(options))):
            DescriptorNet(Backbone(), AveragePool(), **options)
