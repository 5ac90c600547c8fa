"""One training run of any task: prepare, train, evaluate, report. Read it from top to bottom.

What differs between tasks is in `Parts`; `job` makes those of descriptor networks.
"""

import logging
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.callbacks import WeightAveraging
from pytorch_lightning.utilities import rank_zero_only

from landmarks.config import goes_on, write_record
from landmarks.data import ResumableDataModule
from landmarks.errors import LandmarksError
from landmarks.evaluation import Scores, metric_value, remove_outputs
from landmarks.extraction import ranks_launched, require_precision
from landmarks.metrics import best_mode
from landmarks.models import find_resume, open_checkpoint
from landmarks.report import plot_curves
from landmarks.training.resume import ConfiguredOptimizer, RunSoFar, changes, require_work, work_done
from landmarks.training.sharded import ShardedModule
from landmarks.training.wandb_run import WandbRun
from landmarks.training.whole_files import WholeFiles, require_room

NEEDED = {"evaluation", "checkpoint", "unreadable"}  # callbacks that no run can do without
LOG = "logs/metrics.csv"  # path that conf/logger/csv.yaml sets

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainedRun:
    """A run after training, on rank 0."""

    run_dir: Path  # folder of the run
    evaluation: pl.Callback  # the callback of that name, with the results of the last evaluation
    results: dict[str, Scores]  # metrics of the "trained" network and, if asked for, the "untrained" one
    figures: dict[str, Any]  # plain values for `metrics.json` that every task has


@dataclass(frozen=True)
class Parts:
    """The parts of the train job that depend on the task."""

    data: ResumableDataModule  # data module after `ready`
    module: pl.LightningModule  # module to train
    record: dict[str, Any]  # plain values that the module stores in its checkpoints
    amount: str  # size of the data for the log, such as "1200 images of 93 landmarks"
    report: Callable[[TrainedRun], None]  # writes figures and pages of a trained run into its folder, and prints them
    # adapts the trainer to the task, or raises before any work if they do not fit; None leaves it alone
    adapt: Callable[[pl.Trainer], None] | None = None


def run_training(config: DictConfig, run_dir: Path, make_parts: Callable[[DictConfig], Parts]) -> float | None:
    """Train and evaluate one run of any task; write checkpoints, logs, images and `metrics.json` into its folder.

    `make_parts` makes the data and the module of the task; it is called after seeding.

    Returns:
        The monitored metric of the best checkpoint, or None if the data have no ground truth.
    """
    resume = find_resume(config.resume, Path(OmegaConf.select(config, "callbacks.last.path") or run_dir))
    pl.seed_everything(config.seed, workers=True, verbose=False)
    parts = make_parts(config)
    module, data = parts.module, parts.data
    found = {} if resume is None else open_checkpoint(resume, mapped=True, check=False)
    changed = [] if resume is None else changes(resume, found.get("landmarks", {}), parts.record)
    # keep the order of the file: the evaluation must log before the checkpoint callback chooses; levers change what it
    # evaluates
    bar = config.trainer.enable_progress_bar
    chosen = {name: node for name, node in config.callbacks.items() if node is not None and (bar or name != "progress")}
    callbacks = {name: instantiate(node) for name, node in chosen.items()}
    levers = [instantiate(node) for node in (config.get("levers") or {}).values() if node is not None]
    if missing := sorted(NEEDED - callbacks.keys()):
        raise LandmarksError(f"callbacks.{missing[0]}=null: every run needs this callback")
    evaluation, checkpoint, so_far = callbacks["evaluation"], callbacks["checkpoint"], RunSoFar()
    own = own_metrics(config)
    if config.monitor.partition("/")[2] not in own and checkpoint.mode != (best := best_mode(config.monitor)):
        raise LandmarksError(f"callbacks.checkpoint.mode={checkpoint.mode}: of {config.monitor} the {best} is the best")
    checkpoint.afresh = so_far.afresh = bool(changed)
    loggers = [instantiate(node) for node in (config.logger or {}).values()]
    wandb_runs = [logger for logger in loggers if isinstance(logger, WandbRun)]
    trainer: pl.Trainer = instantiate(
        config.trainer,
        callbacks=[so_far, *([ConfiguredOptimizer()] if resume is not None else []), *levers, *callbacks.values()],
        plugins=[WholeFiles(mapped=isinstance(module, ShardedModule))],
        logger=loggers,
        default_root_dir=str(run_dir),
    )
    require_precision(config.trainer, trainer)
    if parts.adapt is not None:
        parts.adapt(trainer)
    if resume is not None and (place := found.get(type(data).__qualname__)):
        data.load_state_dict(place)
    _require_evaluations(trainer, data)
    if resume is not None and _begins_anew(run_dir, resume):
        require_work(resume, found, trainer)
    averaged = any(isinstance(one, WeightAveraging) for one in levers)
    require_room(run_dir, module, *([module.head] if isinstance(module, ShardedModule) else []), averaged=averaged)
    _begin(config, run_dir, resume)
    if resume is not None:
        log.info("Resuming from %s, where %d whole epochs and %d steps are done", resume, *work_done(found))
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
        to_go_on = f"resume=last hydra.run.dir={run_dir} goes on from its last checkpoint, if it has written one."
        with ranks_launched(trainer.strategy, run_dir, to_go_on):
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
                best_found = open_checkpoint(best, mapped=True)
                module.on_load_checkpoint(best_found)
                module.load_state_dict(best_found["state_dict"])
                trainer.loggers = []  # its metrics are in the log already, at its own step
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
    """Return whether a resumed run must train, and not only report its metrics.

    A resumed sweep asks its finished jobs for their metrics again.
    """
    sweeps = HydraConfig.initialized() and HydraConfig.get().mode is RunMode.MULTIRUN
    return not sweeps and ((run_dir / "metrics.json").is_file() or not goes_on(run_dir, resume))


def _require_evaluations(trainer: pl.Trainer, data: ResumableDataModule) -> None:
    """Raise LandmarksError if no epoch reaches an evaluation, or if these devices cannot fill the batches.

    Raise it also if an interrupted epoch was begun with other batches.
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
    """Set data up for training; raise LandmarksError if its batches cannot be drawn."""
    data.prepare_data()
    data.setup("fit")
    data.train_dataloader()


def own_metrics(config: DictConfig) -> Collection[str]:
    """Return the names of the user's own metrics, if the evaluation of the task computes any."""
    return OmegaConf.select(config, "callbacks.evaluation.metrics") or {}


@rank_zero_only
def _begin(config: DictConfig, run_dir: Path, resume: str | None) -> None:
    """Write the record of the run into its folder; set a resumed run's log aside, remove the outputs of another run."""
    if goes_on(run_dir, resume):
        set_log_aside(run_dir)
    else:
        remove_outputs(run_dir)
        for path in (*run_dir.glob("checkpoints/*.ckpt"), *log_files(run_dir), run_dir / "curves.png"):
            path.unlink(missing_ok=True)
    write_record(config, run_dir, config.task)


def set_log_aside(run_dir: Path) -> None:
    """Rename the log of the interrupted run, which Lightning's logger would delete."""
    path = run_dir / LOG
    if path.is_file():
        path.rename(path.with_suffix(f".{len(_earlier(path)) + 1}.csv"))


def log_files(run_dir: Path) -> list[Path]:
    """Return the logs of a run, oldest first; none if it has no CSV logger."""
    path = run_dir / LOG
    return [*_earlier(path), path] if path.is_file() else []


def _earlier(path: Path) -> list[Path]:
    return sorted(path.parent.glob(f"{path.stem}.*.csv"), key=lambda path: int(path.suffixes[0][1:]))
