"""Scores a detector in Lightning's validation loop, by the rules of both Open Images evaluators.

Every rank judges the images of its share, and only the verdicts are gathered. A detector gives each place one class,
so its boxes are repeated for the classes above theirs, as the evaluation expects of those who submit.
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
FIGURES = {"challenge_2018": "map@0.5", "open_images_v2": "v2_map@0.5"}  # evaluator -> what its mean is called


class Judges:
    """The metrics of both evaluators over the images of some data."""

    def __init__(self, data: DetectionDataModule, device: torch.device | str = "cpu") -> None:
        self._truth = data.truth
        self._ancestors = data.source.hierarchy()
        self._metrics = {
            name: OpenImagesMAP(data.truth.classes, rules).to(device) for name, rules in EVALUATORS.items()
        }

    def update(self, image_ids: NDArray[np.uint64], found: Detections) -> Detections:
        """Judge what was found in images, each of which comes once, and return it expanded along the hierarchy."""
        expanded = expand_detections(found, self._ancestors)
        for metric in self._metrics.values():
            metric.update(image_ids, expanded, self._truth)
        return expanded

    def compute(self) -> tuple[Scores, dict[str, float]]:
        """The figures, and the average precision of each class by the rules of the challenge."""
        values = {name: metric.compute() for name, metric in self._metrics.items()}
        scores = {SPLIT: {FIGURES[name]: float(value["map@0.5"]) for name, value in values.items()}}
        return scores, {name: float(value) for name, value in values["challenge_2018"]["ap@0.5"].items()}


class DetectionEvaluation(pl.Callback):
    """Logs `validation/map@0.5` by the rules of the 2018 challenge and `validation/v2_map@0.5` by those of V2.

    Args:
        images: how many images to keep the boxes of, to be drawn: the same ones in every evaluation.
        seed: of their choice.

    Attributes:
        scores: figures of the last evaluation.
        by_class: average precision of each class by the rules of the challenge, machine name to value.
        sample: images of `val_set` to draw, rows int64 [n].
        found: what was found in these images, on rank 0.
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
        """Start anew."""
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
        """Judge what was found in one batch."""
        data, ids = _data_of(trainer), ids_of(batch)
        found: Detections = outputs["found"]
        assert self._judges is not None
        self._judges.update(ids, found)
        shown = np.isin(found.image_ids, data.val_set.images.table.ids[self.sample])
        if shown.any():
            self.found.append(found.take(shown))

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Log the figures; Metrics give all ranks the same."""
        assert self._judges is not None
        self.scores, self.by_class = self._judges.compute()
        self._judges = None
        if trainer.world_size > 1:
            self.found = _gathered(self.found, trainer)
        for name, value in self.scores[SPLIT].items():
            pl_module.log(f"{SPLIT}/{name}", value, prog_bar=name == "map@0.5", sync_dist=trainer.world_size > 1)


def sample_images(counts: NDArray[np.int64], images: int, seed: int = 0) -> NDArray[np.int64]:
    """Choose rows of images to draw, int64 [n] ascending; one without a box is among them if there is any."""
    random = np.random.default_rng([seed, 2])
    empty, others = np.flatnonzero(counts == 0), np.flatnonzero(counts)
    bare = min(1, len(empty), images)
    chosen = [
        random.choice(empty, bare, replace=False),
        random.choice(others, min(images - bare, len(others)), replace=False),
    ]
    return np.sort(np.concatenate(chosen)).astype(np.int64)


def _gathered(found: list[Detections], trainer: pl.Trainer) -> list[Detections]:
    """The lists of all ranks on rank 0, nothing on the others."""
    lists: list[Any] | None = [None] * trainer.world_size if trainer.is_global_zero else None
    torch.distributed.gather_object(found, lists)
    return [one for part in lists or [] for one in part]


def _data_of(trainer: pl.Trainer) -> DetectionDataModule:
    data = trainer.datamodule  # type: ignore[attr-defined]
    assert isinstance(data, DetectionDataModule)
    return data
