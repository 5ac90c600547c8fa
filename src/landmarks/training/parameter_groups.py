"""Learning rate and weight decay of some parameters apart from those of all others."""

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from timm.optim import param_groups_layer_decay, param_groups_weight_decay  # type: ignore[attr-defined]
from torch import nn

from landmarks.errors import LandmarksError

RATE = "rate"
"""Key of a parameter group: factor of the optimizer's learning rate."""


@dataclass(frozen=True)
class ParameterGroups:
    """Divides the parameters of a training module into groups; by default all are one group, as published.

    Args:
        layer_decay: Factor of the learning rate from each layer of the backbone to the one below, in (0, 1]: layers
            near the image, which hold the most general features, change least. Layers are timm's (Clark et al.,
            "ELECTRA", 2020; Bao et al., "BEiT", 2021).
        head_rate: Factor of the learning rate of the loss's weights, such as the class weights, above 0.
        decay_norms: Apply weight decay to biases, norms and what else timm would leave out, too.
    """

    layer_decay: float = 1.0
    head_rate: float = 1.0
    decay_norms: bool = True

    def __post_init__(self) -> None:
        if not 0 < self.layer_decay <= 1:
            raise LandmarksError(f"parameters.layer_decay: {self.layer_decay} must lie in (0, 1]; 1 turns it off")
        if not self.head_rate > 0:
            raise LandmarksError(f"parameters.head_rate: {self.head_rate} must be above 0; 1 turns it off")

    def __call__(self, module: nn.Module) -> list[Any]:
        """Return the trainable parameters of a module with a network `model`, or groups of them with a `rate` each.

        Raises:
            LandmarksError: The network does not tell its layers, or the loss has no weights.
        """
        trainable = {name: value for name, value in module.named_parameters() if value.requires_grad}
        if self == ParameterGroups():
            return list(trainable.values())
        head = {name for name in trainable if name.startswith("loss.")}
        if self.head_rate != 1 and not head:
            raise LandmarksError("parameters.head_rate: this loss has no weights of its own; leave it at 1")
        backbone = getattr(module.model, "backbone", None)
        network = getattr(backbone, "network", backbone)
        known = {} if network is None and self.layer_decay == 1 else self._by_timm(network)
        groups = defaultdict(list)
        for name, value in trainable.items():
            rate, decayed = known.get(id(value), (self.head_rate if name in head else 1.0, value.ndim > 1))
            groups[rate, decayed or self.decay_norms].append(value)
        return [
            {"params": values, RATE: rate} | ({} if decayed else {"weight_decay": 0.0})
            for (rate, decayed), values in groups.items()
        ]

    def _by_timm(self, network: Any) -> dict[int, tuple[float, bool]]:
        """Return the rate of each parameter of a network, and whether it has weight decay, by its identity."""
        left_out = network.no_weight_decay() if hasattr(network, "no_weight_decay") else ()
        groups: Any
        if self.layer_decay == 1:
            groups = param_groups_weight_decay(network, weight_decay=1.0, no_weight_decay_list=left_out)
        elif hasattr(network, "group_matcher"):
            groups = param_groups_layer_decay(
                network, weight_decay=1.0, no_weight_decay_list=left_out, layer_decay=self.layer_decay
            )
        else:
            raise LandmarksError(
                "parameters.layer_decay: this network does not tell its layers; leave it at 1, or give its backbone a "
                "method `group_matcher`, as timm's networks have"
            )
        return {
            id(value): (group.get("lr_scale", 1.0), group["weight_decay"] > 0)
            for group in groups
            for value in group["params"]
        }
