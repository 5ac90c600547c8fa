"""Gradient checkpointing: train large networks in less memory by computing activations again in the backward pass.

Chen et al., "Training Deep Nets with Sublinear Memory Cost", 2016. Only the input of each block is kept, and every
block runs a second time when its gradients are computed. Gradients equal those without checkpointing, and random draws
(dropout, stochastic depth) are repeated. Batch norm would count each batch twice in its running statistics, so these
are updated only during the network's own forward pass, not when the backward pass runs the blocks again.
"""

from collections.abc import Callable
from typing import Any
from weakref import WeakSet

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.utils.checkpoint import checkpoint


def checkpoint_blocks(backbone: nn.Module) -> "CountedOnce | None":
    """Make a backbone keep only the inputs of its blocks in training; return None if it does not support that."""
    network = getattr(backbone, "network", backbone)
    switch: Callable[[bool], Any] | None = getattr(network, "set_grad_checkpointing", None)
    try:
        if switch is None:
            return None
        switch(True)
    except AssertionError:  # timm raises this for networks without support
        return None
    return CountedOnce(backbone)


def run_checkpointed(block: nn.Module, x: Tensor) -> Tensor:
    """Run a block and keep only its input for the backward pass."""
    result: Tensor = checkpoint(block, x, use_reentrant=False)
    return result


class CountedOnce:
    """A context for a backbone's own forward pass, during which alone batch norm updates its statistics.

    While the backward pass runs blocks again, batch norm has momentum 0, which keeps its running statistics, and a copy
    of its batch counter.
    """

    def __init__(self, backbone: nn.Module) -> None:
        self._backbone = backbone
        self._forward = False
        self._known: WeakSet[nn.Module] = WeakSet()
        self._kept: dict[nn.Module, tuple[float | None, Tensor | None]] = {}

    def __enter__(self) -> None:
        self._forward = True
        # Searched each time, because synchronised batch norm replaces modules after the network was built.
        for module in self._backbone.modules():
            if isinstance(module, _NormBase) and module not in self._known:
                module.register_forward_pre_hook(self._before)
                module.register_forward_hook(self._after, always_call=True)
                self._known.add(module)

    def __exit__(self, *_: object) -> None:
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
