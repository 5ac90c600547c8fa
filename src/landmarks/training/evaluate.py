"""Evaluates a checkpoint of ours on any data: figures, both submissions, pictures."""

import logging
from pathlib import Path

import pytorch_lightning as pl
from hydra.utils import instantiate
from omegaconf import DictConfig

from landmarks.config.check import check_config, refuse_missing
from landmarks.config.settings import EvaluateSettings
from landmarks.data.module import LandmarkDataModule
from landmarks.errors import LandmarksError
from landmarks.training.callbacks.evaluation import DescriptorEvaluation
from landmarks.training.callbacks.unreadable import UnreadablePictures
from landmarks.training.checkpoints import load_model, open_record
from landmarks.training.launch import ranks_launched
from landmarks.training.module import DescriptorModule
from landmarks.training.outputs import print_scores, write_outcome, write_report
from landmarks.training.record import write_record
from landmarks.training.scoring import figure

log = logging.getLogger(__name__)


def evaluate_job(config: DictConfig) -> float | None:
    """Open the checkpoint, take from it what the configuration leaves open, check, and evaluate."""
    refuse_missing(config)
    if config.checkpoint is None:
        raise LandmarksError("evaluate: name what to evaluate with checkpoint=PATH")
    if config.data.image_size is None:
        config.data.image_size = open_record(config.checkpoint)["config"]["data"]["image_size"]
    check_config(config, EvaluateSettings)
    run_dir = Path(config.run_dir)
    write_record(config, run_dir)
    return evaluate(config, run_dir)


def evaluate(config: DictConfig, run_dir: Path) -> float | None:
    """Describe queries, index and gallery, search, re-rank, vote, score, and write it all.

    Args:
        config: a checked configuration.
        run_dir: folder of the evaluation.

    Returns:
        The monitored figure, or None where the data have no ground truth.

    Raises:
        LandmarksError: bad input of any kind.
    """
    trained = load_model(config.checkpoint)
    pl.seed_everything(config.seed, workers=True, verbose=False)
    data: LandmarkDataModule = instantiate(config.data)
    data.prepare_data()
    data.setup("validate")
    module = DescriptorModule(trained.model, channels_last=config.channels_last, compile=config.compile)
    evaluation: DescriptorEvaluation = instantiate(config.callbacks.evaluation, model_name=trained.name)
    unreadable: UnreadablePictures = instantiate(config.callbacks.unreadable)
    progress = [instantiate(node) for node in (config.callbacks.progress,) if node is not None]
    trainer: pl.Trainer = instantiate(
        config.trainer,
        callbacks=[evaluation, unreadable, *progress],
        logger=False,
        enable_checkpointing=False,
        default_root_dir=str(run_dir),
    )
    with ranks_launched(trainer.strategy, run_dir):
        log.info(
            "Describing %d queries, %d index pictures and %d gallery pictures with %s",
            len(data.query_set),
            len(data.index_set),
            len(data.gallery_set),
            trained.name,
        )
        trainer.validate(module, data, verbose=False)
    value = figure(evaluation.scores, config.monitor)
    if trainer.is_global_zero:
        assert evaluation.outcome is not None
        figures = {
            "name": config.name,
            "monitor": {"name": config.monitor, "value": value},
            "scores": evaluation.scores,
            "checkpoint": str(config.checkpoint),
            "trained_on": trained.config.data.source,
            "unreadable": unreadable.reasons,
        }
        write_outcome(run_dir, data, evaluation.outcome, figures)
        results = {trained.name: evaluation.scores}
        write_report(run_dir, f"{trained.name} on {data.source.name}", results, evaluation.outcome)
        print_scores(run_dir, results, evaluation.outcome)
    return value
