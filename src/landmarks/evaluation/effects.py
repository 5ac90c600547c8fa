"""What each stage of the pipeline did to single queries: average precision before and after it."""

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from landmarks.data import GroundTruth
from landmarks.ids import find_rows
from landmarks.metrics import RetrievalSubmission, average_precision, relevance
from landmarks.retrieval import LocalFeatureStore, Pipeline, Ranking

CHOSEN = 3  # most queries of a stage whose rankings are kept, of those that it helped and of those that it harmed


@dataclass(frozen=True)
class Judged:
    """The ranks of the scored queries that hold a correct image."""

    rows: NDArray[np.int64]  # int64 [S], the scored queries, ascending
    relevant: NDArray[np.bool_]  # bool [S, K]
    num_positives: NDArray[np.int64]  # int64 [S], correct images of each query

    @property
    def precision(self) -> NDArray[np.float64]:
        """Average precision of the first 100 ranks, float64 [S]."""
        return average_precision(self.relevant, self.num_positives)


def judged(
    truth: GroundTruth,
    indices: NDArray[np.int32],
    query_ids: NDArray[np.uint64] | None = None,
    index_ids: NDArray[np.uint64] | None = None,
) -> Judged | None:
    """Mark the correct images of a ranking, rows of the index [Q, K], by labels or ids; None if unknown."""
    if truth.labels is not None:
        queries, index = truth.labels
        rows = np.flatnonzero(truth.label_positives)
        places = indices[rows]  # a ranking holds no image twice, so hits need no deduplication
        return Judged(rows, (places >= 0) & (index[places] == queries[rows, None]), truth.label_positives[rows])
    solution = truth.retrieval
    if solution is None or query_ids is None or index_ids is None:
        return None
    rows = np.flatnonzero(np.isin(query_ids, solution.query_ids))
    submission = RetrievalSubmission.from_ranking(query_ids[rows], index_ids, indices[rows])
    of_truth = find_rows(query_ids[rows], solution.query_ids)
    return Judged(rows, relevance(solution, submission, indices.shape[1])[of_truth], solution.num_positives[of_truth])


@dataclass(frozen=True)
class StageEffect:
    """What one stage did to the scored queries, and the rankings of those that it helped and harmed most.

    Attributes:
        stage: Name of the stage.
        queries: int64 [S], rows of the scored queries.
        before: float64 [S], average precision before the stage.
        after: float64 [S], average precision after it.
        chosen: int64 [n], rows of the queries helped most, then of those harmed most, the largest change first.
        rankings: Of the chosen queries [n, K], before the stage and after it.
        features: Local features that the stage compares images by; None if it uses none.
        seed: Seed of its random choices.
    """

    stage: str
    queries: NDArray[np.int64]
    before: NDArray[np.float64]
    after: NDArray[np.float64]
    chosen: NDArray[np.int64]
    rankings: tuple[Ranking, Ranking]
    features: LocalFeatureStore | None = None
    seed: int = 0


@dataclass
class Effects:
    """Compares each ranking of a pipeline with the one before, of which it holds no more than one."""

    truth: GroundTruth
    query_ids: NDArray[np.uint64] | None
    index_ids: NDArray[np.uint64] | None
    _last: tuple[Ranking, NDArray[np.float64]] | None = None
    _found: list[StageEffect] = field(default_factory=list)

    def add(self, ranking: Ranking) -> None:
        """Take the ranking after the next stage."""
        now = judged(self.truth, ranking.indices, self.query_ids, self.index_ids)
        if now is None:
            return
        after = now.precision
        if self._last is not None:
            earlier, before = self._last
            places = _extremes(after - before)
            chosen = now.rows[places]
            rankings = (_rows_of(earlier, chosen), _rows_of(ranking, chosen))
            self._found.append(StageEffect("", now.rows, before, after, chosen, rankings))
        self._last = ranking, after

    def of(self, pipeline: Pipeline) -> tuple[StageEffect, ...]:
        """Return the effects of the last stages of the pipeline, each with its name and local features."""
        self._last = None
        named = []
        # Once there is a ranking, every stage gives one.
        for (name, stage), effect in zip(reversed(pipeline.stages.items()), reversed(self._found), strict=False):
            features = getattr(stage, "features", None)
            store = features if isinstance(features, LocalFeatureStore) else None
            named.append(replace(effect, stage=name, features=store, seed=pipeline.resources.seed))
        return tuple(reversed(named))


def _extremes(change: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the places of the largest increases, then of the largest decreases, at most `CHOSEN` of each."""
    ascending = np.argsort(change, kind="stable")
    harmed = ascending[:CHOSEN]
    helped = np.argsort(-change, kind="stable")[:CHOSEN]
    return np.concatenate([helped[change[helped] > 0], harmed[change[harmed] < 0]])


def _rows_of(ranking: Ranking, rows: NDArray[np.int64]) -> Ranking:
    return Ranking(ranking.indices[rows], ranking.scores[rows])
