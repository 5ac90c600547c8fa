"""The training job of a detector: compose, train, evaluate, report. Reads from top to bottom."""

import logging
import time
from pathlib import Path

import pytorch_lightning as pl
import wandb
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.loggers import WandbLogger

from landmarks.config.check import check_config
from landmarks.config.record import write_record
from landmarks.config.settings import DetectorSettings
from landmarks.detection.checkpoints import detector_record
from landmarks.detection.evaluation import DetectionEvaluation, Scores
from landmarks.detection.openimages.module import DetectionDataModule
from landmarks.detection.outputs import (
    draw_sample,
    print_results,
    remove_outputs,
    write_figures,
    write_report,
)
from landmarks.detection.training_module import DetectorModule
from landmarks.errors import LandmarksError
from landmarks.evaluation.monitor import figure
from landmarks.extraction.launch import ranks_launched
from landmarks.extraction.unreadable import UnreadablePictures
from landmarks.models.checkpoints import find_resume, load_weights, weights_hash
from landmarks.report.curves import plot_curves
from landmarks.training.log_files import log_files, set_log_aside
from landmarks.training.whole_files import WholeFiles

log = logging.getLogger(__name__)


def train_detector_job(config: DictConfig) -> float | None:
    """Check the configuration, record it, train, and return the monitored figure for sweeps."""
    check_config(config, DetectorSettings)
    if not config.model.get("_partial_"):
        raise LandmarksError("task=detection needs a model that finds objects, such as model=faster_rcnn_resnet50")
    run_dir = Path(config.run_dir)
    write_record(config, run_dir)
    return train_detector(config, run_dir)


def train_detector(config: DictConfig, run_dir: Path) -> float | None:
    """Train and evaluate one run.

    Args:
        config: a checked configuration.
        run_dir: folder of the run; checkpoints, logs, pictures and `metrics.json` go there.

    Returns:
        The monitored figure of the best checkpoint.

    Raises:
        LandmarksError: bad input of any kind, before training wherever that is possible.
    """
    resume = find_resume(config.resume, run_dir)
    pl.seed_everything(config.seed, workers=True, verbose=False)
    data: DetectionDataModule = instantiate(config.data)
    data.prepare_data()
    data.setup("fit")
    data.train_dataloader()  # batches that cannot be drawn are refused before any work
    if resume is not None:
        set_log_aside(run_dir)

    module = DetectorModule(
        instantiate(config.model)(num_classes=len(data.classes)),
        data.classes.names,
        optimizer=instantiate(config.optimizer),
        scheduler=instantiate(config.scheduler),
        channels_last=config.channels_last,
        compile=config.compile,
        record=detector_record(config, data.classes),
    )
    # in the order of the file: the checkpoint is chosen by what the evaluation logs
    callbacks = {name: instantiate(node) for name, node in config.callbacks.items() if node is not None}
    evaluation: DetectionEvaluation = callbacks["evaluation"]
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

    if len(data.val_set) <= data.eval_batch_size * (trainer.world_size - 1):  # a rank without any would hang the others
        raise LandmarksError(
            f"{len(data.val_set)} pictures to score give no batch of {data.eval_batch_size} to each of the "
            f"{trainer.world_size} devices: lower data.eval_batch_size"
        )

    results: dict[str, Scores] = {}
    try:
        with ranks_launched(trainer.strategy, run_dir):
            if config.evaluate_untrained and resume is None:
                log.info("Evaluating the untrained detector")
                trainer.validate(module, data, verbose=False)
                results["untrained"] = evaluation.scores
            log.info("Training on %d pictures of %d classes", len(data.train_set), len(data.classes))
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
            remove_outputs(run_dir)
            figures = {
                "name": config.name,
                "monitor": {"name": config.monitor, "value": value},
                **results,
                "protocol": [
                    {"model": config.name, "weights": weights_hash(module.model), "input_size": data.resize.short_side}
                ],
                "training": {"steps": trainer.global_step, "epochs": trainer.current_epoch, "seconds": seconds},
                "unreadable": unreadable.reasons,
                "published": OmegaConf.to_container(config.published) if "published" in config else None,
                "data": {
                    "source": data.source.name,
                    "train": len(data.train_set),
                    "validation": len(data.val_set),
                    "classes": len(data.classes),
                },
            }
            write_figures(run_dir, figures, evaluation.by_class, data.classes)
            draw_sample(run_dir / "boxes.png", data.val_set, evaluation.sample, evaluation.found, data.classes)
            if logs := log_files(run_dir):
                plot_curves(logs, run_dir / "curves.png")
            facts = {
                "data": f"{data.source.name}: {len(data.train_set)} pictures to train on, {len(data.val_set)} to score",
                "classes": str(len(data.classes)),
            }
            write_report(run_dir, config.name, results, facts)
            print_results(run_dir, results, evaluation.by_class, data.classes)
    finally:
        if any(isinstance(logger, WandbLogger) for logger in loggers):
            wandb.finish()  # else the next job of a sweep would go on in this run
    return value
