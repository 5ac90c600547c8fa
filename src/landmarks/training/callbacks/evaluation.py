"""Evaluates retrieval and recognition in Lightning's validation loop.

The data module gives three loaders (queries, index, gallery). Every rank writes the descriptors of its share to
disk as they come; then rank 0 opens all of them memory-mapped, searches, scores and tells the others the figures.
So no picture is counted twice, no rank holds all descriptors in memory, and a pipeline sees the whole index.
Several machines need a run folder that they share, as checkpoints do.
"""

import logging
import shutil
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from torch import Tensor

from landmarks.data.module import LandmarkDataModule
from landmarks.data.source import ImageSet
from landmarks.errors import LandmarksError
from landmarks.recognition.votes import NeighbourVotes
from landmarks.retrieval.descriptors import DescriptorSet
from landmarks.retrieval.pipeline import Pipeline
from landmarks.retrieval.protocol import ExtractionProtocol
from landmarks.retrieval.writer import DescriptorWriter
from landmarks.training.checkpoints import weights_hash
from landmarks.training.module import DescriptorModule
from landmarks.training.record import versions
from landmarks.training.scoring import Outcome, Scores, evaluate_descriptors

log = logging.getLogger(__name__)
SETS = ("queries", "index", "gallery")


class DescriptorEvaluation(pl.Callback):
    """Logs `public/map@100`, `private/gap` and their companions after every validation loop.

    Args:
        pipeline: stages of search and re-ranking.
        votes: from gallery neighbours to landmarks.
        folder: where the descriptors lie; each evaluation replaces those of the one before.
        model_name: stands in the protocol of the descriptors.
    """

    def __init__(
        self, pipeline: Pipeline, votes: NeighbourVotes, folder: str | Path, model_name: str = "model"
    ) -> None:
        self.pipeline = pipeline
        self.votes = votes
        self.folder = Path(folder)
        self.model_name = model_name
        self.scores: Scores = {}
        self.outcome: Outcome | None = None
        self._writers: dict[str, DescriptorWriter] = {}
        self._weights = ""

    def on_validation_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Remove what the evaluation before left."""
        assert isinstance(pl_module, DescriptorModule)
        if trainer.is_global_zero:
            shutil.rmtree(self.folder, ignore_errors=True)
        trainer.strategy.barrier()
        self._writers = {}
        self._weights = weights_hash(pl_module.model)

    def on_validation_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Write the descriptors of one batch.

        Raises:
            LandmarksError: a descriptor is NaN or infinite.
        """
        data = _data(trainer)
        name, images = SETS[dataloader_idx], _images(data)[dataloader_idx]
        described: list[tuple[Tensor, Tensor]] = outputs["described"]
        for rows, descriptors in described:
            if not descriptors.isfinite().all():
                raise LandmarksError(
                    f"The network gives descriptors that are not finite, after {trainer.global_step} steps: training "
                    "has diverged. Lower optimizer.lr, lengthen scheduler.warmup, or set trainer.gradient_clip_val=1."
                )
            if name not in self._writers:
                self._writers[name] = DescriptorWriter(
                    self.folder / _part(name, trainer.global_rank),
                    capacity=len(images),
                    dim=descriptors.shape[1],
                    protocol=self._protocol(data, name),
                )
            self._writers[name].add(images.table.ids[rows.cpu().numpy()], descriptors.cpu().numpy())

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Search and score on rank 0; log the figures on all ranks."""
        for writer in self._writers.values():
            writer.finish()
        trainer.strategy.barrier()
        if trainer.is_global_zero:
            self.outcome = self._evaluate(_data(trainer), trainer.world_size)
            self.scores = self.outcome.scores
        self.scores = trainer.strategy.broadcast(self.scores)
        for split, figures in self.scores.items():
            for name, value in figures.items():
                # the same on all ranks already; Lightning wants it said
                pl_module.log(
                    f"{split}/{name}", value, prog_bar=name in ("map@100", "gap"), sync_dist=trainer.world_size > 1
                )

    def _evaluate(self, data: LandmarkDataModule, world_size: int) -> Outcome:
        queries, index, gallery = (self._gathered(name, world_size) for name in SETS)
        return evaluate_descriptors(
            queries,
            index,
            gallery,
            data.gallery_set.table,
            data.source,
            data.truth,
            self.pipeline,
            self.votes,
            data.query_set,
            data.index_set,
        )

    def _gathered(self, name: str, world_size: int) -> DescriptorSet:
        """Open the set that all ranks wrote together, copied block by block into one."""
        parts = [self.folder / _part(name, rank) for rank in range(world_size)]
        sets = [DescriptorSet.open(part) for part in parts if part.is_dir()]
        if not sets:
            raise LandmarksError(f"evaluation: not one picture of the {name} could be described; see the log")
        whole = self.folder / name
        if world_size == 1:
            parts[0].rename(whole)
            return DescriptorSet.open(whole)
        with DescriptorWriter(whole, sum(map(len, sets)), sets[0].dim, sets[0].protocol) as writer:
            for part in sets:
                for start in range(0, len(part), 8192):
                    block = slice(start, start + 8192)
                    writer.add(part.ids[block], part.descriptors[block])
            gathered = writer.finish()
        for folder in parts:
            shutil.rmtree(folder, ignore_errors=True)
        return gathered

    def _protocol(self, data: LandmarkDataModule, name: str) -> ExtractionProtocol:
        return ExtractionProtocol(
            model=self.model_name,
            weights=self._weights,
            input_size=data.resize.short_side,
            resize=data.resize.mode,
            data=data.source.name,
            split=name,
            versions=versions(),
        )


def _part(name: str, rank: int) -> str:
    return f"{name}.rank{rank}"


def _data(trainer: pl.Trainer) -> LandmarkDataModule:
    data = trainer.datamodule  # type: ignore[attr-defined]
    assert isinstance(data, LandmarkDataModule)
    return data


def _images(data: LandmarkDataModule) -> tuple[ImageSet, ImageSet, ImageSet]:
    return data.query_set, data.index_set, data.gallery_set
