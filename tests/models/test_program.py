"""Networks exported with torch.export: any batch and size, and no paths of this machine."""

import logging
import warnings
from typing import Any

import pytest
import torch
from timm.layers import padding
from torch import Tensor, nn
from torch.export import ExportedProgram

from landmarks.data import Preprocessing
from landmarks.errors import LandmarksError
from landmarks.models import (
    TOLERANCE,
    exported_program,
    in_silence,
    largest_difference,
    program_multiple,
    timm_net,
)


@pytest.mark.parametrize("shape", [(1, 64, 64), (2, 96, 352)])
def test_any_batch_and_size(small_net: Any, small_program: ExportedProgram, shape: tuple[int, int, int]) -> None:
    images = torch.randn(shape[0], 3, *shape[1:])
    with torch.inference_mode():
        assert torch.allclose(small_program.module()(images), small_net(images), atol=1e-6)


def test_other_sizes_are_refused(small_program: ExportedProgram) -> None:
    with pytest.raises(Exception, match=r"[Gg]uard|multiple|divisible"):
        small_program.module()(torch.randn(2, 3, 100, 96))


def test_a_network_of_patches_is_followed_in_multiples_of_its_patch() -> None:
    net = timm_net("eva02_tiny_patch14_224", dim=4).eval()
    multiple = program_multiple(Preprocessing("aspect", 224, patch=net.input_multiple))
    assert multiple == 14
    assert largest_difference(net, exported_program(net, multiple).module(), multiple) < TOLERANCE


def test_squares_that_no_program_takes_are_refused() -> None:
    assert program_multiple(Preprocessing("square", 448)) == program_multiple(Preprocessing("aspect", 500)) == 32
    with pytest.raises(LandmarksError, match=r"multiples of 32 pixels, and this model's are 500.*image_size=480"):
        program_multiple(Preprocessing("square", 500))


def test_no_paths_of_this_machine(small_program: ExportedProgram) -> None:
    assert not any("stack_trace" in node.meta for node in small_program.graph.nodes)


def test_padding_of_tensorflow_is_followed() -> None:
    """As in tf_efficientnet_lite0, but with a stride of 2 twice only."""
    original = padding.get_same_padding

    class Padded(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.convs = nn.ModuleList(nn.Conv2d(c, 4, k, stride=2) for c, k in ((3, 3), (4, 5), (4, 1)))

        def forward(self, x: Tensor) -> Tensor:
            for conv in self.convs:
                x = conv(padding.pad_same(x, conv.kernel_size, conv.stride))
            return x.mean(dim=(2, 3))

    net = Padded().eval()
    assert largest_difference(net, exported_program(net).module()) < TOLERANCE
    assert padding.get_same_padding is original


def test_what_cannot_be_followed_is_one_line() -> None:
    class Looks(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.mean(dim=(2, 3)) if x.sum() > 0 else x.amax(dim=(2, 3))

    with pytest.raises(LandmarksError, match=r"torch.export cannot export this network: .+") as caught:
        exported_program(Looks())
    assert "\n" not in str(caught.value)


def test_a_network_of_one_size_is_named() -> None:
    with pytest.raises(LandmarksError, match="made for 224 x 224"):
        exported_program(timm_net("mixer_s32_224", dim=4).eval())


def test_exporters_print_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        with in_silence():
            logger.warning("chatter")
            warnings.warn("chatter", stacklevel=1)
    assert not seen and logger.level == level and capsys.readouterr() == ("", "")
