"""Local features by attention: where they lie, how many there are, and images of any kind."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from image_models import retrieval_file
from landmarks.data import Preprocessing
from landmarks.errors import LandmarksError
from landmarks.local_features import DelfPyramid, open_delf
from landmarks.models import (
    AveragePool,
    DescriptorNet,
    ModelRecord,
    build_network,
    timm_net,
    write_model,
)

STRIDE = 16
BLACK = -2.2  # normalised


class Averages(nn.Module):
    """A backbone whose third stage holds what lies around each position, the middle most, with uneven paddings."""

    num_features = 3
    feature_info = ({"num_chs": 3, "reduction": STRIDE},)

    def __init__(self, left: int, right: int) -> None:
        super().__init__()
        self.pad = nn.ConstantPad2d((left, right, left, right), BLACK)
        self.mean = nn.Conv2d(3, 3, STRIDE + left + right, STRIDE, groups=3, bias=False)
        middle = torch.bartlett_window(STRIDE + left + right + 2, periodic=False)[1:-1]
        with torch.no_grad():
            self.mean.weight.copy_(torch.outer(middle, middle) / middle.sum() ** 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.mean(self.pad(x))

    def forward_intermediates(self, x: Tensor, indices: Sequence[int], **options: Any) -> Any:
        return [self(x)] if options.get("intermediates_only") else (self(x), [self(x)])


def bright_net(left: int, right: int) -> DescriptorNet:
    """A network that attends to brightness."""
    net = DescriptorNet(Averages(left, right), AveragePool(), dim=None, local_dim=2).eval()
    first, last = net.local.attention[0], net.local.attention[2]
    with torch.no_grad():
        for layer in (first, last):
            layer.weight.fill_(0.1)
            layer.bias.zero_()
        first.bias.fill_(-4 * BLACK)  # the ReLU keeps black
    return net


@pytest.mark.parametrize(("left", "right", "centre"), [(0, 0, 7.5), (8, 7, 7.0), (0, 15, 15.0), (15, 0, 0.0)])
def test_the_centre_of_the_first_position_follows_paddings(left: int, right: int, centre: float) -> None:
    assert DelfPyramid(bright_net(left, right)).start == centre


def test_patches_are_centred() -> None:
    torch.manual_seed(0)
    assert DelfPyramid(timm_net("test_vit", local_dim=4).eval()).start == pytest.approx(7.5, abs=0.75)


def dotted(height: int, width: int, dot: tuple[int, int], radius: int) -> NDArray[np.uint8]:
    image = np.zeros((height, width, 3), np.uint8)
    y, x = np.ogrid[:height, :width]
    image[(x - dot[0]) ** 2 + (y - dot[1]) ** 2 <= radius**2] = 255
    return image


@pytest.mark.parametrize(("left", "right"), [(0, 0), (8, 7), (0, 15), (15, 0)])
@pytest.mark.parametrize("scale", [0.5, 0.71, 1.0, 2.0])
@pytest.mark.parametrize("dot", [(100, 60), (205, 151), (41, 122)])
def test_attention_to_a_dot_is_where_the_dot_is(left: int, right: int, scale: float, dot: tuple[int, int]) -> None:
    pyramid = DelfPyramid(bright_net(left, right), max_features=1, pyramid=[scale])
    found = pyramid(dotted(203, 251, dot, 5))
    assert found.size == (203, 251)
    assert np.abs(found.points[0] - dot).max() <= STRIDE / scale / 2 * 1.1  # sides are rounded
    assert found.scales[0] == pytest.approx(2 * STRIDE / scale, rel=0.1)


def test_positions_of_images_above_the_limit_are_in_their_own_pixels() -> None:
    pyramid = DelfPyramid(bright_net(8, 7), max_features=1, long_side=256, pyramid=[1.0])
    found = pyramid(dotted(800, 1000, (700, 300), 20))
    assert np.abs(found.points[0] - (700, 300)).max() <= STRIDE / 2 * 1000 / 256 + 0.5


@pytest.fixture(scope="module")
def net() -> DescriptorNet:
    torch.manual_seed(5)
    return timm_net("test_resnet", dim=8, local_dim=6).eval()


def noise(*shape: int) -> NDArray[np.uint8]:
    return np.random.default_rng(sum(shape)).integers(0, 256, (*shape, 3), np.uint8)


def test_the_strongest_of_all_scales_are_kept_in_order(net: DescriptorNet) -> None:
    image = noise(150, 200)
    everything = DelfPyramid(net)(image)
    cells = [max(round(150 * s / 16), 1) * max(round(200 * s / 16), 1) for s in 2.0 ** (np.arange(-4, 3) / 2)]
    assert len(everything.points) == sum(cells)
    assert len(set(everything.scales.tolist())) == 7 and everything.scales.max() > 7 * everything.scales.min()
    assert (np.diff(everything.scores) <= 0).all()
    np.testing.assert_allclose(np.linalg.norm(everything.descriptors, axis=1), 1, rtol=1e-5)
    fewer = DelfPyramid(net, max_features=20)(image)
    assert all(np.array_equal(a[:20], b) for a, b in zip(everything[:4], fewer[:4], strict=True))
    above = DelfPyramid(net, min_score=float(everything.scores[7]))(image)
    assert len(above.points) == 7 and [one.dtype for one in above[:4]] == [np.float32] * 4
    assert above.descriptors.shape == (7, 6) and above.points.shape == (7, 2)


def test_features_are_the_same_twice(net: DescriptorNet) -> None:
    image = noise(90, 70)
    first, second = DelfPyramid(net)(image), DelfPyramid(net)(image)
    assert all(np.array_equal(a, b) for a, b in zip(first[:4], second[:4], strict=True))


@pytest.mark.parametrize("shape", [(8, 8), (1, 1), (3, 900), (900, 3), (2600, 3900)])
def test_images_of_any_size(net: DescriptorNet, shape: tuple[int, int]) -> None:
    found = DelfPyramid(net, long_side=128)(noise(*shape))
    assert found.size == shape and 0 < len(found.points) <= 1000
    assert (found.points > -0.51).all() and (found.points < np.array(shape[::-1]) - 0.49).all()


def test_a_blank_image_attends_to_nothing_more_than_to_all(net: DescriptorNet) -> None:
    found = DelfPyramid(net)(np.full((64, 64, 3), 255, np.uint8))
    assert np.isfinite(found.descriptors).all() and np.isfinite(found.scores).all()


def test_networks_without_paddings_get_images_that_are_large_enough() -> None:
    net = bright_net(20, 20)
    net.backbone.pad = nn.Identity()
    pyramid = DelfPyramid(net, pyramid=[0.25, 1.0])
    assert pyramid.smallest == 64 and pyramid.start == 27.5
    assert len(pyramid(noise(20, 20)).points) == 1


def test_attention_is_the_map_at_scale_one(net: DescriptorNet) -> None:
    image = noise(96, 160)
    attention = DelfPyramid(net).attention(image)
    assert attention.values.shape == (6, 10) == (len(attention.rows), len(attention.columns))
    found = DelfPyramid(net, pyramid=[1.0])(image)
    best = np.unravel_index(attention.values.argmax(), (6, 10))
    np.testing.assert_allclose(found.points[0], [attention.columns[best[1]], attention.rows[best[0]]])
    np.testing.assert_array_equal(np.sort(attention.values.ravel())[::-1], found.scores)


def test_files_open_and_models_without_a_branch_are_named(tmp_path: Path, net: DescriptorNet) -> None:
    plain = {"network": "timm_net", "name": "test_resnet", "dim": 8, "local_dim": 6}
    record = ModelRecord("net", "retrieval", plain, Preprocessing("aspect", 96))
    write_model(tmp_path / "local.safetensors", record, net.state_dict())
    image = noise(64, 64)
    expected, found = DelfPyramid(net)(image), open_delf(tmp_path / "local.safetensors")(image)
    np.testing.assert_array_equal(found.descriptors, expected.descriptors)
    assert build_network(plain).local is not None
    with pytest.raises(LandmarksError, match=r"without\.safetensors: this model has no local branch; train one"):
        open_delf(retrieval_file(tmp_path / "without.safetensors"))


def test_what_cannot_be_a_pyramid_is_refused(net: DescriptorNet) -> None:
    for options in ({"max_features": 0}, {"long_side": 0}, {"pyramid": []}, {"pyramid": [1.0, 0.0]}):
        with pytest.raises(LandmarksError, match="max_features and long_side are 1 or more"):
            DelfPyramid(net, **options)
    fixed = DescriptorNet(Averages(0, 0), AveragePool(), dim=None, local_dim=2)
    fixed.backbone.pad = nn.Unflatten(3, (2, 16))
    with pytest.raises(LandmarksError, match="a pyramid has many sizes"):
        DelfPyramid(fixed)
