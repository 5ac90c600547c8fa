"""The train job of descriptor networks: its data, its network, and its losses."""

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytorch_lightning as pl
import torch
from hydra.utils import instantiate
from omegaconf import DictConfig
from torch import nn
from torchvision.models.detection import FasterRCNN

from landmarks.config import TrainSettings, built_class, check_config
from landmarks.data import LandmarkDataModule
from landmarks.errors import LandmarksError
from landmarks.evaluation import check_monitor, write_result
from landmarks.losses import ClassHead
from landmarks.models import (
    DescriptorNet,
    checkpoint_record,
    require_size,
)
from landmarks.training.callbacks import DescriptorEvaluation
from landmarks.training.module import LandmarkModule
from landmarks.training.run import Parts, TrainedRun, own_metrics, ready, run_training
from landmarks.training.sharded import ShardedModule, Sharding


def train_job(config: DictConfig) -> float | None:
    """Check the configuration, record it, train, and return the monitored figure for sweeps."""
    check_config(config, TrainSettings)
    if issubclass(built_class(config.model) or object, FasterRCNN):
        raise LandmarksError(
            "This model detects objects and does not embed landmarks: train it with task=detection, as "
            "experiments=res50_oid_v4_detector does, or choose another model."
        )
    return train(config, Path(config.run_dir))


def train(config: DictConfig, run_dir: Path) -> float | None:
    """Train and evaluate a descriptor network; see `run_training`."""
    return run_training(config, run_dir, _landmark_parts)


def _landmark_parts(config: DictConfig) -> Parts:
    # whether there will be predictions is known later
    check_monitor(config.monitor, recognised=True, predictions=True, own=own_metrics(config))
    make_loss = instantiate(config.loss)
    data: LandmarkDataModule = instantiate(config.data, _partial_=True)(
        pairs=getattr(make_loss.func, "needs_pairs", False), scales=config.extraction.scales
    )
    data.prepare_data()
    model = instantiate(config.model)
    data.fit_network(getattr(model, "input_multiple", 1))
    for key, shape in data.input_shapes():
        require_size(model, key, shape)
    frozen, local = False, None
    if isinstance(model, DescriptorNet):
        model.check_local(data.input_shapes()[0][1])
        frozen, local = model.frozen_global, model.local
    ready(data)
    record = checkpoint_record(
        config,
        data.preprocessing,
        landmark_names=data.train_set.table.landmark_names.tolist(),
        evaluated_on=data.evaluation_identity(),
    )
    options = {
        "optimizer": instantiate(config.optimizer),
        "scheduler": instantiate(config.scheduler),
        "parameters": instantiate(config.parameters),
        "channels_last": config.channels_last,
        "compile": config.compile,
        "record": record,
        "local_loss": local and _build_loss(instantiate(config.local_loss), "local_loss", data, local.channels),
    }
    build = partial(_build_loss, make_loss, "loss", data, model.dim)
    sharding: Sharding = instantiate(config.sharding)
    if sharding.enabled and not frozen:
        module: LandmarkModule = ShardedModule(model, build, sharding.rate, **options)
    else:
        module = LandmarkModule(model, None if frozen else build(), **options)

    def adapt(trainer: pl.Trainer) -> None:
        if isinstance(module, ShardedModule):
            module.require(trainer)
        if frozen:  # metrics stay the same all along: leave only the evaluation after the last step
            trainer.check_val_every_n_epoch, trainer.val_check_interval = sys.maxsize, 1.0

    def report(run: TrainedRun) -> None:
        assert isinstance(run.evaluation, DescriptorEvaluation) and run.evaluation.result is not None
        write_result(run.run_dir, config, run.evaluation.result, run.results, config.name, run.figures)

    amount = f"{len(data.train_set)} images of {data.num_landmarks} landmarks"
    return Parts(data, module, record, amount, report, adapt)


def _build_loss(make_loss: Callable[..., nn.Module], key: str, data: LandmarkDataModule, dim: int) -> nn.Module:
    try:
        loss = make_loss(num_landmarks=data.num_landmarks, dim=dim)
        if isinstance(loss, ClassHead):
            loss.set_class_sizes(torch.from_numpy(data.train_set.table.counts()))
    except ValueError as error:  # losses depend on no other room, so they cannot raise LandmarksError
        raise LandmarksError(f"{key}: {error}") from error
    return loss
