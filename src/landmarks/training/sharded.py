"""Train a class head whose weights are divided between the ranks.

Checkpoints do not show it: they hold the whole head, and its optimizer's state, as if one process had trained them. So
they open everywhere, and any number of ranks can resume them. No process ever holds the whole in memory: the shards are
received one after another into an unnamed file in the folder of the run, and are read from there.
"""

import math
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytorch_lightning as pl
import torch
import torch.distributed as dist
from pytorch_lightning.callbacks import WeightAveraging
from pytorch_lightning.strategies import DDPStrategy, SingleDeviceStrategy
from torch import Tensor, nn
from torch.nn.utils import clip_grads_with_norm_, get_total_norm
from torch.optim import Optimizer
from torch.utils._pytree import tree_map_only

from landmarks.errors import LandmarksError
from landmarks.losses import ClassHead, Shard, gather_batch
from landmarks.training.module import LandmarkModule

LOSS = "loss."
BLOCK = 2**24
"""Number of values that are sent at a time."""


@dataclass(frozen=True)
class Sharding:
    """Whether the class weights are divided between the ranks.

    Attributes:
        enabled: Divide them, instead of keeping all of them on every rank.
        rate: Share of its classes that a rank scores in a step: those of the batch, and others drawn at random. 1
            scores all, and is exact; 0.1 is the published choice for millions of classes (An et al., "Partial FC",
            CVPR 2022).
    """

    enabled: bool = False
    rate: float = 1.0

    def __post_init__(self) -> None:
        if not 0.0 < self.rate <= 1.0:
            raise LandmarksError(f"sharding.rate={self.rate}: it is a share of the classes, above 0 and at most 1")
        if self.rate < 1.0 and not self.enabled:
            raise LandmarksError(f"sharding.rate={self.rate}: needs sharding.enabled=true, on one device too")


class ShardedModule(LandmarkModule):
    """Trains a network and this rank's classes of a head, on the batch of all ranks.

    The gradients are those of one process with the whole batch. The optimizer must treat each weight alone, as SGD,
    Adam and AdamW do: no rank knows the norm of all class weights, for example.

    Args:
        model: See `LandmarkModule`.
        make_head: Builds the head for all classes; it is called with a shard in force.
        rate: See `Sharding`.
        **options: Other arguments of `LandmarkModule`.

    Attributes:
        loss: The head with the weights of this rank's classes, once the number of ranks is known.

    Raises:
        LandmarksError: The loss has no class weights.
    """

    def __init__(self, model: nn.Module, make_head: Callable[[], nn.Module], rate: float, **options: Any) -> None:
        super().__init__(model, None, **options)
        with torch.device("meta"):  # without memory
            whole = make_head()
        if not isinstance(whole, ClassHead):
            raise LandmarksError(
                "sharding.enabled=true divides class weights, which this loss has not: leave it out, or choose another "
                "loss, such as loss=arcmargin"
            )
        self.loss = whole
        super().check_optimizer()
        self.loss = None
        self._whole = (whole,)  # in a tuple: it is no part of the module
        self._make_head = make_head
        self._random = torch.get_rng_state()  # as if the head were built here
        self._rate = rate
        self._divided: list[str] = []  # names of the weights that are divided
        self._loaded: dict[str, Any] = {}  # checkpoint that is resumed, until the optimizer is there

    def check_optimizer(self) -> None:
        """Wait for the head, which the constructor builds later."""

    @property
    def head(self) -> ClassHead:
        """The head of all classes, whose weights are there within `assembled` only."""
        return self._whole[0]

    def require(self, trainer: pl.Trainer) -> None:
        """Raise LandmarksError if the settings of the trainer do not fit."""
        if not isinstance(trainer.strategy, (DDPStrategy, SingleDeviceStrategy)):
            raise LandmarksError("sharding.enabled=true needs trainer=ddp, which it works with alone")
        if str(trainer.precision) == "16-mixed":  # each rank would find its own overflows and skip its own steps
            raise LandmarksError(
                "sharding.enabled=true: set trainer.precision=bf16-mixed or 32-true instead of 16-mixed"
            )
        if any(isinstance(one, WeightAveraging) for one in trainer.callbacks):  # type: ignore[attr-defined]
            raise LandmarksError(
                "sharding.enabled=true and levers=ema exclude each other: the average would be taken before the class "
                "weights are divided; leave one of them out"
            )
        if self.head.num_landmarks < trainer.world_size:
            raise LandmarksError(
                f"sharding.enabled=true: {self.head.num_landmarks} landmarks cannot be divided between "
                f"{trainer.world_size} devices"
            )

    def configure_model(self) -> None:
        """Build this rank's part of the head, in a process that knows its rank."""
        if self.loss is not None:
            return
        self._shard = Shard(self.head.num_landmarks, self.trainer.global_rank, self.trainer.world_size, self._rate)
        with torch.random.fork_rng(devices=[]), self._shard.building():
            torch.set_rng_state(self._random)
            self.loss = self._make_head()
        for name, one in self.loss.named_parameters():
            if self._is_divided(name) and len(one) == self._shard.classes:  # the head has cut its weights itself
                one.data = one.data[self._shard.place].clone()
        # what DistributedDataParallel neither copies from rank 0 nor averages
        self._divided = [LOSS + name for name, _ in self.loss.named_parameters() if self._is_divided(name)]
        self._ddp_params_and_buffers_to_ignore = self._divided

    def _is_divided(self, name: str) -> bool:
        return self.head.get_parameter(name).shape[0] == self._shard.classes

    def _loss_of(self, loss: nn.Module, descriptors: Tensor, landmarks: Tensor) -> Tensor:
        descriptors, landmarks = gather_batch(descriptors, landmarks, partial=True)
        with self._shard.computing(landmarks):
            return super()._loss_of(loss, descriptors, landmarks)

    def configure_gradient_clipping(
        self,
        optimizer: Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clip by the norm of the gradients of all ranks; by that of its own, each would clip the network otherwise."""
        if not gradient_clip_val or gradient_clip_algorithm == "value":
            super().configure_gradient_clipping(optimizer, gradient_clip_val, gradient_clip_algorithm)
            return
        own = [self.get_parameter(name) for name in self._divided]
        with_grad = [one for group in optimizer.param_groups for one in group["params"] if one.grad is not None]
        shared = [one.grad for one in with_grad if not any(one is mine for mine in own)]
        square = get_total_norm([one.grad for one in own if one.grad is not None]).square()
        if self._shard.ranks > 1:
            dist.all_reduce(square)
        clip_grads_with_norm_(with_grad, gradient_clip_val, (square + get_total_norm(shared).square()).sqrt())

    @contextmanager
    def assembled(self) -> Iterator[None]:
        """Give `head` its weights within the block, on rank 0; all ranks must enter it."""
        assert self.loss is not None
        values = self.loss.state_dict()
        whole = {
            name: self._assemble(value) if LOSS + name in self._divided else value.cpu()
            for name, value in values.items()
        }
        if self.trainer.is_global_zero:
            self.head.load_state_dict(whole, assign=True)
        try:
            yield
        finally:
            self.head.to("meta")

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Put the whole head in place of this rank's part."""
        super().on_save_checkpoint(checkpoint)
        self._change_weights(checkpoint, self._assemble)
        self._change_moments(checkpoint, self._assemble)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take this rank's part of the whole head."""
        super().on_load_checkpoint(checkpoint)
        self._change_weights(checkpoint, self._own)
        self._loaded = checkpoint

    def on_fit_start(self) -> None:
        """Take this rank's part of the optimizer's state before it is restored; there was no optimizer earlier."""
        super().on_fit_start()
        self._change_moments(self._loaded, self._own)
        # copied out of the mapped file, which somebody might write over
        self._loaded.update(optimizer_states=tree_map_only(Tensor, torch.clone, self._loaded.get("optimizer_states")))
        self._loaded = {}

    def _own(self, whole: Tensor) -> Tensor:
        return whole[self._shard.place]

    def _change_weights(self, checkpoint: dict[str, Any], change: Callable[[Tensor], Tensor]) -> None:
        values = checkpoint["state_dict"]
        values.update({name: change(values[name]) for name in self._divided if name in values})

    def _change_moments(self, checkpoint: dict[str, Any], change: Callable[[Tensor], Tensor]) -> None:
        for optimizer, found in zip(self.trainer.optimizers, checkpoint.get("optimizer_states", ()), strict=False):
            trained = [one for group in optimizer.param_groups for one in group["params"]]
            divided = [self.get_parameter(name) for name in self._divided]
            for number in (number for number, one in enumerate(trained) if any(one is mine for mine in divided)):
                # a new dictionary, because the optimizer itself uses this one
                found["state"][number] = {
                    key: change(value) if isinstance(value, Tensor) and value.ndim else value
                    for key, value in found["state"].get(number, {}).items()
                }

    def _assemble(self, own: Tensor) -> Tensor:
        """Return a tensor of all classes on rank 0, mapped from a file that nothing else names; `own` on the others."""
        shard, rank = self._shard, self.trainer.global_rank
        if shard.ranks == 1:
            return own
        own = own.detach().contiguous()
        if rank:
            for block in own.flatten().split(BLOCK):
                dist.send(block, 0)
            return own
        shape = (shard.classes, *own.shape[1:])
        with tempfile.NamedTemporaryFile(dir=self.trainer.default_root_dir) as file:  # gone with its last user
            whole = torch.from_file(file.name, shared=True, size=math.prod(shape), dtype=own.dtype).view(shape)
        whole[shard.place] = own.cpu()
        received = own.new_empty(min(BLOCK, own.numel())).flatten()
        for other in range(1, shard.ranks):
            for block in whole[Shard(shard.classes, other, shard.ranks).place].flatten().split(len(received)):
                dist.recv(received[: len(block)], other)
                block.copy_(received[: len(block)])
        return whole
