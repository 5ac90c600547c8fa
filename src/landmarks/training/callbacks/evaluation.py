"""Evaluates retrieval and recognition in Lightning's validation loop.

When all ranks have described their share, rank 0 searches, scores and tells the others the figures. So no picture is
counted twice, and a pipeline sees the whole index.
"""

from pathlib import Path

import pytorch_lightning as pl

from landmarks.recognition.pipeline import RecognitionPipeline
from landmarks.retrieval.pipeline import Pipeline
from landmarks.training.callbacks.extraction import DescriptorExtraction, data_of
from landmarks.training.extraction import Extraction
from landmarks.training.scoring import Outcome, Scores, evaluate_descriptors


class DescriptorEvaluation(DescriptorExtraction):
    """Logs `public/map@100`, `private/gap` and their companions after every validation loop.

    Args:
        pipeline: stages of search and re-ranking.
        recognition: from gallery neighbours to landmarks.
        folder: where the descriptors lie; each evaluation replaces those of the one before.
        extraction: which views of a picture are described.
        model_name: stands in the protocol of the descriptors.

    Attributes:
        scores: figures of the last evaluation.
        outcome: all that it found, on rank 0.

    Raises:
        LandmarksError: a stage needs regions, and `extraction` describes none.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        recognition: RecognitionPipeline,
        folder: str | Path,
        extraction: Extraction = Extraction(),  # noqa: B008 - frozen
        model_name: str = "model",
    ) -> None:
        extraction.require(pipeline)
        super().__init__(folder, extraction, model_name)
        self.pipeline = pipeline
        self.recognition = recognition
        self.scores: Scores = {}
        self.outcome: Outcome | None = None

    def on_validation_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Remove what the evaluation before left."""
        self.begin_afresh(trainer, pl_module)

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Search and score on rank 0; log the figures on all ranks."""
        described = self.finish(trainer)
        if trainer.is_global_zero:
            data = data_of(trainer)
            self.outcome = evaluate_descriptors(
                described["queries"],
                described["index"],
                described["gallery"],
                data.source,
                data.truth,
                self.pipeline,
                self.recognition,
            )
            self.scores = self.outcome.scores
        self.scores = trainer.strategy.broadcast(self.scores)
        for split, figures in self.scores.items():
            for name, value in figures.items():
                # the same on all ranks already; Lightning wants it said
                pl_module.log(
                    f"{split}/{name}", value, prog_bar=name in ("map@100", "gap"), sync_dist=trainer.world_size > 1
                )
