"""Freezing of parts of the network for a share of the run, as a lever."""

from collections.abc import Mapping
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.strategies import DDPStrategy
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from landmarks.errors import LandmarksError

NOTHING: Mapping[str, float] = {}


class Freeze(pl.Callback):
    """Leaves parts of the network as they are for the first share of a run, or the backbone's batch norm throughout.

    A frozen part keeps its weights and its batch norm statistics, and costs no backward pass below the first trained
    layer. With several processes DistributedDataParallel is made anew when a part is released, since it averages only
    the gradients of weights that were trained when it was made.

    Args:
        until: Share of the run in (0, 1] at which a part is released, by its name in the network:
            `{backbone: 0.1, backbone.network.layer1: 1}` never trains the first stage of a ResNet, and trains the
            others after a tenth of the run.
        norms: Batch norm in the backbone uses its running statistics, unchanged, also where its weights are trained.
    """

    def __init__(self, until: Mapping[str, float] = NOTHING, norms: bool = False) -> None:
        if wrong := {part: share for part, share in until.items() if not 0 < share <= 1}:
            raise LandmarksError(f"levers.freeze.until: {wrong}: shares of the run must lie in (0, 1]")
        self.until = dict(until)
        self.norms = norms
        self._trained: list[nn.Parameter] = []
        self._frozen: set[str] | None = None

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Raise LandmarksError if a part does not exist, or if the strategy does not allow for parts to be frozen."""
        for name in self.until:
            self._part(pl_module, name)
        if self.norms and not self._norms(pl_module):
            raise LandmarksError("levers.freeze.norms=true: the backbone has no batch norm")
        if self.until and trainer.world_size > 1 and not isinstance(trainer.strategy, DDPStrategy):
            raise LandmarksError("levers.freeze: several devices need trainer=ddp to freeze and release parts")

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Freeze what is frozen at this step."""
        self._trained, self._frozen = [one for one in pl_module.parameters() if one.requires_grad], None
        self._apply(trainer, pl_module)

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Release what is due."""
        self._apply(trainer, pl_module)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Leave all weights trainable that were."""
        for parameter in self._trained:
            parameter.requires_grad_(True)

    def _apply(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        done = trainer.global_step / trainer.estimated_stepping_batches
        frozen = {name for name, share in self.until.items() if done < share}
        if frozen == self._frozen:
            return
        changed, self._frozen = bool(frozen or self._frozen), frozen
        parts = [self._part(pl_module, name) for name in frozen]
        still = {id(one) for part in parts for one in part.parameters()}
        for parameter in self._trained:
            parameter.requires_grad_(id(parameter) not in still)
        if not any(parameter.requires_grad for parameter in self._trained):
            raise LandmarksError(f"levers.freeze.until: nothing is left to train while {', '.join(frozen)} are frozen")
        pl_module.train()
        for part in parts:
            part.eval()
        if self.norms:
            for norm in self._norms(pl_module):
                norm.eval()
        if changed and isinstance(trainer.strategy, DDPStrategy):
            trainer.strategy.model = pl_module
            trainer.strategy.configure_ddp()

    @classmethod
    def _norms(cls, pl_module: pl.LightningModule) -> list[nn.Module]:
        return [one for one in cls._part(pl_module, "backbone").modules() if isinstance(one, _BatchNorm)]

    @staticmethod
    def _part(pl_module: pl.LightningModule, name: str) -> nn.Module:
        model: Any = pl_module.model
        try:
            part: nn.Module = model.get_submodule(name)
        except AttributeError:
            parent, _, last = name.rpartition(".")
            within = dict(model.named_modules()).get(parent, model)
            raise LandmarksError(
                f"levers.freeze: the network has no part {name}; beside {last!r} there are "
                f"{', '.join(key for key, _ in within.named_children())}"
            ) from None
        return part
