"""Find out which image sizes a network accepts, by running its backbone on the meta device."""

from collections.abc import Iterable

import torch
from torch import nn

from landmarks.errors import LandmarksError
from landmarks.models.descriptor import DescriptorNet

STEP = 32  # pixels between the sizes that are tried, for networks without an input multiple
TRIED = 8  # sizes that are tried in each direction


def require_size(net: nn.Module, key: str, shape: tuple[int, int]) -> None:
    """Check that a network accepts images of a size.

    Args:
        net: The network; one that cannot run on the meta device is not checked.
        key: The setting that determines the size, for the message.
        shape: Height and width in pixels.

    Raises:
        LandmarksError: The network does not accept this size; the message names the nearest sizes that it does.
    """
    if not isinstance(net, DescriptorNet) or _takes(net, shape):
        return
    multiple = net.input_multiple
    sides = f"; its sides are multiples of {multiple}" if multiple > 1 else ""
    near = _nearest(net, max(shape))
    if near:
        squares = "" if shape[0] == shape[1] else " (data.resize.mode=square makes squares)"
        raise LandmarksError(
            f"{key}: the network cannot take images of {shape[0]} x {shape[1]} pixels{sides}. The nearest squares that "
            f"it takes: {' or '.join(f'{side} x {side}' for side in near)}{squares}"
        )


def _nearest(net: DescriptorNet, side: int) -> list[int]:
    step = net.input_multiple if net.input_multiple > 1 else STEP
    first = side // step * step
    smaller, larger = range(first, 0, -step)[:TRIED], range(first + step, first + (TRIED + 1) * step, step)
    native: tuple[int, ...] = getattr(net.backbone, "native_size", ())[:1]
    found = [next((one for one in some if _takes(net, (one, one))), None) for some in (smaller, larger)]
    near = [one for one in found if one is not None]
    return near or [one for one in native if _takes(net, (one, one))]


def _takes(net: DescriptorNet, shape: Iterable[int]) -> bool:
    height, width = shape
    if height % net.input_multiple or width % net.input_multiple:
        return False
    backbone = net.backbone
    tensors = (*backbone.named_parameters(), *backbone.named_buffers())
    state = {name: torch.empty_like(value, device="meta") for name, value in tensors}
    training = backbone.training
    if training:
        backbone.eval()  # batch norm cannot train on one image
    try:
        with torch.no_grad():
            found = torch.func.functional_call(backbone, state, (torch.empty(1, 3, height, width, device="meta"),))
        return bool(found.numel())
    except Exception:  # networks raise errors of any type
        return False
    finally:
        if training:
            backbone.train()
