"""Recognises landmarks in given queries, where labelled train images are given too."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from hydra.utils import instantiate
from numpy.typing import NDArray
from omegaconf import DictConfig

from landmarks.evaluation.evidence import open_evidence
from landmarks.evaluation.precomputed.inputs import Inputs
from landmarks.evaluation.precomputed.keys import available_evidence, recognises
from landmarks.evaluation.recognise import Recognised, recognise
from landmarks.metrics.solution_files import read_recognition_solution
from landmarks.metrics.solutions import RecognitionSolution
from landmarks.recognition.predictions import Evidence
from landmarks.recognition.state import RecognitionPipeline, RecognitionState
from landmarks.retrieval.state import SearchState


def recognition_pipeline(config: DictConfig) -> RecognitionPipeline | None:
    """The pipeline that the configuration asks for; None where train images or ids of the queries are not given.

    Raises:
        LandmarksError: a stage needs what will not be there.
    """
    if not recognises(config.descriptors):
        return None
    pipeline: RecognitionPipeline = instantiate(config.recognition)
    pipeline.require(available_evidence(config))
    return pipeline


@dataclass(frozen=True)
class GivenRecognition:
    """What recognises, opened.

    Attributes:
        pipeline: the stages.
        evidence: what they may look at besides descriptors.
        solution: what is right; None where nobody knows.
        solution_source: where it comes from.
    """

    pipeline: RecognitionPipeline
    evidence: Evidence
    solution: RecognitionSolution | None
    solution_source: str

    @staticmethod
    def open(pipeline: RecognitionPipeline, config: DictConfig, inputs: Inputs) -> "GivenRecognition":
        """Open what the configuration names.

        Raises:
            LandmarksError: evidence that cannot be read, or is about other pictures.
            FormatError: a malformed solution.
        """
        path = config.descriptors.recognition_solution
        given = None if path is None else read_recognition_solution(Path(path).expanduser())
        evidence = open_evidence(config.predictions, config.detections, inputs.queries.known_ids, inputs.landmark_names)
        pipeline.check(evidence)
        source = str(path) if given is not None or inputs.source is None else inputs.source.name
        return GivenRecognition(pipeline, evidence, given or inputs.solutions.recognition, source)

    def __call__(self, inputs: Inputs, state: SearchState) -> Recognised:
        """Recognise.

        Args:
            inputs: with a labelled gallery.
            state: what the search begins with: queries and gallery as their descriptors are used.

        Raises:
            LandmarksError: whatever a stage finds wrong.
            FormatError: a query that the solution does not know.
        """
        assert state.gallery is not None
        return recognise(
            RecognitionState.begin(
                inputs.queries.known_ids,
                state.queries,
                state.gallery,
                inputs.landmark_names,
                query_pictures=inputs.query_pictures,
                index_pictures=inputs.gallery_pictures,
                predictions=self.evidence.predictions,
                detections=self.evidence.detections,
            ),
            self.pipeline,
            _Official(inputs),
            self.solution,
        )


@dataclass(frozen=True)
class _Official:
    """Numbers of the official files: what the data set says, or the given labels themselves."""

    inputs: Inputs

    def __call__(self, landmarks: NDArray[np.int32], names: NDArray[np.str_]) -> NDArray[np.int64]:
        source = self.inputs.source
        if source is not None and self.inputs.gallery_names is not None:
            return source.submission_landmark(landmarks, names)
        numbers = np.append(names.astype(np.int64), -1)  # the last is what -1 looks up
        return numbers[landmarks]


def merged(*scores: Mapping[str, Mapping[str, float]]) -> dict[str, dict[str, float]]:
    """Figures of several tasks, split by split; what is not a number in one split is left out."""
    together: dict[str, dict[str, float]] = {}
    for figures in scores:
        for split, values in figures.items():
            known = {name: value for name, value in values.items() if not np.isnan(value)}
            if known:
                together.setdefault(split, {}).update(known)
    return together
