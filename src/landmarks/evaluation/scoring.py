"""From three described sets to figures: search, re-ranking stages, recognition, mAP@100 and GAP.

The same code scores an epoch of training and a final evaluation, so the figures can be compared.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from landmarks.data.source import GroundTruth, Source
from landmarks.errors import LandmarksError
from landmarks.evaluation.figures import score_ranking
from landmarks.evaluation.recognise import Recognised, recognise
from landmarks.extraction.views import Described
from landmarks.metrics.submissions import RetrievalSubmission
from landmarks.recognition.evidence import NO_EVIDENCE, Evidence
from landmarks.recognition.pipeline import RecognitionPipeline
from landmarks.recognition.state import RecognitionState
from landmarks.retrieval.ablation import StageReport
from landmarks.retrieval.descriptors.protocol import ExtractionProtocol
from landmarks.retrieval.pipeline import Pipeline
from landmarks.retrieval.ranking import Ranking
from landmarks.retrieval.state import Gallery, SearchState

Scores = dict[str, dict[str, float]]  # {"public": {"map@100": …, "gap": …}, "private": …}


@dataclass(frozen=True)
class Outcome:
    """What an evaluation found.

    Attributes:
        scores: figures of both tasks for the public and the private queries; empty without ground truth.
        query_ids: uint64 [Q], the queries that could be read.
        index_ids: uint64 [N], what the rows of the ranking mean.
        ranking: the final ranking [Q, K].
        retrieval: the submission that the ranking makes.
        stages: figures, seconds and memory after every stage of the retrieval pipeline.
        recognised: what recognition came to, with stages of its own.
        protocol: how queries were described.
    """

    scores: Scores
    query_ids: NDArray[np.uint64]
    index_ids: NDArray[np.uint64]
    ranking: Ranking
    retrieval: RetrievalSubmission
    stages: tuple[StageReport, ...] = field(repr=False)
    recognised: Recognised = field(repr=False)
    protocol: ExtractionProtocol = field(repr=False)

    @property
    def ablations(self) -> dict[str, tuple[StageReport, ...]]:
        """The reports of both pipelines by what people call them."""
        return {"Retrieval": self.stages, "Recognition": self.recognised.result.stages}


def evaluate_descriptors(
    queries: Described,
    index: Described,
    gallery: Described,
    source: Source,
    truth: GroundTruth,
    pipeline: Pipeline,
    recognition: RecognitionPipeline,
    evidence: Evidence = NO_EVIDENCE,
) -> Outcome:
    """Search, re-rank, recognise and score.

    Args:
        queries: the test pictures.
        index: the pictures to be found.
        gallery: labelled train pictures, which vote for landmarks.
        source: says how submissions call the landmarks.
        truth: what is right; a task without truth gets a submission but no figures.
        pipeline: finds and re-ranks index pictures, stage by stage.
        recognition: from gallery neighbours to one landmark a query, stage by stage.
        evidence: what else recognition may look at. The classifier whose predictions are there is scored by itself,
            too: `classifier_gap` and its companions.

    Raises:
        LandmarksError: descriptor sets made by different protocols, or descriptors that cannot be compared.
    """
    asked, known, labelled = queries.descriptors, index.descriptors, gallery.descriptors
    asked.require_same_protocol(known)
    asked.require_same_protocol(labelled)

    def score(ranking: Ranking) -> Mapping[str, float]:
        if truth.retrieval is None:
            return {}
        figures = score_ranking(truth.retrieval, asked.ids, known.ids, ranking.indices)
        return {f"{split}/map@100": values["map@100"] for split, values in figures.items()}

    landmarks = gallery.pictures.table
    found = pipeline.run(
        SearchState(
            asked.descriptors,
            known.descriptors,
            query_pictures=queries.pictures,
            index_pictures=index.pictures,
            query_regions=queries.region_rows,
            index_regions=index.region_rows,
            gallery=Gallery(labelled.descriptors, landmarks.landmarks, landmarks.num_landmarks),
        ),
        score,
    )
    retrieval = RetrievalSubmission.from_ranking(asked.ids, known.ids, found.ranking.indices)

    recognised = recognise(
        RecognitionState(
            asked.ids,
            asked.descriptors,
            Gallery(labelled.descriptors, landmarks.landmarks, landmarks.num_landmarks),
            landmarks.landmark_names,
            query_pictures=queries.pictures,
            gallery_pictures=gallery.pictures,
            predictions=evidence.predictions,
            detections=evidence.detections,
        ),
        recognition,
        source.submission_landmark,
        truth.recognition,
    )
    scores: Scores = {}
    for figures in (
        score_ranking(truth.retrieval, asked.ids, known.ids, found.ranking.indices) if truth.retrieval else {},
        recognised.scores,
    ):
        for split, values in figures.items():
            scores.setdefault(split, {}).update(values)
    return Outcome(
        scores,
        asked.ids,
        known.ids,
        found.ranking,
        retrieval,
        found.stages,
        recognised,
        asked.protocol,
    )


def figure(scores: Scores, name: str) -> float | None:
    """Return one figure such as `public/map@100`, or None where there is no ground truth at all.

    Raises:
        LandmarksError: there are figures but none of that name.
    """
    if not scores:
        return None
    split, _, metric = name.partition("/")
    if metric not in scores.get(split, {}):
        known = ", ".join(f"{s}/{m}" for s, values in scores.items() for m in values)
        raise LandmarksError(f"monitor={name}: there is no such figure; there are: {known}")
    return scores[split][metric]
