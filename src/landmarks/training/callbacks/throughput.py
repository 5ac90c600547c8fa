"""Logs how many pictures a second training takes in, the figure that decides what a run costs."""

import time
from typing import Any

import pytorch_lightning as pl


class Throughput(pl.Callback):
    """Logs `train/images_per_second` over each logging interval, waiting for data included, summed over ranks."""

    def __init__(self) -> None:
        self._since = time.perf_counter()
        self._images = 0

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start anew: the evaluation between two epochs is no training time."""
        self._since, self._images = time.perf_counter(), 0

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Count the batch and report once a logging interval."""
        self._images += len(batch["image"]) * trainer.world_size
        if (trainer.global_step + 1) % trainer.log_every_n_steps == 0:  # type: ignore[attr-defined]
            now = time.perf_counter()
            pl_module.log("train/images_per_second", self._images / (now - self._since), batch_size=1)
            self._since, self._images = now, 0
