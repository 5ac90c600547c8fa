"""A recognition pipeline: named stages from neighbours to one landmark and one confidence a query.

Like a retrieval pipeline it is an ordered mapping in YAML, ``recognition.stages.<name>.<parameter>``, and is scored
after every stage.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import get_args

from landmarks.errors import LandmarksError
from landmarks.recognition.candidates import Candidates
from landmarks.recognition.evidence import Evidence
from landmarks.recognition.state import MISSING, Need, RecognitionStage, RecognitionState
from landmarks.retrieval.ablation import StageReport, run_stages
from landmarks.retrieval.staged import StagedPipeline

# Gives named figures of candidates, such as {"public/gap": 0.3, "private/gap": 0.31}.
Scorer = Callable[[RecognitionState, Candidates], Mapping[str, float]]


@dataclass(frozen=True)
class RecognitionResult:
    """The last state and what each stage gave and cost.

    Attributes:
        state: with the notes of all stages.
        candidates: the final ones; their first places are the predictions.
        stages: one report a stage, in order.
    """

    state: RecognitionState
    candidates: Candidates
    stages: tuple[StageReport, ...]


class RecognitionPipeline(StagedPipeline[RecognitionStage, Need]):
    """Stages in order; `index` finds the nearest train images of queries, `neighbours` works within the gallery."""

    called = "recognition stage"
    shortest = "a search and a vote"
    missing = MISSING

    def check(self, evidence: Evidence) -> None:
        """Let stages that have a method ``check`` look at the evidence before any work.

        Raises:
            LandmarksError: a stage cannot work with it.
        """
        for name, stage in self.stages.items():
            check: Callable[[Evidence], None] | None = getattr(stage, "check", None)
            if check is not None:
                try:
                    check(evidence)
                except LandmarksError as error:
                    raise LandmarksError(f"recognition stage {name}: {error}") from error

    def run(self, state: RecognitionState, score: Scorer | None = None) -> RecognitionResult:
        """Run all stages.

        Args:
            state: queries and gallery.
            score: called with state and candidates after every stage that leaves some; no figures without it.

        Raises:
            LandmarksError: something that a stage needs is not there, which is said before any work; stages that
                give no candidates; or whatever a stage finds wrong.
        """
        self.require([need for need in get_args(Need) if state.has(need)])
        self.check(Evidence(state.predictions, state.detections))

        def figures(stage: str, state: RecognitionState) -> Mapping[str, float]:
            return score(state, state.candidates) if score and state.candidates is not None else {}

        state, reports = run_stages(self.stages, state, self.resources, figures)
        return RecognitionResult(state, state.require_candidates("at the end of the recognition pipeline"), reports)
