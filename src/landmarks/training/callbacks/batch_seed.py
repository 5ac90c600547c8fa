"""Makes what a network leaves to chance, such as dropout, a function of (seed, epoch, batch, rank).

So a run that is resumed draws the same as one that was never interrupted, on every rank, and no state of a generator
has to be saved. The pictures of a batch and their augmentations have seeds of their own.
"""

from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch


class BatchSeed(pl.Callback):
    """Seeds torch's generators before every training batch."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Take some 50 microseconds to seed."""
        place = [self.seed, trainer.current_epoch, batch_idx, trainer.global_rank]
        torch.manual_seed(int(np.random.SeedSequence(place).generate_state(1, np.uint64)[0]))
