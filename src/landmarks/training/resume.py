"""Decides what a resumed run takes from its checkpoint and from its configuration, and what must be equal in both."""

import logging
import shutil
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import pytorch_lightning as pl
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.utilities import rank_zero_only
from torch.optim.lr_scheduler import LambdaLR

from landmarks.errors import LandmarksError
from landmarks.evaluation import Scores
from landmarks.storage import atomic_path

FIXED = (
    "task",
    "monitor",
    "model",
    "loss._target_",
    "loss.loss",
    "loss.memory",
    "optimizer._target_",
    "levers.ema._target_",
)
PLACES = ("folder", "model_name", "cache")  # keys of an evaluation that change no metric
FREE = ("model.pretrained", "model.dropout", "model.drop_path", "model.checkpointing")
SAME_FACTOR = 1e-6  # of a rate: what rounding explains
SCHEDULES = tuple(f"landmarks.training.{name}" for name in ("step", "cosine", "onecycle"))  # all only count steps

log = logging.getLogger(__name__)


def changes(path: str, before: Mapping[str, Any], record: Mapping[str, Any]) -> list[str]:
    """Raise LandmarksError if something differs from the checkpoint that cannot change within a run.

    `before` is the record in the checkpoint, `record` the one of this run. Other values may change: those of the
    optimizer, the schedule, the length of the run, and between two epochs the images.

    Returns:
        Names of changes on which metrics depend: earlier metrics cannot be compared with later ones.
    """
    if not isinstance(before, dict) or not isinstance(before.get("config"), dict):
        raise LandmarksError(f"resume={path}: does not record which run wrote it; start a new run")
    was, now = _fixed(before["config"]), _fixed(record["config"])
    changed = [f"{key}: was {was.get(key)}, is {now.get(key)}" for key in was | now if was.get(key) != now.get(key)]
    for key in ("landmark_names", "class_names"):
        old, new = list(before.get(key, ())), list(record.get(key, ()))
        if old != new:
            change = f"were {len(old)}, are {len(new)}" if len(old) != len(new) else "are different ones"
            changed.append(f"the {key.replace('_', ' ')} to learn: {change}")
    if changed:
        raise LandmarksError(
            f"resume={path}: this cannot change within a run:\n"
            + "\n".join(f"  {line}" for line in changed)
            + "\nResume with the earlier values, or start a new run in a folder of its own."
        )
    unknown = {"evaluated_on": record.get("evaluated_on")}  # for checkpoints that do not record it
    return list(_differing(_evaluated(unknown | before), _evaluated(record)))


def _evaluated(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values on which metrics depend, by the names used in messages."""
    images, evaluation = record.get("evaluated_on"), _value(record["config"], "callbacks.evaluation")
    return {
        **{f"the {name} of data.root": one for name, one in (images or {}).items()},
        "data.image_size or data.resize": record.get("preprocessing"),
        **(evaluation or {}),
        "trainer.limit_val_batches": _value(record["config"], "trainer.limit_val_batches"),
    }


def _differing(was: Any, now: Any, name: str = "") -> Iterator[str]:
    if isinstance(was, Mapping) and isinstance(now, Mapping) and not name.startswith("data."):
        for key in dict.fromkeys([*was, *now]):
            if key not in PLACES:
                yield from _differing(was.get(key), now.get(key), f"{name}.{key!s}".removeprefix("."))
    elif was != now:
        yield name


def _fixed(config: Mapping[str, Any]) -> dict[str, Any]:
    values = {key: _value(config, key) for key in FIXED}
    model = values.pop("model")
    groups = dict(_value(config, "parameters") or {"_target_": None})  # missing in checkpoints of earlier versions
    groups.pop("_target_")
    values |= {f"parameters.{key}": value for key, value in groups.items()}
    values |= {f"model.{key!s}": value for key, value in model.items()} if isinstance(model, dict) else {}
    if (schedule := _value(config, "scheduler._target_")) not in SCHEDULES:
        values["scheduler._target_"] = schedule
    return {key: value for key, value in values.items() if key not in FREE}


def _value(config: Mapping[str, Any], key: str) -> Any:
    """Return the value at a key without resolving it: OmegaConf would insert values of this machine."""
    value: Any = config
    for part in key.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def work_done(found: Mapping[str, Any]) -> tuple[int, int]:
    """Return how many whole epochs and how many steps a checkpoint has behind it."""
    loop = found["loops"]["fit_loop"]
    progress = loop["epoch_progress"]["current"]
    begun = progress["ready"] > progress["processed"]
    epochs = progress["processed"] + (begun and loop["epoch_loop.batch_progress"]["is_last_batch"])
    return epochs, found["global_step"]


def require_work(path: str, found: Mapping[str, Any], trainer: pl.Trainer) -> None:
    """Refuse to resume from a checkpoint where nothing is left to train."""
    epochs, steps = work_done(found)
    for key, most, done in (("max_epochs", trainer.max_epochs, epochs), ("max_steps", trainer.max_steps, steps)):
        if most is not None and 0 <= most <= done:
            raise LandmarksError(
                f"resume={path}: nothing is left to train: trainer.{key} is {most}, and the run has done {done}; "
                "raise it"
            )


class BestCheckpoint(ModelCheckpoint):
    """Keeps the best checkpoint of a run, even if the folder of the run is moved or copied.

    Lightning's class stores full paths: it forgets the best checkpoint of a run that was moved, and for a copied run
    uses that of the original.

    Args:
        dirpath: Folder of the file.
        monitor: The metric that decides, such as `public/map@100`.
        mode: Whether its "max" or its "min" is the best.
        filename: Name of the file without suffix.
        options: Options of Lightning's class.

    Attributes:
        afresh: Ignore the scores in the resumed checkpoint, which cannot be compared with later ones.
    """

    def __init__(
        self, dirpath: str, monitor: str, mode: Literal["min", "max"] = "max", filename: str = "best", **options: Any
    ) -> None:
        after_evaluation: dict[str, Any] = {"save_on_train_epoch_end": False}  # so that last.ckpt knows the best
        options = after_evaluation | {"enable_version_counter": False} | options
        super().__init__(dirpath=dirpath, filename=filename, monitor=monitor, mode=mode, **options)
        self.afresh = False

    @property
    def state_key(self) -> str:
        """Return the key of Lightning's class, so that its checkpoints can be resumed too."""
        return super().state_key.replace(type(self).__qualname__, ModelCheckpoint.__qualname__)

    @rank_zero_only
    def bring(self, resume: Path) -> None:
        """Copy the best checkpoint of another run whose last checkpoint is resumed here."""
        best = resume.with_name(str(self.filename) + self.FILE_EXTENSION)
        here = Path(str(self.dirpath), best.name)
        if best.is_file() and not (here.is_file() and here.samefile(best)):
            with atomic_path(here) as path:
                shutil.copyfile(best, path)

    def state_dict(self) -> dict[str, Any]:
        """Return the scores, and the files by name without their folder."""
        return _placed(super().state_dict(), "")

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the scores of the files that are in this run's folder."""
        if self.afresh:
            return
        here = _placed(state_dict, str(self.dirpath))
        if (best := here["best_model_path"]) and not Path(best).is_file():
            log.warning("%s is not there: the best checkpoint is chosen anew from here on", best)
            return
        super().load_state_dict(here)


def _placed(state: dict[str, Any], folder: str) -> dict[str, Any]:
    def place(path: str) -> str:
        return str(Path(folder, Path(path).name)) if path else path

    paths = {key: place(state[key]) for key in ("best_model_path", "kth_best_model_path", "last_model_path")}
    best = {place(path): score for path, score in state["best_k_models"].items()}
    return state | paths | {"best_k_models": best, "dirpath": folder}


class RunSoFar(pl.Callback):
    """Stores in checkpoints what a resumed run cannot measure again.

    Attributes:
        untrained: Metrics of the evaluation before training; empty without one.
        seconds: Seconds of training, including those before an interruption.
        afresh: Ignore the metrics in the resumed checkpoint, which cannot be compared with later ones.
    """

    def __init__(self) -> None:
        self.untrained: Scores = {}
        self.afresh = False
        self._before = 0.0
        self._since: float | None = None

    @property
    def seconds(self) -> float:
        """Seconds of training until now."""
        return self._before + (0.0 if self._since is None else time.perf_counter() - self._since)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock."""
        self._since = time.perf_counter()

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Stop the clock."""
        self._before, self._since = self.seconds, None

    def state_dict(self) -> dict[str, Any]:
        """Return the metrics and the seconds."""
        return {"untrained": self.untrained, "seconds": self.seconds}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the metrics and the seconds."""
        self.untrained, self._before = {} if self.afresh else state_dict["untrained"], state_dict["seconds"]


class ConfiguredOptimizer(pl.Callback):
    """Gives the optimizer of a resumed run its configured values; Lightning would restore those of the checkpoint.

    Only the optimizer's state, such as momentum, and the schedule's number of steps come from the checkpoint.
    """

    def __init__(self) -> None:
        self._wanted: Any = None

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Make an optimizer and a schedule anew, while the trainer knows the length of the run."""
        self._wanted = pl_module.configure_optimizers()

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Take the values from them."""
        wanted = self._wanted
        scheduler: Any = trainer.lr_scheduler_configs[0].scheduler
        fresh = wanted["lr_scheduler"]["scheduler"]
        moved = 0.0  # how far the schedule takes the rates from where they stood
        for number, (group, new) in enumerate(
            zip(trainer.optimizers[0].param_groups, wanted["optimizer"].param_groups, strict=True)
        ):
            factor = before = group["lr"] / group["initial_lr"] if group["initial_lr"] else 1.0
            if isinstance(fresh, LambdaLR):  # whose factor is known to the last bit
                factor = fresh.lr_lambdas[number](scheduler.last_epoch)
            group.update({key: value for key, value in new.items() if key != "params"})
            group["lr"] = group["initial_lr"] * factor
            moved = max(moved, abs(factor - before))
        scheduler.base_lrs = list(fresh.base_lrs)
        scheduler._last_lr = [group["lr"] for group in trainer.optimizers[0].param_groups]
        if moved > SAME_FACTOR and trainer.is_global_zero:
            log.warning(
                "The learning rate goes on at %.3g of its full value, and stood at %.3g: the schedule spans the whole "
                "run, which has now %d steps. To train on at a constant rate instead, set scheduler=step "
                "scheduler.milestones=[] and optimizer.lr.",
                factor,
                before,
                trainer.estimated_stepping_batches,
            )
