import pytest
import torch
from torch import nn

from landmarks.models import AveragePool, DescriptorNet, GeM, region_grid


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
    assert net.dim == 4 and net.input_multiple == 1
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


def test_convolutions_take_sides_of_any_length() -> None:
    net = DescriptorNet(Backbone(), AveragePool(), dim=4)
    assert net(torch.randn(1, 3, 64, 65)).shape == (1, 4) and net.embed(torch.randn(1, 3, 50, 90), 2)[1].shape[1] == 5


@pytest.mark.parametrize("pooling", [AveragePool(), GeM()], ids=["average", "gem"])
@pytest.mark.parametrize("shape", [(128, 192), (32, 32)])
def test_regions_are_embedded_as_the_whole_image_is(pooling: nn.Module, shape: tuple[int, int]) -> None:
    net = DescriptorNet(Backbone(), pooling, dim=4, batch_norm=True).train()
    net(torch.randn(9, 3, 64, 64))  # statistics that are not the identity
    net.eval()
    images = torch.randn(2, 3, *shape)
    whole, regions = net.embed(images, 3)
    assert regions.shape == (2, 14, 4)
    torch.testing.assert_close(whole, net(images), rtol=0, atol=0)
    torch.testing.assert_close(regions[:, 0], whole)
    features = net.backbone(images)
    for number, (top, left, bottom, right) in enumerate(region_grid(shape[0] // 32, shape[1] // 32, 3)):
        pooled = net.pooling(features[:, :, top:bottom, left:right])
        torch.testing.assert_close(regions[:, number], net.batch_norm(net.fc(pooled)))


def test_regions_of_bad_or_no_images() -> None:
    net = DescriptorNet(Backbone(), AveragePool(), dim=None)
    assert net.embed(torch.randn(0, 3, 64, 64), 2)[1].shape == (0, 5, 6)
    with pytest.raises(ValueError, match="levels"):
        net.embed(torch.randn(1, 3, 64, 64), 0)


def test_options_out_of_range() -> None:
    for options in ({"dim": 0}, {"dropout": 1.0}, {"dropout": -0.1}):
        with pytest.raises(ValueError, match=next(iter(options))):
            DescriptorNet(Backbone(), AveragePool(), **options)
