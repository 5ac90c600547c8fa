"""The main job: compose, train, evaluate, report. Reads from top to bottom."""

import logging
import time
from collections.abc import Callable
from pathlib import Path

import pytorch_lightning as pl
import wandb
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.loggers import WandbLogger
from torch import nn

from landmarks.config.check import check_config
from landmarks.config.record import write_record
from landmarks.config.settings import TrainSettings
from landmarks.data.module import LandmarkDataModule
from landmarks.errors import LandmarksError
from landmarks.evaluation.monitor import figure
from landmarks.evaluation.outputs import write_result
from landmarks.evaluation.scoring import Scores
from landmarks.extraction.launch import ranks_launched
from landmarks.extraction.unreadable import UnreadablePictures
from landmarks.models.checkpoints import checkpoint_record, find_resume, load_weights
from landmarks.report.curves import plot_curves
from landmarks.training.callbacks.evaluation import DescriptorEvaluation
from landmarks.training.log_files import log_files, set_log_aside
from landmarks.training.module import LandmarkModule
from landmarks.training.whole_files import WholeFiles

log = logging.getLogger(__name__)


def train_job(config: DictConfig) -> float | None:
    """Check the configuration, record it, train, and return the monitored figure for sweeps."""
    if config.model.get("_partial_"):  # it waits for the number of classes
        raise LandmarksError(
            "This model finds objects and describes no landmarks: train it with task=detection, as "
            "experiments=res50_oid_v4_detector does, or choose another model."
        )
    check_config(config, TrainSettings)
    run_dir = Path(config.run_dir)
    write_record(config, run_dir)
    return train(config, run_dir)


def train(config: DictConfig, run_dir: Path) -> float | None:
    """Train and evaluate one run.

    Args:
        config: a checked configuration.
        run_dir: folder of the run; checkpoints, logs, pictures and `metrics.json` go there.

    Returns:
        The monitored figure of the best checkpoint, or None where the data have no ground truth.

    Raises:
        LandmarksError: bad input of any kind, before training wherever that is possible.
    """
    resume = find_resume(config.resume, run_dir)
    pl.seed_everything(config.seed, workers=True, verbose=False)
    make_loss = instantiate(config.loss)
    data: LandmarkDataModule = instantiate(config.data)
    data.pairs = make_loss.func.needs_pairs
    data.prepare_data()
    data.setup("fit")
    data.train_dataloader()  # batches that cannot be drawn are refused before any work
    if resume is not None:
        set_log_aside(run_dir)

    model = instantiate(config.model)
    module = LandmarkModule(
        model,
        _build_loss(make_loss, data.num_landmarks, model.dim),
        optimizer=instantiate(config.optimizer),
        scheduler=instantiate(config.scheduler),
        channels_last=config.channels_last,
        compile=config.compile,
        record=checkpoint_record(config, data),
    )
    # in the order of the file: the checkpoint is chosen by what the evaluation logs
    callbacks = {name: instantiate(node) for name, node in config.callbacks.items() if node is not None}
    evaluation: DescriptorEvaluation = callbacks["evaluation"]
    unreadable: UnreadablePictures = callbacks["unreadable"]
    checkpoint: ModelCheckpoint = callbacks["checkpoint"]
    loggers = [instantiate(node) for node in (config.logger or {}).values()]
    trainer: pl.Trainer = instantiate(
        config.trainer,
        callbacks=list(callbacks.values()),
        plugins=[WholeFiles()],
        logger=loggers,
        default_root_dir=str(run_dir),
    )

    results: dict[str, Scores] = {}
    try:
        with ranks_launched(trainer.strategy, run_dir):
            if config.evaluate_untrained and resume is None:
                log.info("Evaluating the untrained network")
                trainer.validate(module, data, verbose=False)
                results["untrained"] = evaluation.scores
            log.info("Training on %d pictures of %d landmarks", len(data.train_set), data.num_landmarks)
            started = time.perf_counter()
            trainer.fit(module, data, ckpt_path=resume, weights_only=True)
            seconds = time.perf_counter() - started
            if checkpoint.best_model_path:
                log.info("Evaluating the best checkpoint, %s", checkpoint.best_model_path)
                load_weights(module, checkpoint.best_model_path)
            trainer.validate(module, data, verbose=False)
            results["trained"] = evaluation.scores
        value = figure(evaluation.scores, config.monitor)
        if trainer.is_global_zero:
            assert evaluation.result is not None
            figures = {
                "monitor": {"name": config.monitor, "value": value},
                **results,
                "training": {
                    "steps": trainer.global_step,
                    "epochs": trainer.current_epoch,
                    "seconds": seconds,
                },
                "unreadable": unreadable.reasons,
                "published": OmegaConf.to_container(config.published) if "published" in config else None,
            }
            if logs := log_files(run_dir):
                plot_curves(logs, run_dir / "curves.png")
            write_result(run_dir, config, evaluation.result, results, config.name, figures)
    finally:
        if any(isinstance(logger, WandbLogger) for logger in loggers):
            wandb.finish()  # else the next job of a sweep would go on in this run
    return value


def _build_loss(make_loss: Callable[..., nn.Module], num_landmarks: int, dim: int) -> nn.Module:
    try:
        return make_loss(num_landmarks=num_landmarks, dim=dim)
    except ValueError as error:  # losses know nothing of ours, our error type included
        raise LandmarksError(f"loss: {error}") from error
