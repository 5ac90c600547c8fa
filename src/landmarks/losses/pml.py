"""Any loss and miner of pytorch-metric-learning, by the names of their classes (the extra `pml`)."""

import inspect
from collections.abc import Mapping
from difflib import get_close_matches
from importlib import import_module
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from landmarks.losses.cross_entropy import at_least_float32

LIBRARY = "pytorch_metric_learning"
PLACE = ("queue_idx", "has_been_filled")


class PML(nn.Module):
    """A loss of pytorch-metric-learning, with a miner and a memory of earlier batches if asked for.

    Losses with class weights get the number of landmarks and the length of the descriptors. All others learn from
    images of the same landmark, of which a batch must hold some (`sampler=balanced`).

    Args:
        num_landmarks: Number of classes C.
        dim: Length of the descriptors D.
        loss: Class in `pytorch_metric_learning.losses`, or the full import path of another one.
        options: Arguments of that class.
        miner: Class in `pytorch_metric_learning.miners`, or the full import path of another one; None takes all pairs.
        miner_options: Arguments of the miner.
        memory: Number of descriptors of earlier batches with which those of a batch are compared, too (Wang et al.,
            "Cross-Batch Memory for Embedding Learning", CVPR 2020); 0 compares them only with each other.

    Attributes:
        needs_pairs: False, any batch with several images of a landmark will do.
        whole_batch: True, the images of all ranks are compared with each other.

    Raises:
        ValueError: The library is missing, has no such class, or the class refuses its arguments.
    """

    needs_pairs: ClassVar[bool] = False
    whole_batch: ClassVar[bool] = True

    def __init__(
        self,
        num_landmarks: int,
        dim: int,
        loss: str = "MultiSimilarityLoss",
        options: Mapping[str, Any] | None = None,
        miner: str | None = None,
        miner_options: Mapping[str, Any] | None = None,
        memory: int = 0,
    ) -> None:
        super().__init__()
        sizes = {"num_classes": num_landmarks, "embedding_size": dim, "descriptors_dim": dim}
        found = _find("loss", loss, "losses")
        needed = _required(found)
        self.has_class_weights = "num_classes" in needed
        given = {name: value for name, value in sizes.items() if name in needed}
        self.loss = _make("loss", found, given | dict(options or {}))
        self.miner = None
        if miner is not None:
            self.miner = _make("miner", _find("miner", miner, "miners"), dict(miner_options or {}))
        self.memory = memory
        if memory:
            queue = {"loss": self.loss, "embedding_size": dim, "memory_size": memory, "miner": self.miner}
            self.loss, self.miner = _make("memory", _find("memory", "CrossBatchMemory", "losses"), queue), None

    def forward(self, descriptors: Tensor, landmarks: Tensor) -> Tensor:
        """Compute the loss, a scalar, of descriptors float [B, D] and landmarks int64 [B]."""
        self._check_batch(landmarks)
        with torch.autocast(descriptors.device.type, enabled=False):
            x = at_least_float32(descriptors)
            loss: Tensor = self.loss(x, landmarks, None if self.miner is None else self.miner(x, landmarks))
            return loss

    def get_extra_state(self) -> Tensor:
        """Return the place in the memory, which the library does not store, int64 [2]."""
        return torch.tensor([int(getattr(self.loss, name, 0)) for name in PLACE])

    def set_extra_state(self, state: Tensor) -> None:
        """Restore the place in the memory."""
        if self.memory:
            vars(self.loss).update(zip(PLACE, state.tolist(), strict=True))

    def _check_batch(self, landmarks: Tensor) -> None:
        if self.memory:
            if self.memory < len(landmarks):
                raise ValueError(f"loss.memory={self.memory} is less than a batch of all devices, {len(landmarks)}")
        elif not self.has_class_weights and len(landmarks.unique()) == len(landmarks):
            raise ValueError(
                f"no two of the {len(landmarks)} images of this batch show the same landmark, so there is no pair to "
                "learn from: use sampler=balanced with sampler.images_per_landmark of 2 or more"
            )


def _find(key: str, name: str, group: str) -> type[nn.Module]:
    """Return a class by its name in a group of the library, or by its full import path."""
    path, _, last = name.rpartition(".")
    try:
        module = import_module(path or f"{LIBRARY}.{group}")
    except ImportError as error:
        if (error.name or "").partition(".")[0] == LIBRARY:
            raise ValueError("needs pytorch-metric-learning: pip install 'landmarks[pml]'") from None
        raise ValueError(f"loss.{key}={name}: {error}") from None
    if isinstance(found := getattr(module, last, None), type):
        return found
    close = get_close_matches(last, [one for one in vars(module) if one[0].isupper()], n=3)
    hint = f"; did you mean {' or '.join(close)}?" if close else ""
    raise ValueError(f"loss.{key}={name}: {module.__name__} has no class {last}{hint}")


def _required(found: type[nn.Module]) -> set[str]:
    """Return the arguments without defaults of a class and of those bases to which it hands keyword arguments."""
    required = set()
    for base in found.__mro__:
        if made := vars(base).get("__init__"):
            parameters = inspect.signature(made).parameters.values()
            required |= {one.name for one in parameters if one.default is one.empty}
            if not any(one.kind is one.VAR_KEYWORD for one in parameters):
                break
    return required


def _make(key: str, found: type[nn.Module], options: dict[str, Any]) -> nn.Module:
    try:
        return found(**options)
    except Exception as error:  # the library refuses values with exceptions of many types
        raise ValueError(f"loss.{key}={found.__name__}: {str(error).replace('__init__() ', '')}") from error
