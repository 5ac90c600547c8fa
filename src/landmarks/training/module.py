"""The Lightning module: a descriptor network, a loss with its head, and how both are optimised."""

import math
from collections.abc import Callable, Iterable
from typing import Any

import pytorch_lightning as pl
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from landmarks.errors import LandmarksError
from landmarks.extraction import DescriptorModule

OptimizerFactory = Callable[[Iterable[nn.Parameter]], Optimizer]
SchedulerFactory = Callable[..., LRScheduler]


def build_optimizers(
    module: pl.LightningModule, make_optimizer: OptimizerFactory, make_scheduler: SchedulerFactory
) -> dict[str, Any]:
    """Build what `LightningModule.configure_optimizers` returns; the schedule counts steps.

    `make_optimizer` makes an optimiser of parameters, `make_scheduler` a schedule of (optimizer, total_steps).
    """
    total_steps = module.trainer.estimated_stepping_batches
    if math.isinf(total_steps):
        raise LandmarksError(
            "The length of the run is open, and the schedule needs it: set trainer.max_epochs or trainer.max_steps."
        )
    optimizer = make_optimizer([p for p in module.parameters() if p.requires_grad])
    scheduler = make_scheduler(optimizer, total_steps=int(total_steps))
    return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}


def check_optimizers(module: nn.Module, make_optimizer: OptimizerFactory, make_scheduler: SchedulerFactory) -> None:
    """Refuse, before any work, values that an optimizer or a schedule refuses."""
    try:
        optimizer = make_optimizer([p for p in module.parameters() if p.requires_grad])
    except ValueError as error:
        raise LandmarksError(f"optimizer: {error}") from error
    try:
        make_scheduler(optimizer, total_steps=100)
    except ValueError as error:
        raise LandmarksError(f"scheduler: {error}") from error


class LandmarkModule(DescriptorModule):
    """Trains `model` under `loss`.

    Args:
        model: pictures [B, 3, H, W] float, normalised -> descriptors [B, D].
        loss: (descriptors [B, D], landmarks int64 [B]) -> scalar; its class weights train with the model.
        optimizer: from parameters to an optimiser. Weight decay covers all parameters, as released.
        scheduler: from (optimizer, total_steps) to a schedule counted in steps.
        channels_last: see `DescriptorModule`.
        compile: see `DescriptorModule`.
        record: plain values stored in every checkpoint, enough to build the model again.
    """

    def __init__(
        self,
        model: nn.Module,
        loss: nn.Module,
        optimizer: OptimizerFactory,
        scheduler: SchedulerFactory,
        channels_last: bool = True,
        compile: bool = False,
        record: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(model, channels_last=channels_last, compile=compile)
        self.loss = loss
        self.record = record or {}
        self._make_optimizer = optimizer
        self._make_scheduler = scheduler
        check_optimizers(self, optimizer, scheduler)

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> Tensor:
        """Return the loss of one batch of labelled pictures."""
        loss: Tensor = self.loss(self(batch["image"]), batch["landmark"])
        self.log("train/loss", loss, on_step=True, on_epoch=False, prog_bar=True, batch_size=len(batch["image"]))
        return loss

    def configure_optimizers(self) -> Any:
        """Build the optimiser over network and head, and a schedule that spans the whole run."""
        return build_optimizers(self, self._make_optimizer, self._make_scheduler)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Put the record beside the weights, so that a checkpoint explains itself."""
        checkpoint["landmarks"] = self.record
