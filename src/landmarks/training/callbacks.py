"""Callbacks of the training loop: they seed random generators, count images, and evaluate retrieval and recognition."""

import logging
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Checkpoint

from landmarks.evaluation import (
    ALL,
    EvidenceToCome,
    Inputs,
    Result,
    Scores,
    evaluate_descriptors,
    metric_value,
    open_evidence,
)
from landmarks.extraction import DescriptorExtraction, Extraction, data_of
from landmarks.recognition import RecognitionPipeline
from landmarks.retrieval import Pipeline
from landmarks.training.module import LandmarkModule

log = logging.getLogger(__name__)


class BatchSeed(pl.Callback):
    """Seeds torch's generators before every training batch, which takes some 50 microseconds.

    Args:
        seed: Seed of the run.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Seed from the run's seed and the epoch, batch and rank."""
        place = [self.seed, trainer.current_epoch, batch_idx, trainer.global_rank]
        torch.manual_seed(int(np.random.SeedSequence(place).generate_state(1, np.uint64)[0]))


class Throughput(pl.Callback):
    """Logs `train/images_per_second`, summed over ranks, for each logging interval, including waits for data."""

    def __init__(self) -> None:
        self._since = time.perf_counter()
        self._images = 0

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Restart the clock, because an evaluation between two epochs is not training time."""
        self._since, self._images = time.perf_counter(), 0

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Count the images of the batch, and log once per logging interval."""
        self._images += len(batch["image"]) * trainer.world_size
        stepped = (batch_idx + 1) % trainer.accumulate_grad_batches == 0 or trainer.is_last_batch
        if stepped and trainer.global_step % trainer.log_every_n_steps == 0:  # type: ignore[attr-defined]
            now = time.perf_counter()
            pl_module.log("train/images_per_second", self._images / (now - self._since), batch_size=1)
            self._since, self._images = now, 0


class LastEvaluation(Checkpoint):
    """Makes Lightning evaluate after the last step of a run, whatever the interval, so that a best checkpoint exists.

    A resumed run that was cut off during an evaluation, see `LastCheckpoint`, has that evaluation first.

    It stands among the checkpoints because Lightning calls those last, after what may stop a run.
    """

    def __init__(self) -> None:
        self._cut_off: int | None = None  # the step after which an evaluation was cut off
        self._usual: dict[str, Any] = {}  # when the trainer evaluates, while it is made to evaluate now
        self._max_steps: int | None = None  # of the trainer, while it is kept from ending

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Find out whether an evaluation was cut off."""
        progress = checkpoint["loops"]["fit_loop"]["epoch_loop.val_loop.batch_progress"]["total"]
        self._cut_off = checkpoint["global_step"] if progress["started"] > progress["processed"] else None

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Keep Lightning from ending at once where the last step is done and only its evaluation is left."""
        if self._cut_off is not None and 0 <= trainer.max_steps <= self._cut_off:
            self._max_steps, trainer.fit_loop.epoch_loop.max_steps = trainer.max_steps, self._cut_off + 1

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Have the evaluation that was cut off."""
        if self._cut_off is not None:
            self._demand(trainer)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Have an evaluation after the last step."""
        stops = trainer.should_stop and trainer.fit_loop._can_stop_early
        last_batch = trainer.is_last_batch and trainer.current_epoch + 1 == trainer.max_epochs
        if stops or last_batch or trainer.global_step == trainer.max_steps:
            self._demand(trainer)

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Leave the trainer as it was."""
        vars(trainer).update(self._usual)
        if self._max_steps is not None:
            trainer.fit_loop.epoch_loop.max_steps = self._max_steps
        self._cut_off, self._usual, self._max_steps = None, {}, None

    def _demand(self, trainer: pl.Trainer) -> None:
        """Make Lightning find that an evaluation is due."""
        now = {
            "check_val_every_n_epoch": 1,
            "val_check_batch": trainer.fit_loop.epoch_loop.batch_idx + 1,
            "_val_check_time_interval": None,
        }
        self._usual = {name: vars(trainer)[name] for name in now}
        vars(trainer).update(now)


class DescriptorEvaluation(DescriptorExtraction):
    """Evaluates after every validation loop and logs all metrics, such as `public/map@100` and `private/gap`.

    Args:
        pipeline: stages of search and re-ranking.
        recognition: from gallery neighbours to landmarks.
        folder: where the descriptors lie; each evaluation replaces those of the one before.
        extraction: which views of an image are embedded.
        model_name: stands in the protocol of the descriptors.
        predictions: folder of what a classifier says of the queries; None: of what the network's own head says.
        detections: folder of objects found in the queries.
        monitor: the figure that must be there in the end.
        metrics: of your own, by name: what each computes of a result, for all queries ("all") or by split.

    Attributes:
        scores: Metrics of the last evaluation.
        result: Result of the last evaluation, on rank 0.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        recognition: RecognitionPipeline,
        folder: str | Path,
        extraction: Extraction = Extraction(),  # noqa: B008 - frozen
        model_name: str = "model",
        predictions: str | None = None,
        detections: str | None = None,
        monitor: str = "public/map@100",
        metrics: Mapping[str, Callable[[Result], float | Mapping[str, float]]] | None = None,
    ) -> None:
        extraction.require(pipeline)
        super().__init__(folder, extraction, model_name)
        self.pipeline = pipeline
        self.recognition = recognition
        self.predictions = predictions
        self.detections = detections
        self.monitor = monitor
        self.metrics = metrics or {}
        self.scores: Scores = {}
        self.result: Result | None = None
        self._evidence: EvidenceToCome | None = None

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Open the evidence that recognition needs, once."""
        super().setup(trainer, pl_module, stage)
        if self._evidence is not None:
            return
        loss = pl_module.head if isinstance(pl_module, LandmarkModule) else None
        data = data_of(trainer)
        names, gallery_names = (images.table.landmark_names for images in (data.train_set, data.gallery_set))
        opened = open_evidence(self.predictions, self.detections, data.query_set.table.ids, gallery_names)
        evidence = EvidenceToCome.open(opened, loss, names, self.extraction, gallery_names)
        evidence.require(self.recognition, self.monitor, self.metrics)
        self._evidence = evidence

    def on_validation_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Remove the descriptors of the previous evaluation."""
        self.begin_afresh(trainer, pl_module)

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Search and score on rank 0; log the metrics on all ranks."""
        embedded = self.finish(trainer)
        assert self._evidence is not None
        with pl_module.assembled() if isinstance(pl_module, LandmarkModule) and self._evidence.head else nullcontext():
            evidence = self._evidence.complete(embedded["queries"].descriptors) if embedded else None
        if trainer.is_global_zero:
            data = data_of(trainer)
            assert evidence is not None
            self.result = evaluate_descriptors(
                Inputs.extracted(embedded, data.source, data.truth, data.sizes),
                self.pipeline,
                self.recognition,
                evidence,
            )
            self.scores = self.result.scores
            for name, metric in self.metrics.items():
                value = metric(self.result)
                for split, one in (value if isinstance(value, Mapping) else {ALL: value}).items():
                    self.scores.setdefault(split, {})[name] = float(one)
            if self.monitor.partition("/")[2] in self.metrics:
                metric_value(self.scores, self.monitor)  # which raises where it is of another split
        self.scores = trainer.strategy.broadcast(self.scores)
        for split, figures in self.scores.items():
            for name, value in figures.items():
                # equal on all ranks already, but Lightning warns without `sync_dist`
                pl_module.log(f"{split}/{name}", value, sync_dist=trainer.world_size > 1)
        of, _, name = self.monitor.partition("/")
        if trainer.is_global_zero and name in self.scores.get(of, {}):  # the progress bar has no room for it
            log.info("%s is %.4f", self.monitor, self.scores[of][name])
