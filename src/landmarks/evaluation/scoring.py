"""The one evaluation: search, re-ranking stages, recognition, mAP@100 and GAP.

The same code scores an epoch of training, a checkpoint, and descriptors that others made, so their figures can be
compared.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from landmarks.data import GroundTruth
from landmarks.evaluation.inputs import Inputs
from landmarks.evaluation.metrics import ALL, Scores, classifier_metrics, score_predictions, score_ranking
from landmarks.metrics import K, RecognitionSubmission, RetrievalSubmission, retrieval_metrics
from landmarks.recognition import NO_EVIDENCE, Evidence, RecognitionPipeline, RecognitionState
from landmarks.retrieval import Pipeline, PipelineResult, Ranking, SearchState, StageReport


@dataclass(frozen=True)
class Recognised:
    """What recognition came to."""

    submission: RecognitionSubmission  # one answer a query
    # figures by split, also of the classifier alone where there is one; empty without a solution
    scores: Scores
    result: PipelineResult[RecognitionState]  # the last state and the stages


@dataclass(frozen=True)
class Result:
    """What an evaluation found."""

    inputs: Inputs = field(repr=False)  # what was evaluated
    scores: Scores  # figures of both tasks by split; empty without ground truth. NaN in a split without queries.
    ranking: Ranking  # the final ranking [Q, K], rows of the index
    dimensions: int  # of the descriptors that were searched last
    # figures, seconds and memory after every stage of the retrieval pipeline
    stages: tuple[StageReport, ...] = field(repr=False)
    # what recognition came to, with stages of its own; None where nothing could be recognised
    recognised: Recognised | None = field(repr=False)

    @property
    def ablations(self) -> dict[str, tuple[StageReport, ...]]:
        """The reports of both pipelines by what people call them."""
        recognition = {} if self.recognised is None else {"Recognition": self.recognised.result.stages}
        return {"Retrieval": self.stages, **recognition}

    @property
    def retrieval(self) -> RetrievalSubmission | None:
        """The submission that the ranking makes; None without ids."""
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
        inputs: descriptors and what is right.
        pipeline: finds and re-ranks index images, stage by stage.
        recognition: from gallery neighbours to one landmark a query, stage by stage; None recognises nothing.
        evidence: what else recognition may look at. The classifier whose predictions are there is scored by itself,
            too: `classifier_gap` and its companions.
    """
    queries, index, truth = inputs.queries, inputs.index, inputs.truth

    def score(state: SearchState, ranking: Ranking) -> Mapping[str, float]:
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
    return Result(inputs, scores, found.ranking, found.state.queries.shape[1], found.stages, recognised)


def retrieval_scores(
    truth: GroundTruth,
    ranking: Ranking,
    query_ids: NDArray[np.uint64] | None = None,
    index_ids: NDArray[np.uint64] | None = None,
) -> Scores:
    """Score a ranking [Q, K] of rows of the index, by ids or by labels; no figures where nobody knows what is right.

    Labels score only queries that have one and that an index image shares: official solutions hold no others.
    """
    if truth.labels is not None:
        queries, index = truth.labels
        scored = np.flatnonzero(truth.label_positives)
        places = ranking.indices[scored, :K]  # a ranking holds no image twice, so every hit is a new one
        relevant = (places >= 0) & (index[places] == queries[scored, None])
        return {ALL: retrieval_metrics(relevant, truth.label_positives[scored])}
    if truth.retrieval is None or query_ids is None or index_ids is None:
        return {}
    return score_ranking(truth.retrieval, query_ids, index_ids, ranking.indices)


def _recognise(inputs: Inputs, pipeline: RecognitionPipeline, evidence: Evidence) -> Recognised:
    """Run the pipeline, score GAP after every stage, and answer."""
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
