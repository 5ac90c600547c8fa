"""Writes `last.ckpt`, from which an interrupted run resumes as if it had not been interrupted.

Lightning's ModelCheckpoint writes its `last` only beside a new best, or by time even while gradients accumulate and
right before an evaluation, where a resumed run would lose those gradients and leave that evaluation out. At the full
size of the data an epoch takes a day, so this one writes by time too, but only where a run can be taken up exactly:
after an optimizer's step that no evaluation follows, before an evaluation, which is then repeated, and after it.
"""

import logging
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Checkpoint

AGREE_EVERY = 16  # steps between two synchronisations of all ranks, each of which makes their GPUs wait

log = logging.getLogger(__name__)


class LastCheckpoint(Checkpoint):
    """Writes the state of the run every so often, around every evaluation, when it is told to stop and at its end.

    SIGINT (Ctrl-C) and SIGTERM (what clusters send) let the batch finish (on several devices up to 16 of them), write,
    and end the process with status 128 plus the signal's number; a second signal ends it at once. During an evaluation
    the first does: what was trained is written before, and a resumed run begins with that evaluation.

    Args:
        path: Path of the file.
        minutes: Minutes between two checkpoints.
    """

    def __init__(self, path: str | Path, minutes: float = 30.0) -> None:
        self.path = Path(path)
        self.minutes = minutes
        self._signal: int | None = None
        self._process = os.getpid()
        self._handlers: dict[int, Callable[[int, FrameType | None], Any] | int | None] = {}
        self._evaluated: pl.Trainer | None = None  # while it evaluates
        self._written_at = time.monotonic()
        self._written_step = -1

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock and install the signal handlers."""
        self._written_at, self._written_step = time.monotonic(), trainer.global_step
        self._signal = None
        self._process = os.getpid()
        if threading.current_thread() is threading.main_thread():  # Python allows handlers only there
            for number in (signal.SIGINT, signal.SIGTERM):
                self._handlers[number] = signal.signal(number, self._on_signal)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Write if it is time, if the run is told to stop, or if this was its last step."""
        if (batch_idx + 1) % trainer.accumulate_grad_batches and not trainer.is_last_batch:
            return
        fetcher = trainer.fit_loop._data_fetcher
        assert fetcher is not None
        if trainer.fit_loop.epoch_loop._should_check_val_fx(fetcher):  # an evaluation follows, see Lightning
            return
        due = trainer.global_step == trainer.max_steps or time.monotonic() - self._written_at >= 60 * self.minutes
        urgency = self._signal or int(due)
        if trainer.world_size > 1 and trainer.global_step != trainer.max_steps:
            if trainer.global_step % AGREE_EVERY:
                return
            # Clocks and signals differ between ranks by a moment: the most urgent one counts for all.
            urgency = int(trainer.strategy.reduce(torch.tensor(urgency, device=pl_module.device), reduce_op="max"))
        if urgency:
            self._write(trainer)
        if urgency > 1:
            self._stop(trainer, urgency)

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write what was trained, as of a run whose evaluation was cut off in its first batch: a resume repeats it."""
        if trainer.state.fn != "fit" or trainer.sanity_checking:
            return
        progress = trainer.fit_loop.epoch_loop.val_loop.batch_progress
        progress.total.reset_on_restart()  # what is repeated counts once
        progress.increment_ready()
        progress.increment_started()
        self._write(trainer)
        progress.total.reset_on_restart()
        progress.current.reset_on_restart()
        self._evaluated = trainer
        self._stop_if_told()

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write, so that no evaluation has to be repeated."""
        if self._evaluated is not None:
            self._write(trainer)
            self._evaluated = None

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write the final state."""
        if self._written_step != trainer.global_step:
            self._write(trainer)
        self._restore_handlers()

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Leave the signals as they were."""
        self._evaluated = None
        self._restore_handlers()

    def _write(self, trainer: pl.Trainer) -> None:
        if trainer.fast_dev_run:  # type: ignore[attr-defined]
            return
        trainer.save_checkpoint(self.path, weights_only=False)
        self._written_at, self._written_step = time.monotonic(), trainer.global_step

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() != self._process:  # a worker, which Ctrl-C reaches too: its images are still needed
            return
        self._signal = number
        self._restore_handlers()
        if self._evaluated is None:
            log.warning("%s: the run stops after a checkpoint", signal.Signals(number).name)
        self._stop_if_told()

    def _stop_if_told(self) -> None:
        """Stop during an evaluation; the first rank ends the others."""
        if self._signal and self._evaluated is not None and self._evaluated.is_global_zero:
            self._stop(self._evaluated, self._signal)

    def _restore_handlers(self) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        self._handlers = {}

    def _stop(self, trainer: pl.Trainer, number: int) -> None:
        if not trainer.is_global_zero:
            raise SystemExit(0)  # as it should be: the launcher would take anything else for a failure
        log.warning("Stopped by %s. resume=last goes on after step %d", signal.Signals(number).name, self._written_step)
        raise SystemExit(128 + number)
