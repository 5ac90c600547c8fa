"""The train job: compose, train, evaluate, report. Reads from top to bottom.

`run_training` is the same for every task; what a task brings to it are `Parts`.
"""

import logging
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.utilities import rank_zero_only
from torch import nn
from torchvision.models.detection import FasterRCNN

from landmarks.config import TrainSettings, built_class, check_config, goes_on, write_record
from landmarks.data import LandmarkDataModule, ResumableDataModule
from landmarks.errors import LandmarksError
from landmarks.evaluation import Scores, check_monitor, metric_value, remove_outputs, write_result
from landmarks.extraction import ranks_launched
from landmarks.metrics import best_mode
from landmarks.models import (
    DescriptorNet,
    checkpoint_record,
    find_resume,
    load_trained_weights,
    open_checkpoint,
    require_size,
)
from landmarks.report import plot_curves
from landmarks.training.callbacks import DescriptorEvaluation
from landmarks.training.module import LandmarkModule
from landmarks.training.resume import ConfiguredOptimizer, RunSoFar, changes, require_work
from landmarks.training.wandb_run import WandbRun
from landmarks.training.whole_files import WholeFiles, require_room

NEEDED = {"evaluation", "checkpoint", "unreadable"}  # callbacks
LOG = "logs/metrics.csv"  # where conf/logger/csv.yaml puts it

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainedRun:
    """A run after training, on rank 0."""

    run_dir: Path  # its folder
    evaluation: pl.Callback  # the callback of that name, with what the last evaluation found
    results: dict[str, Scores]  # figures of the evaluations, "untrained" where it was asked for and "trained"
    figures: dict[str, Any]  # plain values for `metrics.json` that every task has


@dataclass(frozen=True)
class Parts:
    """What a task brings to the train job."""

    data: ResumableDataModule  # as `ready` gives them
    module: pl.LightningModule  # what is trained
    record: dict[str, Any]  # what the module puts into its checkpoints
    amount: str  # of the data, for the log, such as "1200 images of 93 landmarks"
    report: Callable[[TrainedRun], None]  # writes figures and pages of a trained run into its folder, and prints them
    # refuses a trainer that these data do not suit, before any work; None accepts all
    check: Callable[[pl.Trainer], None] | None = None


def train_job(config: DictConfig) -> float | None:
    """Check the configuration, record it, train, and return the monitored figure for sweeps."""
    check_config(config, TrainSettings)
    if issubclass(built_class(config.model) or object, FasterRCNN):
        raise LandmarksError(
            "This model finds objects and embeds no landmarks: train it with task=detection, as "
            "experiments=res50_oid_v4_detector does, or choose another model."
        )
    return train(config, Path(config.run_dir))


def train(config: DictConfig, run_dir: Path) -> float | None:
    """Train and evaluate a descriptor network; see `run_training`."""
    return run_training(config, run_dir, _landmark_parts)


def run_training(config: DictConfig, run_dir: Path, make_parts: Callable[[DictConfig], Parts]) -> float | None:
    """Train and evaluate one run of any task; its folder gets checkpoints, logs, images and `metrics.json`.

    `make_parts` makes the data and the module of the task, once the seed is set.

    Returns:
        The monitored figure of the best checkpoint, or None where the data have no ground truth.
    """
    resume = find_resume(config.resume, Path(OmegaConf.select(config, "callbacks.last.path") or run_dir))
    pl.seed_everything(config.seed, workers=True, verbose=False)
    parts = make_parts(config)
    module, data = parts.module, parts.data
    found = {} if resume is None else open_checkpoint(resume, mapped=True, check=False)
    changed = [] if resume is None else changes(resume, found.get("landmarks", {}), parts.record)
    # in the order of the file: the checkpoint is chosen by what the evaluation logs
    bar = config.trainer.enable_progress_bar
    chosen = {name: node for name, node in config.callbacks.items() if node is not None and (bar or name != "progress")}
    callbacks = {name: instantiate(node) for name, node in chosen.items()}
    if missing := sorted(NEEDED - callbacks.keys()):
        raise LandmarksError(f"callbacks.{missing[0]}=null: no run can do without it")
    evaluation, checkpoint, so_far = callbacks["evaluation"], callbacks["checkpoint"], RunSoFar()
    if checkpoint.mode != (best := best_mode(config.monitor)):
        raise LandmarksError(f"callbacks.checkpoint.mode={checkpoint.mode}: of {config.monitor} the {best} is the best")
    checkpoint.afresh = so_far.afresh = bool(changed)
    loggers = [instantiate(node) for node in (config.logger or {}).values()]
    wandb_runs = [logger for logger in loggers if isinstance(logger, WandbRun)]
    trainer: pl.Trainer = instantiate(
        config.trainer,
        callbacks=[so_far, *([ConfiguredOptimizer()] if resume is not None else []), *callbacks.values()],
        plugins=[WholeFiles()],
        logger=loggers,
        default_root_dir=str(run_dir),
    )
    if str(config.trainer.precision) in ("16", "16-mixed") and trainer.precision == "bf16-mixed":
        raise LandmarksError(
            f"trainer.precision={config.trainer.precision}: processors have no such mode; type "
            "trainer.precision=bf16-mixed or 32-true"
        )
    if parts.check is not None:
        parts.check(trainer)
    if resume is not None and (place := found.get(type(data).__qualname__)):
        data.load_state_dict(place)
    _require_evaluations(trainer, data)
    if resume is not None and _begins_anew(run_dir, resume):
        require_work(resume, found, trainer)
    require_room(run_dir, module)
    _begin(config, run_dir, resume)
    if changed:
        log.warning(
            "Evaluations before cannot be compared with those to come: %s changed. The best checkpoint is chosen anew "
            "from here on, and there are no metrics of the untrained network.",
            ", ".join(changed),
        )
    elif resume is not None:
        checkpoint.bring(Path(resume))

    for wandb_run in wandb_runs:
        wandb_run.begin(config, run_dir, goes_on(run_dir, resume))

    results: dict[str, Scores] = {}
    try:
        with ranks_launched(trainer.strategy, run_dir):
            if config.evaluate_untrained and resume is None:
                log.info("Evaluating the untrained network")
                trainer.validate(module, data, verbose=False)
                so_far.untrained = evaluation.scores
            log.info("Training on %s", parts.amount)
            trainer.fit(module, data, ckpt_path=resume, weights_only=True)
            if so_far.untrained:
                results["untrained"] = so_far.untrained
            if best := checkpoint.best_model_path:
                log.info("Evaluating the best checkpoint, %s", best)
                load_trained_weights(module, best)
                trainer.loggers = []  # its figures stand in the log already, at its own step
            trainer.validate(module, data, verbose=False)
            results["trained"] = evaluation.scores
        value = metric_value(evaluation.scores, config.monitor)
        if trainer.is_global_zero:
            figures = {
                "job": config.job,
                "task": config.task,
                "name": config.name,
                "monitor": {"name": config.monitor, "value": value},
                **results,
                "training": {"steps": trainer.global_step, "epochs": trainer.current_epoch, "seconds": so_far.seconds},
                "unreadable": callbacks["unreadable"].reasons,
                "published": OmegaConf.to_container(config.published) if "published" in config else None,
            }
            if logs := log_files(run_dir):
                plot_curves(logs, run_dir / "curves.png")
            parts.report(TrainedRun(run_dir, evaluation, results, figures))
            for wandb_run in wandb_runs:
                wandb_run.log_outputs(run_dir)
    finally:
        for wandb_run in wandb_runs:
            wandb_run.end()
    return value


def _begins_anew(run_dir: Path, resume: str) -> bool:
    """Say whether a resumed run is asked to train, and not only to say what an interrupted one came to.

    A sweep that is resumed asks its finished jobs for their metrics again.
    """
    sweeps = HydraConfig.initialized() and HydraConfig.get().mode is RunMode.MULTIRUN
    return not sweeps and ((run_dir / "metrics.json").is_file() or not goes_on(run_dir, resume))


def _require_evaluations(trainer: pl.Trainer, data: ResumableDataModule) -> None:
    """Refuse an interval between evaluations that no epoch reaches, and batches that these devices cannot fill.

    Refuse as well batches of an epoch that was begun with others.
    """
    data.trainer = trainer
    batches = len(data.train_dataloader())
    data.require_resumable()
    limit: Any = trainer.limit_train_batches
    batches = min(batches, limit) if isinstance(limit, int) else int(batches * limit)
    interval: Any = trainer.val_check_interval
    if isinstance(interval, int) and interval > batches and trainer.check_val_every_n_epoch is not None:
        raise LandmarksError(
            f"trainer.val_check_interval is {interval}, and an epoch has {batches} batches: lower it, or count across "
            "epochs with trainer.check_val_every_n_epoch=null"
        )


def ready(data: ResumableDataModule) -> None:
    """Set data up for training, and refuse batches that cannot be drawn before any other work."""
    data.prepare_data()
    data.setup("fit")
    data.train_dataloader()


def _landmark_parts(config: DictConfig) -> Parts:
    check_monitor(config.monitor, recognised=True, predictions=True)  # whether there will be any is known later
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
    module = LandmarkModule(
        model,
        None if frozen else _build_loss(make_loss, "loss", data.num_landmarks, model.dim),
        optimizer=instantiate(config.optimizer),
        scheduler=instantiate(config.scheduler),
        channels_last=config.channels_last,
        compile=config.compile,
        record=record,
        local_loss=local
        and _build_loss(instantiate(config.local_loss), "local_loss", data.num_landmarks, local.channels),
    )

    def evaluate_once(trainer: pl.Trainer) -> None:
        """Leave the evaluation after the last step alone: frozen descriptors give the same metrics all along."""
        if frozen:
            trainer.check_val_every_n_epoch, trainer.val_check_interval = sys.maxsize, 1.0

    def report(run: TrainedRun) -> None:
        assert isinstance(run.evaluation, DescriptorEvaluation) and run.evaluation.result is not None
        write_result(run.run_dir, config, run.evaluation.result, run.results, config.name, run.figures)

    amount = f"{len(data.train_set)} images of {data.num_landmarks} landmarks"
    return Parts(data, module, record, amount, report, evaluate_once)


def _build_loss(make_loss: Callable[..., nn.Module], key: str, num_landmarks: int, dim: int) -> nn.Module:
    try:
        return make_loss(num_landmarks=num_landmarks, dim=dim)
    except ValueError as error:  # losses know nothing of ours, our error type included
        raise LandmarksError(f"{key}: {error}") from error


@rank_zero_only
def _begin(config: DictConfig, run_dir: Path, resume: str | None) -> None:
    """Say in the folder what is done there, now that nothing forbids it, apart from what was done before."""
    if goes_on(run_dir, resume):
        set_log_aside(run_dir)
    else:
        remove_outputs(run_dir)
        for path in (*run_dir.glob("checkpoints/*.ckpt"), *log_files(run_dir), run_dir / "curves.png"):
            path.unlink(missing_ok=True)
    write_record(config, run_dir, config.task)


def set_log_aside(run_dir: Path) -> None:
    """Keep the log of the interrupted run, which Lightning's logger would delete."""
    path = run_dir / LOG
    if path.is_file():
        path.rename(path.with_suffix(f".{len(_earlier(path)) + 1}.csv"))


def log_files(run_dir: Path) -> list[Path]:
    """The logs of a run, oldest first; none where it has no CSV logger."""
    path = run_dir / LOG
    return [*_earlier(path), path] if path.is_file() else []


def _earlier(path: Path) -> list[Path]:
    return sorted(path.parent.glob(f"{path.stem}.*.csv"), key=lambda path: int(path.suffixes[0][1:]))
