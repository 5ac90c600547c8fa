"""Lightning modules for training: a network, its loss, the optimizer and the schedule."""

import math
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from landmarks.errors import LandmarksError
from landmarks.extraction import DescriptorModule
from landmarks.losses import gather_batch
from landmarks.models import DescriptorNet
from landmarks.training.parameter_groups import RATE, ParameterGroups

OptimizerFactory = Callable[[Iterable[Any]], Optimizer]
SchedulerFactory = Callable[..., LRScheduler]
ONE_GROUP = ParameterGroups()


class TrainedModule(pl.LightningModule):
    """Base of the modules of all tasks: sets up optimizer and schedule, and stores a record in every checkpoint.

    Args:
        optimizer: Makes the optimizer from parameters or groups of them.
        scheduler: Makes the schedule, counted in steps, from (optimizer, total_steps).
        record: Plain values stored in every checkpoint, from which the model can be built again.
        parameters: Divides the parameters into groups.
        **more: Arguments of another base class.
    """

    def __init__(
        self,
        optimizer: OptimizerFactory,
        scheduler: SchedulerFactory,
        record: dict[str, Any] | None = None,
        parameters: ParameterGroups = ONE_GROUP,
        **more: Any,
    ) -> None:
        super().__init__(**more)
        self.record = record or {}
        self.parameter_groups = parameters
        self._make_optimizer = optimizer
        self._make_scheduler = scheduler

    def check_optimizer(self) -> None:
        """Raise LandmarksError if optimizer or schedule refuse their values; call this at the end of a constructor."""
        try:
            optimizer = self._optimizer()
        except ValueError as error:
            raise LandmarksError(f"optimizer: {error}") from error
        try:
            self._make_scheduler(optimizer, total_steps=100)
        except ValueError as error:
            raise LandmarksError(f"scheduler: {error}") from error

    def configure_optimizers(self) -> Any:
        """Build the optimizer, and a schedule over the whole run; raises LandmarksError if its length is not known."""
        total_steps = self.trainer.estimated_stepping_batches
        if math.isinf(total_steps):
            raise LandmarksError(
                "The schedule needs the length of the run: set trainer.max_epochs or trainer.max_steps."
            )
        optimizer = self._optimizer()
        scheduler = self._make_scheduler(optimizer, total_steps=int(total_steps))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def _optimizer(self) -> Optimizer:
        optimizer = self._make_optimizer(self.parameter_groups(self))
        for group in optimizer.param_groups:
            group["lr"] *= group.pop(RATE, 1.0)
        return optimizer

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Store the record beside the weights, so that the checkpoint can be opened without the run's folder."""
        checkpoint["landmarks"] = self.record


class LandmarkModule(TrainedModule, DescriptorModule):
    """Trains `model` with `loss`; by default weight decay applies to all parameters, as published.

    Args:
        model: Network from normalised images, float [B, 3, H, W], to descriptors [B, D].
        loss: Module from descriptors [B, D] and landmarks int64 [B] to a scalar; its class weights are trained too.
            None if the descriptors are frozen.
        optimizer, scheduler, record, parameters: See `TrainedModule`.
        channels_last, compile: See `DescriptorModule`.
        local_loss: Module from pooled local features [B, C], their reconstruction error and landmarks to a scalar,
            which is added to the loss; for a model with a local branch.
    """

    def __init__(
        self,
        model: nn.Module,
        loss: nn.Module | None,
        optimizer: OptimizerFactory,
        scheduler: SchedulerFactory,
        channels_last: bool = True,
        compile: bool = False,
        record: dict[str, Any] | None = None,
        local_loss: nn.Module | None = None,
        parameters: ParameterGroups = ONE_GROUP,
    ) -> None:
        super().__init__(
            optimizer, scheduler, record, parameters, model=model, channels_last=channels_last, compile=compile
        )
        self.loss = loss
        self.local_loss = local_loss
        self.check_optimizer()

    @property
    def head(self) -> nn.Module | None:
        """The loss, which can classify within `assembled` if it has class weights."""
        return self.loss

    def assembled(self) -> AbstractContextManager[None]:
        """Give `head` all its weights within the block, on rank 0; all ranks must enter it."""
        return nullcontext()

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> Tensor:
        """Return the loss of one batch of labelled images."""
        images, landmarks = batch["image"], batch["landmark"]
        losses: list[Tensor] = []
        if self.local_loss is None:
            descriptors = self(images)
        else:
            assert isinstance(self.model, DescriptorNet)
            descriptors, pooled, error = self.model.with_local(self._input(images))
            losses.append(self.local_loss(pooled, error, landmarks))
            figures = {"train/local_loss": losses[0], "train/reconstruction_error": error}
            self.log_dict(figures, on_step=True, on_epoch=False, batch_size=len(images))
        if self.loss is not None:
            losses.append(self._loss_of(self.loss, descriptors.float(), landmarks))
            if "mixed_with" in batch:  # see `Mixup`
                other = self._loss_of(self.loss, descriptors.float(), batch["mixed_with"])
                losses[-1] = other.lerp(losses[-1], batch["share"])
        loss = torch.stack(losses).sum()
        self.log("train/loss", loss, on_step=True, on_epoch=False, prog_bar=True, batch_size=len(images))
        return loss

    def _loss_of(self, loss: nn.Module, descriptors: Tensor, landmarks: Tensor) -> Tensor:
        """Compute the loss of a batch, of that of all ranks for a loss that compares its images with each other."""
        if getattr(loss, "whole_batch", False):
            descriptors, landmarks = gather_batch(descriptors, landmarks)
        try:
            value: Tensor = loss(descriptors, landmarks)
        except ValueError as error:  # losses depend on no other room, so they cannot raise LandmarksError
            raise LandmarksError(f"loss: {error}") from error
        return value
