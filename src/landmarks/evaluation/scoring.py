"""Evaluate descriptors: search, re-ranking stages, recognition, mAP@100 and GAP.

The same code scores an epoch of training, a checkpoint and precomputed descriptors, so that their metrics can be
compared.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from landmarks.data import GroundTruth
from landmarks.evaluation.effects import Effects, StageEffect, judged
from landmarks.evaluation.inputs import Inputs
from landmarks.evaluation.metrics import ALL, Scores, classifier_metrics, score_predictions, score_ranking
from landmarks.metrics import K, RecognitionSubmission, RetrievalSubmission, retrieval_metrics
from landmarks.recognition import NO_EVIDENCE, Evidence, RecognitionPipeline, RecognitionState
from landmarks.retrieval import Pipeline, PipelineResult, Ranking, SearchState, StageReport


@dataclass(frozen=True)
class Recognised:
    """The result of recognition."""

    submission: RecognitionSubmission  # one answer for each query
    scores: Scores  # metrics by split, with those of the classifier alone if there is one; empty without a solution
    result: PipelineResult[RecognitionState]  # the last state and the stages


@dataclass(frozen=True)
class Result:
    """The result of an evaluation.

    Attributes:
        inputs: The descriptors and the ground truth that were evaluated.
        scores: Metrics of both tasks by split; empty without ground truth, NaN in a split without queries.
        ranking: The final ranking [Q, K], rows of the index.
        dimensions: Length of the descriptors in the last search, which stages may have changed.
        stages: Metrics, seconds and memory after each stage of the retrieval pipeline.
        effects: What each stage of it after the first ranking did to single queries; empty without ground truth.
        recognised: The result of recognition with the reports of its stages; None without recognition.
    """

    inputs: Inputs = field(repr=False)
    scores: Scores
    ranking: Ranking
    dimensions: int
    stages: tuple[StageReport, ...] = field(repr=False)
    effects: tuple[StageEffect, ...] = field(repr=False)
    recognised: Recognised | None = field(repr=False)

    @property
    def ablations(self) -> dict[str, tuple[StageReport, ...]]:
        """The reports of both pipelines by heading."""
        recognition = {} if self.recognised is None else {"Recognition": self.recognised.result.stages}
        return {"Retrieval": self.stages, **recognition}

    @property
    def retrieval(self) -> RetrievalSubmission | None:
        """The ranking as a submission; None if the ids are unknown."""
        query_ids, index_ids = self.inputs.queries.ids, self.inputs.index.ids
        if query_ids is None or index_ids is None:
            return None
        return RetrievalSubmission.from_ranking(query_ids, index_ids, self.ranking.indices)


def evaluate_descriptors(
    inputs: Inputs,
    pipeline: Pipeline,
    recognition: RecognitionPipeline | None = None,
    evidence: Evidence = NO_EVIDENCE,
) -> Result:
    """Search, re-rank, recognise and score.

    Args:
        inputs: Descriptors and ground truth.
        pipeline: Finds and re-ranks index images, stage by stage.
        recognition: Turns gallery neighbours into one landmark for each query, stage by stage; None skips recognition.
        evidence: Predictions and detections for recognition. Predictions of a classifier are also scored by
            themselves, as `classifier_gap`, `classifier_gap_ignoring_non_landmark` and `classifier_top1`.

    Returns:
        Scores, ranking and the reports of all stages.
    """
    queries, index, truth = inputs.queries, inputs.index, inputs.truth
    effects = Effects(truth, queries.ids, index.ids)

    def score(state: SearchState, ranking: Ranking) -> Mapping[str, float]:
        effects.add(ranking)
        figures = retrieval_scores(truth, ranking, queries.ids, index.ids)
        return {f"{split}/map@100": values["map@100"] for split, values in figures.items()}

    found = pipeline.run(
        SearchState(
            queries.descriptors,
            index.descriptors,
            query_images=queries.images,
            index_images=index.images,
            query_regions=queries.regions,
            index_regions=index.regions,
            gallery=inputs.labelled,
        ),
        score,
    )
    recognised = None if recognition is None else _recognise(inputs, recognition, evidence)
    scores: Scores = {}
    for figures in (
        retrieval_scores(truth, found.ranking, queries.ids, index.ids),
        {} if recognised is None else recognised.scores,
    ):
        for split, values in figures.items():
            scores.setdefault(split, {}).update(values)
    dimensions = found.state.queries.shape[1]
    return Result(inputs, scores, found.ranking, dimensions, found.stages, effects.of(pipeline), recognised)


def retrieval_scores(
    truth: GroundTruth,
    ranking: Ranking,
    query_ids: NDArray[np.uint64] | None = None,
    index_ids: NDArray[np.uint64] | None = None,
) -> Scores:
    """Score a ranking by ids or by labels.

    With labels, only queries whose label occurs in the index are scored, as official solutions hold no others.

    Args:
        truth: The ground truth; its labels take precedence over its solution.
        ranking: Rows of the index, [Q, K].
        query_ids: uint64 [Q]; needed with a solution.
        index_ids: uint64 [N]; needed with a solution.

    Returns:
        Metrics by split; empty without ground truth, or with a solution and no ids.
    """
    if truth.labels is not None:
        of = judged(truth, ranking.indices[:, :K])
        assert of is not None
        return {ALL: retrieval_metrics(of.relevant, of.num_positives)}
    if truth.retrieval is None or query_ids is None or index_ids is None:
        return {}
    return score_ranking(truth.retrieval, query_ids, index_ids, ranking.indices)


def _recognise(inputs: Inputs, pipeline: RecognitionPipeline, evidence: Evidence) -> Recognised:
    """Run the recognition pipeline, compute GAP after every stage, and score the final answers."""
    queries, gallery, labelled = inputs.queries, inputs.gallery, inputs.labelled
    official, solution = inputs.official, inputs.truth.recognition
    assert queries.ids is not None and gallery is not None and labelled is not None and official is not None
    state = RecognitionState.begin(
        queries.ids,
        queries.descriptors,
        labelled,
        inputs.landmark_names,
        query_images=queries.images,
        index_images=gallery.images,
        predictions=evidence.predictions,
        detections=evidence.detections,
    )

    def answer(state: RecognitionState, candidates: Ranking) -> RecognitionSubmission:
        numbers = official(candidates.first, state.landmark_names)
        return RecognitionSubmission(state.query_ids, numbers, candidates.confidence.astype(np.float64))

    def gap(state: RecognitionState, candidates: Ranking) -> Mapping[str, float]:
        if solution is None:
            return {}
        figures = score_predictions(solution, answer(state, candidates))
        return {f"{split}/gap": values["gap"] for split, values in figures.items()}

    result = pipeline.run(state, gap)
    submission = answer(result.state, result.ranking)
    scores = score_predictions(solution, submission) if solution else {}
    alone = classifier_metrics(state, official, solution)
    return Recognised(submission, {split: {**scores[split], **alone.get(split, {})} for split in scores}, result)
