"""A retrieval pipeline: named stages, each of which betters a ranking.

A pipeline is an ordered mapping in YAML, ``pipeline.stages.<name>.<parameter>``, so that a stage's parameter can
be changed, or a stage added, from the command line.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import get_args

from landmarks.retrieval.ablation import StageReport, run_stages
from landmarks.retrieval.ranking import Ranking
from landmarks.retrieval.staged import StagedPipeline
from landmarks.retrieval.state import MISSING, Need, SearchState, Stage

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


class Pipeline(StagedPipeline[Stage, Need]):
    """Stages in order; `index` finds the nearest index images of queries, `neighbours` works within a set."""

    called = "stage"
    shortest = "a search"
    missing = MISSING

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
