"""What is right for given descriptors, from labels or from an official solution, and the figures that follow."""

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from landmarks.errors import LandmarksError
from landmarks.evaluation.figures import score_ranking
from landmarks.ids import find_rows
from landmarks.metrics.retrieval import K, retrieval_figures
from landmarks.metrics.solutions import RetrievalSolution, scored_rows
from landmarks.retrieval.ranking import Ranking

Scores = dict[str, dict[str, float]]  # {"all": {"map@100": …}}, or {"public": …, "private": …}

# Labels do not divide queries into a public and a private part.
ALL = "all"
RECOGNITION_FIGURES = ("gap", "gap_ignoring_non_landmark", "top1")
MAIN_FIGURES = ("map@100", "gap")
KNOWN_FIGURES = tuple(retrieval_figures(np.zeros((0, 0), np.bool_), np.zeros(0, np.int64)))

log = logging.getLogger(__name__)


class Truth(Protocol):
    """Scores rankings."""

    def figures(self, ranking: Ranking) -> Scores:
        """Figures of every part of the queries that has any."""
        ...

    def summary(self) -> Mapping[str, Any]:
        """Plain values for `metrics.json`."""
        ...


@dataclass(frozen=True)
class LabelTruth:
    """Index images of the query's label are right.

    Queries without a label are not scored, nor are those whose label no index image has: nothing could be right, and
    official solutions hold no such queries.

    Attributes:
        queries: int64 [Q], -1 = none.
        index: int64 [N], -1 = none.

    Raises:
        LandmarksError: no query can be scored.
    """

    queries: NDArray[np.int64]
    index: NDArray[np.int64]

    def __post_init__(self) -> None:
        if not len(self.scored):
            raise LandmarksError(
                "descriptors.query_labels and descriptors.index_labels have no label in common: nothing can be right"
            )
        left_out = self.summary()
        if left_out["unlabelled"] or left_out["unanswerable"]:
            log.warning(
                "Of %d queries %d have no label and %d one that no index image has: they are ranked, not scored",
                len(self.queries),
                left_out["unlabelled"],
                left_out["unanswerable"],
            )

    @cached_property
    def right(self) -> NDArray[np.int64]:
        """How many index images are right for each query, int64 [Q]; 0 for those that are not scored."""
        labels, counts = np.unique(self.index, return_counts=True)
        place = np.minimum(np.searchsorted(labels, self.queries), len(labels) - 1)
        return np.where((labels[place] == self.queries) & (self.queries >= 0), counts[place], 0)

    @cached_property
    def scored(self) -> NDArray[np.int64]:
        """Rows of the queries that are scored."""
        return np.flatnonzero(self.right)

    def figures(self, ranking: Ranking) -> Scores:
        """The figures of all scored queries."""
        # A ranking holds no image twice, so every hit is a new one.
        places = ranking.indices[self.scored, :K]
        relevant = (places >= 0) & (self.index[places] == self.queries[self.scored, None])
        return {ALL: retrieval_figures(relevant, self.right[self.scored])}

    def summary(self) -> Mapping[str, Any]:
        """Where it comes from and how many queries it scores."""
        unlabelled = int(np.count_nonzero(self.queries < 0))
        unanswerable = len(self.queries) - unlabelled - len(self.scored)
        return {"from": "labels", "scored": len(self.scored), "unlabelled": unlabelled, "unanswerable": unanswerable}


@dataclass(frozen=True)
class SolutionTruth:
    """An official solution, by id. Queries of it that have no descriptor count as unanswered.

    Attributes:
        solution: the ground truth.
        query_ids: uint64 [Q] of the descriptors.
        index_ids: uint64 [N] of the descriptors.
        source: where the solution comes from, for messages.

    Raises:
        FormatError: a query that the solution does not know.
    """

    solution: RetrievalSolution
    query_ids: NDArray[np.uint64]
    index_ids: NDArray[np.uint64]
    source: str

    def __post_init__(self) -> None:
        counts = self.summary()
        if counts["scored"] == 0:
            raise LandmarksError(f"{self.source}: none of the given queries is scored there; are the ids right?")
        if counts["unanswered"]:
            log.warning(
                "%s: %d of its %d queries have no descriptor and count 0",
                self.source,
                counts["unanswered"],
                len(self.solution.query_ids),
            )
        if counts["absent"]:
            log.warning(
                "%s: %d of its %d correct images have no descriptor and cannot be found",
                self.source,
                counts["absent"],
                len(self.solution.positives),
            )

    def figures(self, ranking: Ranking) -> Scores:
        """The figures of public and private queries, as far as there are such."""
        found = score_ranking(self.solution, self.query_ids, self.index_ids, ranking.indices)
        return {split: values for split, values in found.items() if not math.isnan(values["map@100"])}

    def summary(self) -> Mapping[str, Any]:
        """Where it comes from and how many queries it scores."""
        scored = int(
            np.count_nonzero(scored_rows(self.query_ids, self.solution.query_ids, self.solution.ignored_ids) >= 0)
        )
        absent = int(np.count_nonzero(find_rows(self.solution.positives, self.index_ids) < 0))
        unanswered = len(self.solution.query_ids) - scored
        return {"from": self.source, "scored": scored, "unanswered": unanswered, "absent": absent}


def check_monitor(wanted: str, recognised: bool = False) -> None:
    """Refuse the name of a figure that no evaluation of given descriptors has.

    Args:
        wanted: such as private/map@100.
        recognised: whether landmarks are recognised too.

    Raises:
        LandmarksError: lists those that there are.
    """
    name = wanted.partition("/")[2]
    figures = (*KNOWN_FIGURES, *(RECOGNITION_FIGURES if recognised else ()))
    if name not in figures:
        known = ", ".join(f"{ALL}/{figure}" for figure in figures)
        raise LandmarksError(f"monitor={wanted}: there is no such figure; there are: {known}")


def choose_monitor(wanted: str, scores: Scores) -> str:
    """The name of the figure that stands for a run.

    The one asked for, else the same one of another split, else the main figure of the task whose truth is known.
    """
    split, _, name = wanted.partition("/")
    candidates = [(one, figure) for figure in (name, *MAIN_FIGURES) for one in (split, ALL, "private", "public")]
    chosen = next("/".join(pair) for pair in candidates if pair[1] in scores.get(pair[0], {}))
    if chosen != wanted:
        log.info("Nobody knows %s here: %s stands for the run", wanted, chosen)
    return chosen
