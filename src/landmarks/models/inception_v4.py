"""InceptionV4 as in the published models.

Szegedy et al., "Inception-v4, Inception-ResNet and the Impact of Residual Connections on Learning", AAAI 2017. The
branches and the number of parameters are the usual ones, but three things differ from timm's `inception_v4`:

- the pooling branch comes first in every concatenation but the stem's last;
- 1xn and nx1 kernels are swapped in the stem and in the long branches of blocks B and C;
- batch norm has eps 1e-5 instead of 1e-3.

Because of the second one, ImageNet weights of timm's network cannot be used: a 1x7 kernel does not fit a 7x1 kernel.
So the network is built from our own modules, on timm's `ConvNormAct`. Average pools do not count their padding.
"""

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

import torch
from timm.layers.conv_bn_act import ConvNormAct
from torch import Tensor, nn

from landmarks.models.checkpointing import run_checkpointed

LAST_B = 12
"""Blocks up to the last of the third stage."""


class Concat(nn.Module):
    """Parallel branches with the same input, whose outputs are concatenated along the channels."""

    def __init__(self, *branches: nn.Module) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, x: Tensor) -> Tensor:
        """Compute [B, sum of the branches' channels, H', W'] from float [B, C, H, W]."""
        return torch.cat([branch(x) for branch in self.branches], dim=1)


class InceptionV4(nn.Module):
    """InceptionV4 without its head: float [B, 3, H, W] to [B, 1536, H/32 - 2, W/32 - 2].

    The shape is for sides that are multiples of 32; they must be 96 pixels or more. `stem` and `blocks` are in the
    order of the paper; `models.published_names` goes through them in the order of creation.
    """

    num_features = 1536
    feature_info: ClassVar[list[dict[str, int]]] = [{"num_chs": 1024, "reduction": 16}]

    def __init__(self) -> None:
        super().__init__()
        self.grad_checkpointing = False
        self.stem = nn.Sequential(
            _conv(3, 32, 3, stride=2),
            _conv(32, 32, 3),
            _conv(32, 64, 3, padding=1),
            Concat(_max_pool(), _conv(64, 96, 3, stride=2)),
            Concat(
                nn.Sequential(_conv(160, 64, 1), _conv(64, 96, 3)),
                nn.Sequential(_conv(160, 64, 1), _tall(64, 64, 7), _wide(64, 64, 7), _conv(64, 96, 3)),
            ),
            Concat(_conv(192, 192, 3, stride=2), _max_pool()),
        )
        self.blocks = nn.Sequential(
            *(_block_a() for _ in range(4)),
            _reduction_a(),
            *(_block_b() for _ in range(7)),
            _reduction_b(),
            *(_block_c() for _ in range(3)),
        )
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_in", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        """Compute the last feature map, before pooling."""
        return self._through((*self.stem, *self.blocks), x)

    def forward_intermediates(
        self, x: Tensor, indices: Sequence[int] = (0,), stop_early: bool = False, intermediates_only: bool = False
    ) -> Any:
        """Compute the map of the third stage as well, [B, 1024, H/16 - 2, W/16 - 2]; name and options are timm's."""
        stage = self._through((*self.stem, *self.blocks[:LAST_B]), x)
        if intermediates_only:
            return [stage]
        return self._through(self.blocks[LAST_B:], stage), [stage]

    def _through(self, parts: Iterable[nn.Module], x: Tensor) -> Tensor:
        for part in parts:
            x = run_checkpointed(part, x) if self.grad_checkpointing and torch.is_grad_enabled() else part(x)
        return x

    def group_matcher(self, coarse: bool = False) -> dict[str, str]:
        """Tell the layers apart, by the names of their parameters; name and form are timm's."""
        return {"stem": r"^stem", "blocks": r"^blocks\.(\d+)"}

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Switch gradient checkpointing on or off; the name is timm's."""
        self.grad_checkpointing = enable


def _block_a() -> Concat:
    return Concat(
        nn.Sequential(_average_pool(), _conv(384, 96, 1)),
        _conv(384, 96, 1),
        nn.Sequential(_conv(384, 64, 1), _conv(64, 96, 3, padding=1)),
        nn.Sequential(_conv(384, 64, 1), _conv(64, 96, 3, padding=1), _conv(96, 96, 3, padding=1)),
    )


def _reduction_a() -> Concat:
    return Concat(
        _max_pool(),
        _conv(384, 384, 3, stride=2),
        nn.Sequential(_conv(384, 192, 1), _conv(192, 224, 3, padding=1), _conv(224, 256, 3, stride=2)),
    )


def _block_b() -> Concat:
    return Concat(
        nn.Sequential(_average_pool(), _conv(1024, 128, 1)),
        _conv(1024, 384, 1),
        nn.Sequential(_conv(1024, 192, 1), _wide(192, 224, 7), _tall(224, 256, 7)),
        nn.Sequential(
            _conv(1024, 192, 1),
            _wide(192, 192, 7),
            _tall(192, 224, 7),
            _wide(224, 224, 7),
            _tall(224, 256, 7),
        ),
    )


def _reduction_b() -> Concat:
    return Concat(
        _max_pool(),
        nn.Sequential(_conv(1024, 192, 1), _conv(192, 192, 3, stride=2)),
        nn.Sequential(_conv(1024, 256, 1), _wide(256, 256, 7), _tall(256, 320, 7), _conv(320, 320, 3, stride=2)),
    )


def _block_c() -> Concat:
    return Concat(
        nn.Sequential(_average_pool(), _conv(1536, 256, 1)),
        _conv(1536, 256, 1),
        nn.Sequential(_conv(1536, 384, 1), Concat(_wide(384, 256, 3), _tall(384, 256, 3))),
        nn.Sequential(
            _conv(1536, 384, 1),
            _wide(384, 448, 3),
            _tall(448, 512, 3),
            Concat(_wide(512, 256, 3), _tall(512, 256, 3)),
        ),
    )


def _conv(inputs: int, outputs: int, kernel: int, stride: int = 1, padding: int = 0) -> nn.Module:
    return _conv_norm_act(inputs, outputs, kernel, stride=stride, padding=padding)


def _wide(inputs: int, outputs: int, width: int) -> nn.Module:
    return _conv_norm_act(inputs, outputs, (1, width), padding=(0, width // 2))


def _tall(inputs: int, outputs: int, height: int) -> nn.Module:
    return _conv_norm_act(inputs, outputs, (height, 1), padding=(height // 2, 0))


def _conv_norm_act(*args: Any, **options: Any) -> nn.Module:
    options["act_kwargs"] = {"inplace": True}
    return ConvNormAct(*args, **options)


def _max_pool() -> nn.Module:
    return nn.MaxPool2d(3, stride=2)


def _average_pool() -> nn.Module:
    return nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=False)
