"""An optimiser over what a module trains, and a schedule that spans the whole run."""

import math
from collections.abc import Callable, Iterable
from typing import Any

import pytorch_lightning as pl
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from landmarks.errors import LandmarksError

OptimizerFactory = Callable[[Iterable[nn.Parameter]], Optimizer]
SchedulerFactory = Callable[..., LRScheduler]


def build_optimizers(
    module: pl.LightningModule, make_optimizer: OptimizerFactory, make_scheduler: SchedulerFactory
) -> dict[str, Any]:
    """Build what `LightningModule.configure_optimizers` returns; the schedule counts steps.

    Args:
        module: attached to its trainer.
        make_optimizer: from parameters to an optimiser.
        make_scheduler: from (optimizer, total_steps) to a schedule.

    Raises:
        LandmarksError: neither steps nor epochs bound the run.
    """
    total_steps = module.trainer.estimated_stepping_batches
    if math.isinf(total_steps):
        raise LandmarksError(
            "The length of the run is open, and the schedule needs it: set trainer.max_epochs or trainer.max_steps."
        )
    optimizer = make_optimizer([p for p in module.parameters() if p.requires_grad])
    scheduler = make_scheduler(optimizer, total_steps=int(total_steps))
    return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}
