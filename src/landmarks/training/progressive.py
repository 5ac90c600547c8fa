"""Values that rise over a run, as levers: the size of training images, and the margin of the loss."""

import math
from typing import Any

import pytorch_lightning as pl

from landmarks.data import LandmarkDataModule
from landmarks.errors import LandmarksError
from landmarks.extraction import data_of
from landmarks.models import require_size


class ProgressiveResolution(pl.Callback):
    """Trains on small images first and on larger ones from epoch to epoch; evaluation images keep their size.

    What is learned from small images holds at a larger size, and most of the run is cheaper (Tan and Le,
    "EfficientNetV2", ICML 2021). Sides are rounded to what the network takes, multiples of 32 for most.

    Args:
        start: Side of the images in the first epoch, as a share of `data.image_size`, in (0, 1].
        until: Share of the run after which images have their full size, in (0, 1].
    """

    def __init__(self, start: float = 0.5, until: float = 0.75) -> None:
        _require_share("levers.resolution", start=start, until=until)
        self.start = start
        self.until = until

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Raise LandmarksError if the smallest images suit neither the augmentation nor the network."""
        if not isinstance(trainer.datamodule, LandmarkDataModule):  # type: ignore[attr-defined]
            raise LandmarksError("levers.resolution: a detector resizes images itself; leave this lever out")
        model: Any = pl_module.model
        for shape in data_of(trainer).training_shapes(self.start):
            require_size(model, f"levers.resolution.start={self.start}", shape)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Set the size in a run that resumes within an epoch, where `on_train_epoch_start` is not called."""
        self.on_train_epoch_start(trainer, pl_module)

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Set the size of the images of this epoch."""
        steps = math.ceil(trainer.num_training_batches / trainer.accumulate_grad_batches)
        done = trainer.current_epoch * steps / trainer.estimated_stepping_batches
        data_of(trainer).resize_training(_risen(self.start, 1.0, done / self.until))

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Leave the data module as it was."""
        data_of(trainer).resize_training(1.0)


class ProgressiveMargin(pl.Callback):
    """Raises the margin of the loss from step to step, up to `loss.margin`.

    A large margin from the start can keep a network from learning anything; the authors of the published models report
    that raising it step by step helps.

    Args:
        start: Margin of the first step, in the unit of `loss.margin`.
        until: Share of the run after which the margin is `loss.margin`, in (0, 1].
    """

    def __init__(self, start: float = 0.0, until: float = 0.5) -> None:
        _require_share("levers.margin", until=until)
        self.start = start
        self.until = until
        self._final = 0.0

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Raise LandmarksError if the loss has no margin that can rise."""
        margin = getattr(getattr(pl_module, "head", None), "margin", None)
        if not isinstance(margin, (int, float)):
            raise LandmarksError("levers.margin: this loss has no single margin; choose loss=arcmargin")
        if not 0 <= self.start <= margin:
            raise LandmarksError(f"levers.margin.start: {self.start} must lie in [0, loss.margin], up to {margin}")

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Note the final margin."""
        self._final = self._loss(pl_module).margin

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Set the margin of this step."""
        done = trainer.global_step / trainer.estimated_stepping_batches
        self._loss(pl_module).margin = _risen(self.start, self._final, done / self.until)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Leave the loss as it was."""
        self._loss(pl_module).margin = self._final

    @staticmethod
    def _loss(pl_module: pl.LightningModule) -> Any:
        return pl_module.loss


def _risen(start: float, end: float, done: float) -> float:
    return start + (end - start) * min(1.0, done)


def _require_share(lever: str, **shares: float) -> None:
    for key, share in shares.items():
        if not 0 < share <= 1:
            raise LandmarksError(f"{lever}.{key}: {share} must lie in (0, 1]")
