"""Averaging of weights over the steps of a run, as a lever."""

from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import WeightAveraging
from torch import Tensor

from landmarks.errors import LandmarksError


class WeightAverage(WeightAveraging):
    """Evaluates and stores an exponential moving average of the weights (Tarvainen and Valpola, NeurIPS 2017).

    Lightning's callback keeps the average and puts it into checkpoints in place of the weights; `last.ckpt` has both.
    It differs from Lightning's `EMAWeightAveraging` in three things: early in a run the average spans fewer steps, so
    that the untrained weights fade from short runs too; integer buffers are copied (their average would be cut off to
    other integers); and an evaluation sees the average from its first hook to its last, recognition included.

    It costs a copy of the weights in memory.

    Args:
        decay: Share of the average that a step keeps, in (0, 1): it spans about 1 / (1 - decay) steps. After n steps
            it is at most (1 + n) / (10 + n).
    """

    def __init__(self, decay: float = 0.9998) -> None:
        if not 0 < decay < 1:
            raise LandmarksError(f"levers.ema.decay: {decay} must lie in (0, 1)")
        self.decay = decay
        super().__init__(multi_avg_fn=self._average)

    @torch.no_grad()
    def _average(self, averages: list[Tensor], weights: list[Tensor], count: Tensor) -> None:
        """Update averages of one device and type; `count` is the number of updates before."""
        if averages[0].is_floating_point():
            kept = min(self.decay, (1 + int(count)) / (10 + int(count)))
            torch._foreach_lerp_(averages, weights, 1 - kept)
        else:
            torch._foreach_copy_(averages, weights)

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Move the average to the device of the weights, which it was made before."""
        assert self._average_model is not None
        self._average_model.to(pl_module.device)

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Leave the average in place: other callbacks now search and score."""

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Put the weights back, before checkpoints are written."""
        super().on_validation_epoch_end(trainer, pl_module)

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Drop the average, which a later evaluation of other weights must not see."""
        self._average_model = None

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Restore weights and average."""
        if self._average_model is not None:
            super().on_load_checkpoint(trainer, pl_module, checkpoint)
