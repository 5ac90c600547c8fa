"""Mixup: training on blends of two images, as a lever."""

from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch

from landmarks.errors import LandmarksError
from landmarks.losses import ClassHead
from landmarks.training.module import LandmarkModule


class Mixup(pl.Callback):
    """Blends each image of a batch with another one, and their losses likewise (Zhang et al., ICLR 2018).

    The loss of labels is mixed instead of one-hot labels, which 203,094 landmarks rule out; it is computed twice, from
    one pass through the network.

    Args:
        seed: Seed of the run.
        alpha: Both parameters of the beta distribution of the share of the first image, one share a batch; at 0.2
            one of the two mostly dominates, at 1 all shares are equally likely.
    """

    def __init__(self, seed: int, alpha: float = 0.2) -> None:
        if not alpha > 0:
            raise LandmarksError(f"levers.mixup.alpha: {alpha} must be above 0; without the lever nothing is mixed")
        self.seed = seed
        self.alpha = alpha

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Raise LandmarksError if the loss cannot be mixed."""
        if not isinstance(pl_module, LandmarkModule) or not isinstance(pl_module.head, ClassHead):
            raise LandmarksError(
                "levers.mixup: needs a loss with class weights, such as arcmargin or softmax; images of one landmark "
                "are no longer of one landmark when they are mixed"
            )
        if pl_module.local_loss is not None:
            raise LandmarksError(
                "levers.mixup: a local branch cannot be trained on mixed images; leave one of them out"
            )

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Replace the images of a batch by blends, and add `mixed_with`, the landmarks of the second images."""
        place = [self.seed, trainer.current_epoch, batch_idx, trainer.global_rank, 1]  # 1: not the seed of `BatchSeed`
        random = np.random.default_rng(place)
        share = float(random.beta(self.alpha, self.alpha))
        images, landmarks = batch["image"], batch["landmark"]
        partner = torch.from_numpy(random.permutation(len(images))).to(images.device)
        mixed = images[partner].float().lerp_(images.float(), share).round_().to(images.dtype)
        batch.update(image=mixed, mixed_with=landmarks[partner], share=share)
