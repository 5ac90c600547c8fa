"""Compares systems with the first of them: for each metric the difference, its interval and a test.

Queries of the same landmark are not independent, so each interval and test is made twice: queries are drawn, or two
systems' results exchanged, one by one or by whole landmarks. With several systems, the p of a metric are corrected for
each other by Holm's method.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from landmarks.comparison.queries import RunQueries
from landmarks.comparison.systems import System, grouped, require_same_queries
from landmarks.errors import LandmarksError
from landmarks.metrics import (
    Interval,
    average_precision,
    gap_interval,
    gap_p,
    holm,
    mean_interval,
    mean_p,
    weighted_gap,
)

MOVED = 10
"""Number of queries listed that rose most, and of those that fell most."""
_Values = NDArray[np.float64]
# Metrics of retrieval that are means over queries: from ranks with a correct image bool [Q, 100] and their number [Q].
_OF_QUERIES: dict[str, Callable[[NDArray[np.bool_], NDArray[np.int64]], _Values]] = {
    "map@100": lambda relevant, correct: average_precision(relevant, correct, 100),
    "map@10": lambda relevant, correct: average_precision(relevant, correct, 10),
    "precision@1": lambda relevant, correct: relevant[:, 0].astype(np.float64),
    "precision@10": lambda relevant, correct: relevant[:, :10].mean(axis=1),
    "mean_position": lambda relevant, correct: _positions(relevant),
}


@dataclass(frozen=True)
class Difference:
    """What a system gains over the first one by one metric on one split.

    Attributes:
        system: Name of the system.
        split: "public", "private" or "all".
        metric: Name of the metric.
        queries: Number of queries that it is computed on.
        first: Value of the first system, the mean over its runs.
        value: Value of this system.
        spread: Standard deviation over the runs of this system; None for one run.
        interval: 95 % interval of `difference`, queries drawn at random.
        by_landmark: The same with whole landmarks drawn.
        p: Of the randomisation test, by query; corrected for the number of systems. None for GAP of systems with
            different numbers of runs.
        p_by_landmark: The same with the results of whole landmarks exchanged.
        wins: Queries that the system answers better than the first one; 0 for GAP, which has no value for a query.
        losses: Queries that it answers worse.
    """

    system: str
    split: str
    metric: str
    queries: int
    first: float
    value: float
    spread: float | None
    interval: Interval
    by_landmark: Interval
    p: float | None
    p_by_landmark: float | None
    wins: int = 0
    losses: int = 0

    @property
    def difference(self) -> float:
        """Value of this system minus that of the first."""
        return self.value - self.first

    @property
    def ties(self) -> int:
        """Queries that both answer equally well."""
        return self.queries - self.wins - self.losses


@dataclass(frozen=True)
class Moved:
    """A query whose average precision changed most."""

    system: str
    split: str
    query: str
    before: float
    after: float


@dataclass(frozen=True)
class Comparison:
    """The comparison of systems with the first one."""

    systems: tuple[System, ...]
    differences: tuple[Difference, ...]
    moved: tuple[Moved, ...]  # of each system, those that rose most and then those that fell most


def compare(folders: Sequence[str | Path], seed: int = 0) -> Comparison:
    """Compare runs on the same queries.

    Args:
        folders: Run folders; runs of one configuration with different seeds count as one system, and the first run is
            of the system that all others are compared with.
        seed: Seed of the random draws.

    Raises:
        LandmarksError: There are fewer than two systems, a run has no results by query, or two runs were evaluated on
            different data.
    """
    runs = [RunQueries.read(folder) for folder in dict.fromkeys(map(Path, folders))]
    if len(runs) < 2:
        raise LandmarksError("compare needs two runs or more: landmarks compare RUN RUN")
    require_same_queries(runs)
    systems = grouped(runs)
    if len(systems) < 2:
        raise LandmarksError(
            "all runs have the same configuration and differ in the seed alone, so there is nothing to compare them "
            "with; name a run of another configuration, too"
        )
    first, *others = systems
    found = [one for system in others for one in _differences(first, system, seed)]
    moved = tuple(one for system in others for one in _moved(first, system))
    return Comparison(tuple(systems), tuple(_corrected(found)), moved)


def _differences(first: System, system: System, seed: int) -> Iterator[Difference]:
    both = (first, system)
    if all(run.retrieval is not None for of in both for run in of.runs):
        yield from _of_retrieval(first, system, seed)
    if all(run.recognition is not None for of in both for run in of.runs):
        yield from _of_recognition(first, system, seed)


def _of_retrieval(first: System, system: System, seed: int) -> Iterator[Difference]:
    table = first.runs[0].retrieval
    assert table is not None
    correct = table["correct_images"].to_numpy()
    for split in table["split"].unique(maintain_order=True).to_list():
        rows = (table["split"] == split).to_numpy()
        groups = _numbered(table["landmark"].to_numpy()[rows])
        for metric, of in _OF_QUERIES.items():
            one, other = (
                np.stack([of(run.relevant[rows], correct[rows]) for run in each.runs]) for each in (first, system)
            )
            yield _of_means(system.name, split, metric, (one, other), groups, seed)


def _of_recognition(first: System, system: System, seed: int) -> Iterator[Difference]:
    table = first.runs[0].recognition
    assert table is not None
    for split in table["split"].unique(maintain_order=True).to_list():
        rows = (table["split"] == split).to_numpy()
        landmarks = table["landmarks"].fill_null("").to_numpy()[rows]
        runs = tuple([run.predictions(rows) for run in each.runs] for each in (first, system))
        has_landmark = runs[0][0].has_landmark
        if not has_landmark.any():
            continue
        # every image without a landmark is a group of its own
        groups = _numbered(np.where(has_landmark, landmarks, table["id"].to_numpy()[rows]))
        ones = np.ones((1, len(landmarks)), np.int64)
        total = np.array([has_landmark.sum()])
        gaps = [[float(weighted_gap(ones, run.correct[run.order], total)[0]) for run in of] for of in runs]
        paired = len(runs[0]) == len(runs[1])
        yield Difference(
            system.name,
            split,
            "gap",
            len(landmarks),
            float(np.mean(gaps[0])),
            float(np.mean(gaps[1])),
            _spread(gaps[1]),
            gap_interval((runs[0], runs[1]), None, seed),
            gap_interval((runs[0], runs[1]), groups, seed),
            gap_p((runs[0], runs[1]), None, seed) if paired else None,
            gap_p((runs[0], runs[1]), groups, seed) if paired else None,
        )
        right = [np.stack([run.correct[has_landmark] for run in of]).astype(np.float64) for of in runs]
        yield _of_means(system.name, split, "top1", (right[0], right[1]), _numbered(groups[has_landmark]), seed)


def _of_means(
    name: str, split: str, metric: str, values: tuple[_Values, _Values], groups: NDArray[np.int64], seed: int
) -> Difference:
    """Compare by a metric that is a mean over queries, from its values [runs, Q] of both systems."""
    first, second = (of.mean(axis=0) for of in values)
    change = second - first
    gain = -change if metric == "mean_position" else change
    return Difference(
        name,
        split,
        metric,
        len(change),
        float(first.mean()),
        float(second.mean()),
        _spread(values[1].mean(axis=1)),
        mean_interval(change, None, seed),
        mean_interval(change, groups, seed),
        mean_p(change, None, seed),
        mean_p(change, groups, seed),
        wins=int((gain > 0).sum()),
        losses=int((gain < 0).sum()),
    )


def _corrected(differences: Sequence[Difference]) -> list[Difference]:
    """Correct the p of each metric and split for the number of systems."""
    families: dict[tuple[str, str], list[int]] = {}
    for place, one in enumerate(differences):
        families.setdefault((one.split, one.metric), []).append(place)
    corrected = list(differences)
    for places in families.values():
        for kind in ("p", "p_by_landmark"):
            tested = {place: p for place in places if (p := getattr(differences[place], kind)) is not None}
            for place, p in zip(tested, holm(list(tested.values())), strict=True):
                changed: dict[str, Any] = {kind: p}
                corrected[place] = replace(corrected[place], **changed)
    return corrected


def _moved(first: System, system: System) -> Iterator[Moved]:
    table = first.runs[0].retrieval
    if table is None or any(run.retrieval is None for run in (*first.runs, *system.runs)):
        return
    correct, ids, splits = (table[name].to_numpy() for name in ("correct_images", "id", "split"))
    before, after = (
        np.mean([average_precision(run.relevant, correct) for run in of.runs], axis=0) for of in (first, system)
    )
    change = after - before
    for order in (np.argsort(-change, kind="stable"), np.argsort(change, kind="stable")):
        for row in order[:MOVED].tolist():
            if change[row] * change[order[0]] > 0:
                yield Moved(system.name, splits[row], ids[row], float(before[row]), float(after[row]))


def _positions(relevant: NDArray[np.bool_]) -> _Values:
    return np.where(relevant.any(axis=1), relevant.argmax(axis=1) + 1, relevant.shape[1] + 1).astype(np.float64)


def _numbered(values: NDArray[np.generic]) -> NDArray[np.int64]:
    return np.unique(values, return_inverse=True)[1].astype(np.int64)


def _spread(values: Sequence[float] | _Values) -> float | None:
    return float(np.std(values, ddof=1)) if len(values) > 1 else None
