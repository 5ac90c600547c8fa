"""Trains large networks in little memory: the backward pass computes again what the forward pass did not keep.

Chen et al., "Training Deep Nets with Sublinear Memory Cost", 2016. Only the input of each block is kept, and every
block is run a second time when its gradients are asked for. Gradients are those of training without it, and random
draws (dropout, stochastic depth) are repeated. One thing must not happen twice: batch norm would count each batch
again in its running statistics, so it counts only while the network's own forward pass runs, and not when the backward
pass calls its blocks.
"""

from collections.abc import Callable
from typing import Any
from weakref import WeakSet

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.utils.checkpoint import checkpoint


def checkpoint_blocks(backbone: nn.Module) -> bool:
    """Keep only the inputs of a backbone's blocks while it trains."""
    network = getattr(backbone, "network", backbone)
    switch: Callable[[bool], Any] | None = getattr(network, "set_grad_checkpointing", None)
    try:
        if switch is None:
            return False
        switch(True)
    except AssertionError:  # timm's way to say so
        return False
    norms = _CountedOnce()
    backbone.register_forward_pre_hook(norms.begin)
    backbone.register_forward_hook(norms.end, always_call=True)
    return True


def run_checkpointed(block: nn.Module, x: Tensor) -> Tensor:
    """Run a block and keep only its input for the backward pass."""
    result: Tensor = checkpoint(block, x, use_reentrant=False)
    return result


class _CountedOnce:
    """Lets batch norm count batches during a backbone's own forward pass alone.

    Elsewhere, while the backward pass runs blocks again, it is given momentum 0, which leaves its running statistics as
    they are, and a copy of its number of batches to count up.
    """

    def __init__(self) -> None:
        self._forward = False
        self._known: WeakSet[nn.Module] = WeakSet()
        self._kept: dict[nn.Module, tuple[float | None, Tensor | None]] = {}

    def begin(self, backbone: nn.Module, inputs: Any) -> None:
        self._forward = True
        # Looked for each time: synchronised batch norm takes the place of modules after the network was built.
        for module in backbone.modules():
            if isinstance(module, _NormBase) and module not in self._known:
                module.register_forward_pre_hook(self._before)
                module.register_forward_hook(self._after, always_call=True)
                self._known.add(module)

    def end(self, backbone: nn.Module, inputs: Any, output: Any) -> None:
        self._forward = False

    def _before(self, norm: nn.Module, inputs: Any) -> None:
        assert isinstance(norm, _NormBase)
        if norm.training and not self._forward:
            count = norm.num_batches_tracked
            self._kept[norm] = norm.momentum, count
            norm.momentum = 0.0
            norm.num_batches_tracked = None if count is None else count.clone()

    def _after(self, norm: nn.Module, inputs: Any, output: Any) -> None:
        assert isinstance(norm, _NormBase)
        if norm in self._kept:
            norm.momentum, norm.num_batches_tracked = self._kept.pop(norm)
