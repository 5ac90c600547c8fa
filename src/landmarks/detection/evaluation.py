"""Evaluates a detector in Lightning's validation loop, by the rules of both Open Images evaluators.

Every rank matches the detections of its own images, and only the results are gathered. Since the detector gives each
object a single class, its boxes are repeated for all parent classes, as the evaluators expect of submissions.
"""

from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from numpy.typing import NDArray

from landmarks.detection.detect import ids_of
from landmarks.detection.metrics import EVALUATORS, OpenImagesMAP, expand_detections
from landmarks.detection.openimages import DetectionDataModule
from landmarks.evaluation import Scores
from landmarks.recognition import Detections

SPLIT = "validation"
FIGURES = {"challenge_2018": "map@0.5", "open_images_v2": "v2_map@0.5"}  # evaluator -> name of its metric


class Judges:
    """Computes the metrics of both evaluators for the validation images of a data module."""

    def __init__(self, data: DetectionDataModule, device: torch.device | str = "cpu") -> None:
        self._truth = data.truth
        self._ancestors = data.source.hierarchy()
        self._metrics = {
            name: OpenImagesMAP(data.truth.classes, rules).to(device) for name, rules in EVALUATORS.items()
        }

    def update(self, image_ids: NDArray[np.uint64], found: Detections) -> Detections:
        """Add the detections in some images, each image once; return them repeated for all parent classes."""
        expanded = expand_detections(found, self._ancestors)
        for metric in self._metrics.values():
            metric.update(image_ids, expanded, self._truth)
        return expanded

    def compute(self) -> tuple[Scores, dict[str, float]]:
        """Return the metrics, and the average precision of each class by the rules of the challenge."""
        values = {name: metric.compute() for name, metric in self._metrics.items()}
        scores = {SPLIT: {FIGURES[name]: float(value["map@0.5"]) for name, value in values.items()}}
        return scores, {name: float(value) for name, value in values["challenge_2018"]["ap@0.5"].items()}


class DetectionEvaluation(pl.Callback):
    """Logs `validation/map@0.5` by the rules of the 2018 challenge and `validation/v2_map@0.5` by those of V2.

    Args:
        images: Number of images whose boxes are kept for drawing, the same ones in every evaluation.
        seed: Seed of their choice.

    Attributes:
        scores: Metrics of the last evaluation.
        by_class: Average precision of each class by the rules of the challenge, by machine name.
        sample: Rows of `val_set` to draw, int64 [n].
        found: Detections in these images, on rank 0.
    """

    def __init__(self, images: int = 8, seed: int = 0) -> None:
        self.images = images
        self.seed = seed
        self.scores: Scores = {}
        self.by_class: dict[str, float] = {}
        self.sample: NDArray[np.int64] = np.empty(0, np.int64)
        self.found: list[Detections] = []
        self._judges: Judges | None = None

    def on_validation_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Discard the results of the last evaluation."""
        data = _data_of(trainer)
        self._judges = Judges(data, pl_module.device)
        self.sample = sample_images(data.val_set.boxes.counts(), self.images, self.seed)
        self.found = []

    def on_validation_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Add the detections of one batch."""
        data, ids = _data_of(trainer), ids_of(batch)
        found: Detections = outputs["found"]
        assert self._judges is not None
        self._judges.update(ids, found)
        shown = np.isin(found.image_ids, data.val_set.images.table.ids[self.sample])
        if shown.any():
            self.found.append(found.take(shown))

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Log the metrics, which are the same on all ranks."""
        assert self._judges is not None
        self.scores, self.by_class = self._judges.compute()
        self._judges = None
        if trainer.world_size > 1:
            self.found = _gathered(self.found, trainer)
        for name, value in self.scores[SPLIT].items():
            pl_module.log(f"{SPLIT}/{name}", value, prog_bar=name == "map@0.5", sync_dist=trainer.world_size > 1)


def sample_images(counts: NDArray[np.int64], images: int, seed: int = 0) -> NDArray[np.int64]:
    """Choose images to draw; one of them has no boxes, if there is such an image.

    Args:
        counts: Number of boxes of each image, int64 [N].
        images: Number of images to choose.
        seed: Seed of the choice.

    Returns:
        Rows, int64 [n], ascending.
    """
    random = np.random.default_rng([seed, 2])
    empty, others = np.flatnonzero(counts == 0), np.flatnonzero(counts)
    bare = min(1, len(empty), images)
    chosen = [
        random.choice(empty, bare, replace=False),
        random.choice(others, min(images - bare, len(others)), replace=False),
    ]
    return np.sort(np.concatenate(chosen)).astype(np.int64)


def _gathered(found: list[Detections], trainer: pl.Trainer) -> list[Detections]:
    """Return the lists of all ranks on rank 0, an empty list on the others."""
    lists: list[Any] | None = [None] * trainer.world_size if trainer.is_global_zero else None
    torch.distributed.gather_object(found, lists)
    return [one for part in lists or [] for one in part]


def _data_of(trainer: pl.Trainer) -> DetectionDataModule:
    data = trainer.datamodule  # type: ignore[attr-defined]
    assert isinstance(data, DetectionDataModule)
    return data
