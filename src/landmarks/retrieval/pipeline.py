"""A retrieval pipeline: named stages, each of which betters a ranking.

A pipeline is an ordered mapping in YAML, ``pipeline.stages.<name>.<parameter>``, so that a stage's parameter can
be changed, or a stage added, from the command line.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import get_args

from landmarks.errors import LandmarksError
from landmarks.retrieval.ablation import StageReport, run_stages
from landmarks.retrieval.cache import Cache
from landmarks.retrieval.ranking import Ranking
from landmarks.retrieval.resources import Resources
from landmarks.retrieval.search.index import Searcher
from landmarks.retrieval.state import MISSING, Need, SearchState, Stage, needs_of

# Gives named figures of a ranking, such as {"map@100/public": 0.3, "map@100/private": 0.31}.
Scorer = Callable[[Ranking], Mapping[str, float]]


@dataclass(frozen=True)
class PipelineResult:
    """The last state and what each stage gave and cost.

    Attributes:
        state: with the final ranking and the descriptors that made it.
        ranking: the final ranking.
        stages: one report a stage, in order.
    """

    state: SearchState
    ranking: Ranking
    stages: tuple[StageReport, ...]


class Pipeline:
    """Stages in order.

    Args:
        index: finds the nearest index images of queries.
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
        stages: Mapping[str, Stage | None],
        neighbours: Searcher | None = None,
        cache: Cache | None = None,
        workers: int | None = None,
        seed: int = 0,
    ) -> None:
        self.stages = {name: stage for name, stage in stages.items() if stage is not None}
        if not self.stages:
            raise LandmarksError("pipeline: no stages; the shortest pipeline is a search")
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

    def run(self, state: SearchState, score: Scorer | None = None) -> PipelineResult:
        """Run all stages.

        Args:
            state: queries and index, usually without a ranking yet.
            score: called with the ranking after every stage; no figures without it.

        Returns:
            The final ranking with one report a stage.

        Raises:
            LandmarksError: something that a stage needs is not there, which is said before any work; a stage that
                gives no ranking; or whatever a stage finds wrong.
        """
        self.require([need for need in get_args(Need) if state.has(need)])

        def figures(stage: str, state: SearchState) -> Mapping[str, float]:
            ranking = state.require_ranking(stage)
            return score(ranking) if score else {}

        state, reports = run_stages(self.stages, state, self.resources, figures)
        return PipelineResult(state, state.require_ranking("pipeline"), reports)
