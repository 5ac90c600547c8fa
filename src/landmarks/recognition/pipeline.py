"""A recognition pipeline: named stages from neighbours to one landmark and one confidence a query.

Like a retrieval pipeline it is an ordered mapping in YAML, ``recognition.stages.<name>.<parameter>``, and is scored
after every stage.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import get_args

from landmarks.errors import LandmarksError
from landmarks.recognition.candidates import Candidates
from landmarks.recognition.evidence import Evidence
from landmarks.recognition.state import MISSING, Need, RecognitionStage, RecognitionState
from landmarks.retrieval.ablation import StageReport, run_stages
from landmarks.retrieval.cache import Cache
from landmarks.retrieval.resources import Resources
from landmarks.retrieval.search.index import Searcher

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


class RecognitionPipeline:
    """Stages in order.

    Args:
        index: finds the nearest train images of queries.
        stages: name to stage, in order of work. None takes a stage out.
        neighbours: finds neighbours within the gallery; `index` by default.
        cache: keeps what is expensive; by default nothing is kept.
        workers: processes or threads for work that is spread; as many as there are cores by default.
        seed: of everything that is drawn at random.

    Raises:
        LandmarksError: no stages.
    """

    def __init__(
        self,
        index: Searcher,
        stages: Mapping[str, RecognitionStage | None],
        neighbours: Searcher | None = None,
        cache: Cache | None = None,
        workers: int | None = None,
        seed: int = 0,
    ) -> None:
        self.stages = {name: stage for name, stage in stages.items() if stage is not None}
        if not self.stages:
            raise LandmarksError("recognition: no stages; the shortest pipeline is a search and a vote")
        spread = {} if workers is None else {"workers": workers}
        self.resources = Resources(index, neighbours or index, cache or Cache(keep=False), seed=seed, **spread)

    @property
    def needs(self) -> frozenset[Need]:
        """What the stages ask for besides descriptors."""
        return frozenset().union(*(getattr(stage, "needs", frozenset()) for stage in self.stages.values()))

    def require(self, available: Collection[Need]) -> None:
        """Refuse to begin without what the stages ask for.

        Args:
            available: what there will be besides descriptors.

        Raises:
            LandmarksError: names the stage, what it needs, and how to give it.
        """
        for name, stage in self.stages.items():
            for need in sorted(getattr(stage, "needs", frozenset())):
                if need not in available:
                    raise LandmarksError(f"recognition stage {name} needs {MISSING[need]}")

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
