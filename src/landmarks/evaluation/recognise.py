"""From a recognition pipeline to a submission and its figures; the same for models of ours and given descriptors."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from landmarks.evaluation.classifier_metrics import classifier_figures
from landmarks.evaluation.figures import score_predictions
from landmarks.metrics.solutions import RecognitionSolution
from landmarks.metrics.submissions import RecognitionSubmission
from landmarks.recognition.candidates import Candidates
from landmarks.recognition.pipeline import RecognitionPipeline, RecognitionResult
from landmarks.recognition.state import RecognitionState

# From rows int32 [N] of a label space str [L] to the numbers int64 [N] of the official files; -1 stays -1.
OfficialNumbers = Callable[[NDArray[np.int32], NDArray[np.str_]], NDArray[np.int64]]


@dataclass(frozen=True)
class Recognised:
    """What recognition came to.

    Attributes:
        submission: one answer a query.
        scores: figures by split, also of the classifier alone where there is one; empty without a solution.
        result: the last state and the stages.
    """

    submission: RecognitionSubmission
    scores: Mapping[str, Mapping[str, float]]
    result: RecognitionResult


def recognise(
    state: RecognitionState,
    pipeline: RecognitionPipeline,
    official: OfficialNumbers,
    solution: RecognitionSolution | None,
) -> Recognised:
    """Run the pipeline, score GAP after every stage, and answer.

    Raises:
        LandmarksError: whatever a stage finds wrong.
        FormatError: the solution does not know a query.
    """

    def answer(state: RecognitionState, candidates: Candidates) -> RecognitionSubmission:
        numbers = official(candidates.predicted, state.landmark_names)
        return RecognitionSubmission(state.query_ids, numbers, candidates.confidence.astype(np.float64))

    def gap(state: RecognitionState, candidates: Candidates) -> Mapping[str, float]:
        if solution is None:
            return {}
        figures = score_predictions(solution, answer(state, candidates))
        return {f"{split}/gap": values["gap"] for split, values in figures.items()}

    result = pipeline.run(state, gap)
    submission = answer(result.state, result.candidates)
    scores = score_predictions(solution, submission) if solution else {}
    alone = classifier_figures(state, official, solution)
    return Recognised(submission, {split: {**scores[split], **alone.get(split, {})} for split in scores}, result)
