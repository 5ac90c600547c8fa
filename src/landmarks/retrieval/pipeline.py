"""A pipeline: named stages, each of which betters a ranking, for retrieval and for recognition.

It is an ordered mapping in YAML, ``pipeline.stages.<name>.<parameter>`` or ``recognition.stages.<name>.<parameter>``,
so that a stage's parameter can be changed, or a stage added, from the command line. It is scored after every stage:
every evaluation is an ablation.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Generic, get_args

from landmarks.errors import LandmarksError
from landmarks.retrieval.ablation import Cost, StageReport
from landmarks.retrieval.cache import Cache
from landmarks.retrieval.ranking import Ranking
from landmarks.retrieval.resources import Resources
from landmarks.retrieval.search import Searcher
from landmarks.retrieval.state import MISSING, Need, Stage, StateT

# Gives named figures of a state and its answer, such as {"map@100/public": 0.3, "map@100/private": 0.31}.
Scorer = Callable[[StateT, Ranking], Mapping[str, float]]


@dataclass(frozen=True)
class PipelineResult(Generic[StateT]):
    """The last state and what each stage gave and cost.

    Attributes:
        state: with all that stages have left in it.
        ranking: the final answer: index images, or for recognition landmarks, whose first places are the predictions.
        stages: one report a stage, in order.
    """

    state: StateT
    ranking: Ranking
    stages: tuple[StageReport, ...]


class Pipeline(Generic[StateT]):
    """Stages in order.

    Args:
        index: finds the nearest images of queries: index images, or for recognition train images.
        stages: name to stage, in order of work. None takes a stage out, so that ``pipeline.stages.qe=null`` shows
            what a pipeline is without it.
        neighbours: finds neighbours within a set; `index` by default.
        cache: keeps what is expensive; by default nothing is kept.
        workers: processes or threads for work that is spread; as many as there are cores by default.
        seed: of everything that is drawn at random.

    Raises:
        LandmarksError: no stages.
    """

    def __init__(
        self,
        index: Searcher,
        stages: Mapping[str, Stage[StateT] | None],
        neighbours: Searcher | None = None,
        cache: Cache | None = None,
        workers: int | None = None,
        seed: int = 0,
    ) -> None:
        self.stages = {name: stage for name, stage in stages.items() if stage is not None}
        if not self.stages:
            raise LandmarksError("pipeline: no stages; the shortest pipeline is a search, for recognition and a vote")
        spread = {} if workers is None else {"workers": workers}
        self.resources = Resources(index, neighbours or index, cache or Cache(keep=False), seed=seed, **spread)

    @property
    def needs(self) -> frozenset[Need]:
        """What the stages ask for besides descriptors."""
        return frozenset().union(*map(needs_of, self.stages.values()))

    def require(self, available: Collection[Need]) -> None:
        """Refuse to begin without what the stages ask for.

        Args:
            available: what there will be besides descriptors.

        Raises:
            LandmarksError: names the stage, what it needs, and how to give it.
        """
        for name, stage in self.stages.items():
            for need in sorted(needs_of(stage)):
                if need not in available:
                    raise LandmarksError(f"stage {name} needs {MISSING[need]}")

    def check(self, given: Any) -> None:
        """Let stages that have a method ``check`` look at what lies beside the descriptors, before any work.

        Args:
            given: a state, or what its attributes of the same names will be.

        Raises:
            LandmarksError: a stage cannot work with it.
        """
        for name, stage in self.stages.items():
            check: Callable[[Any], None] | None = getattr(stage, "check", None)
            if check is not None:
                try:
                    check(given)
                except LandmarksError as error:
                    raise LandmarksError(f"stage {name}: {error}") from error

    def run(self, state: StateT, score: Scorer[StateT] | None = None) -> PipelineResult[StateT]:
        """Run all stages.

        Args:
            state: queries and what is searched, usually without a ranking yet.
            score: called with state and answer after every stage that leaves one; no figures without it.

        Returns:
            The final answer with one report a stage.

        Raises:
            LandmarksError: something that a stage needs is not there, which is said before any work; stages that give
                no answer; or whatever a stage finds wrong. What it has put into the cache stays there.
        """
        self.require([need for need in get_args(Need) if state.has(need)])
        self.check(state)
        reports: list[StageReport] = []
        try:
            for name, stage in self.stages.items():
                with Cost() as cost:
                    state = stage(state, self.resources)
                answer = state.answer
                scores = dict(score(state, answer)) if score and answer is not None else {}
                before = reports[-1].scores if reports else {}
                changes = {key: value - before[key] for key, value in scores.items() if key in before}
                reports.append(
                    StageReport(name, scores, changes, cost.seconds, cost.peak_mb, cost.rise_mb, cost.gpu_peak_mb)
                )
        finally:
            self.resources.cache.release()
        return PipelineResult(state, state.require_answer("at the end of the pipeline"), tuple(reports))


def needs_of(stage: object) -> frozenset[Need]:
    """What one stage asks for, by its class attribute ``needs``; without it, nothing."""
    return getattr(stage, "needs", frozenset())
