"""Whether the difference of two systems on the same queries is more than chance: intervals and tests.

Queries are drawn with replacement for an interval, and the two systems' results are exchanged at random, query by
query, for a test (Smucker, Allan & Carterette, "A comparison of statistical significance tests for information
retrieval evaluation", CIKM 2007). Queries that show the same landmark are not independent; `groups` draws and
exchanges them together. scipy does the resampling.
"""

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 9_999
LEVEL = 0.95
_BLOCK = 1 << 22  # values of one block of resamples: 32 MiB


class Interval(NamedTuple):
    """A confidence interval."""

    low: float
    high: float


def mean_interval(differences: NDArray[np.float64], groups: NDArray[np.int64] | None = None, seed: int = 0) -> Interval:
    """Compute the 95 % interval of a mean difference, by a BCa bootstrap of 9,999 resamples.

    Efron, "Better bootstrap confidence intervals", JASA 1987.

    Args:
        differences: float64 [Q], of each query.
        groups: int64 [Q], the group of each query, numbers from 0; None if all queries are independent.
        seed: Seed of the resamples.

    Returns:
        The interval; NaN for fewer than two groups.
    """
    from scipy.stats import DegenerateDataWarning, bootstrap

    sums, counts = _grouped(differences, groups)
    if len(sums) < 2:
        return Interval(float("nan"), float("nan"))
    if np.ptp(sums / counts) == 0:
        return Interval(float(differences.mean()), float(differences.mean()))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DegenerateDataWarning)
        found = bootstrap(
            (sums, counts),
            lambda of, size, axis: of.sum(axis=axis) / size.sum(axis=axis),
            n_resamples=RESAMPLES,
            batch=max(1, _BLOCK // len(sums)),
            paired=True,
            confidence_level=LEVEL,
            method="BCa",
            rng=np.random.default_rng(seed),
        ).confidence_interval
    return Interval(float(found.low), float(found.high))


def mean_p(differences: NDArray[np.float64], groups: NDArray[np.int64] | None = None, seed: int = 0) -> float:
    """Compute the two-sided p of a randomisation test: that the systems are equal, given the mean difference.

    It is exact where all exchanges can be tried, up to 13 queries that differ, and (1 + count) / (1 + 9,999) otherwise.

    Args:
        differences: float64 [Q], of each query.
        groups: int64 [Q], the group of each query, numbers from 0; None if all queries are independent.
        seed: Seed of the exchanges.
    """
    from scipy.stats import permutation_test

    sums, _ = _grouped(differences, groups)
    sums = sums[sums != 0]  # an exchange leaves the others as they are
    if len(sums) < 2:
        return 1.0  # the one exchange changes as much
    return float(
        permutation_test(
            (sums,),
            lambda of, axis: of.sum(axis=axis),
            permutation_type="samples",
            n_resamples=RESAMPLES,
            batch=max(1, _BLOCK // len(sums)),
            rng=np.random.default_rng(seed),
        ).pvalue
    )


@dataclass(frozen=True)
class RunPredictions:
    """The predictions of one run for the queries of a split.

    Attributes:
        scores: Confidences, float [Q]; NaN where there is no prediction.
        correct: Whether the prediction is right, bool [Q].
        has_landmark: Whether the query shows a landmark, bool [Q].
    """

    scores: NDArray[np.float64]
    correct: NDArray[np.bool_]
    has_landmark: NDArray[np.bool_]

    @property
    def order(self) -> NDArray[np.int64]:
        """Rows by descending confidence, equal ones in the order of the queries, those without a prediction last."""
        return np.argsort(-self.scores, kind="stable")


def weighted_gap(
    weights: NDArray[np.int64], correct: NDArray[np.bool_], landmark_images: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Compute GAP (see `metrics.recognition`) of predictions of which each counts several times or never.

    A correct prediction that counts w times, after n others of which c are correct, adds (c + 1) / (n + 1) + … +
    (c + w) / (n + w), which is w - (n - c) (H(n + w) - H(n)) with the harmonic numbers H. So nothing is sorted.

    Args:
        weights: int64 [R, N], how often each of N predictions, by descending confidence, counts in each of R resamples.
        correct: bool [N].
        landmark_images: int64 [R], how many images with a landmark each resample has.

    Returns:
        float64 [R]; NaN in a resample without images that have a landmark.
    """
    after = np.cumsum(weights, axis=1)
    right = np.cumsum(weights * correct, axis=1)
    harmonic = np.concatenate([[0.0], np.cumsum(1 / np.arange(1, after[:, -1].max(initial=0) + 1))])
    before, w = (after - weights)[:, correct], weights[:, correct]
    wrong = before - (right[:, correct] - w)
    gain = w - wrong * (harmonic[before + w] - harmonic[before])
    with np.errstate(invalid="ignore"):
        return gain.sum(axis=1) / landmark_images


def gap_interval(
    systems: tuple[Sequence[RunPredictions], Sequence[RunPredictions]],
    groups: NDArray[np.int64] | None = None,
    seed: int = 0,
) -> Interval:
    """Compute the 95 % interval of the second system's GAP minus the first's, by the percentiles of 9,999 resamples.

    GAP is no mean over queries, so it is computed anew on each resample. A system's GAP is the mean over its runs.

    Args:
        systems: The runs of both systems on the same Q queries.
        groups: int64 [Q], the group of each query, numbers from 0; None if all queries are independent.
        seed: Seed of the resamples.
    """
    has_landmark = systems[0][0].has_landmark
    if not has_landmark.any():
        return Interval(float("nan"), float("nan"))
    of_group = np.arange(len(has_landmark)) if groups is None else groups
    count = int(of_group.max()) + 1
    random = np.random.default_rng(seed)
    found = []
    for size in _blocks(len(has_landmark)):
        weights = random.multinomial(count, np.full(count, 1 / count), size=size)[:, of_group]
        images = weights[:, has_landmark].sum(axis=1)
        first, second = (
            np.mean([weighted_gap(weights[:, run.order], run.correct[run.order], images) for run in runs], axis=0)
            for runs in systems
        )
        found.append(second - first)
    tail = 100 * (1 - LEVEL) / 2
    return Interval(*np.nanpercentile(np.concatenate(found), [tail, 100 - tail]).tolist())


def gap_p(
    systems: tuple[Sequence[RunPredictions], Sequence[RunPredictions]],
    groups: NDArray[np.int64] | None = None,
    seed: int = 0,
) -> float:
    """Compute the two-sided p of a randomisation test of the difference of GAP.

    Confidences of two systems need not be on one scale, so places take their stead: the prediction that is exchanged
    keeps the place that it has among those of its own run. Of equal places that of either system comes first in turn,
    and the mean counts, so that it does not matter which system is named first.

    Args:
        systems: The runs of both systems on the same Q queries, as many of one as of the other.
        groups: int64 [Q], the group of each query, numbers from 0; None if all queries are independent.
        seed: Seed of the exchanges.

    Raises:
        ValueError: The systems have different numbers of runs.
    """
    has_landmark = systems[0][0].has_landmark
    images = int(has_landmark.sum())
    if images == 0:
        return float("nan")
    pairs = []
    for one, other in zip(*systems, strict=True):
        for leads in (0, 1):
            orders = (one.order, other.order) if leads == 0 else (other.order, one.order)
            queries = np.stack(orders, axis=1).ravel()  # of both in turns, by place
            of_other = np.arange(len(queries)) % 2 ^ leads
            pairs.append((queries, of_other, np.where(of_other, other.correct[queries], one.correct[queries])))

    def changes(exchanged: NDArray[np.int64]) -> NDArray[np.float64]:
        total = np.full(len(exchanged), images)
        found = np.zeros(len(exchanged))
        for queries, of_other, correct in pairs:
            in_second = exchanged[:, queries] ^ of_other
            found += weighted_gap(in_second, correct, total) - weighted_gap(1 - in_second, correct, total)
        return found

    of_group = np.arange(len(has_landmark)) if groups is None else groups
    observed = abs(changes(np.zeros((1, len(has_landmark)), np.int64))[0])
    random = np.random.default_rng(seed)
    as_far = 0
    for size in _blocks(2 * len(has_landmark)):
        found = np.abs(changes(random.integers(2, size=(size, int(of_group.max()) + 1))[:, of_group]))
        as_far += int((found >= observed - 1e-12).sum())
    return (1 + as_far) / (1 + RESAMPLES)


def holm(ps: Sequence[float]) -> list[float]:
    """Correct several p for each other (Holm, "A simple sequentially rejective multiple test procedure", 1979)."""
    order = np.argsort(ps, kind="stable")
    corrected = np.empty(len(ps))
    corrected[order] = np.minimum(1, np.maximum.accumulate(np.asarray(ps)[order] * np.arange(len(ps), 0, -1)))
    return corrected.tolist()


def _blocks(width: int) -> Iterator[int]:
    """Yield numbers of resamples whose sum is `RESAMPLES`, each with a bounded number of values."""
    block = max(1, _BLOCK // width)
    for start in range(0, RESAMPLES, block):
        yield min(block, RESAMPLES - start)


def _grouped(
    differences: NDArray[np.float64], groups: NDArray[np.int64] | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the sum of the differences of each group and the number of its queries."""
    if groups is None:
        return differences, np.ones(len(differences))
    return np.bincount(groups, differences).astype(np.float64), np.bincount(groups).astype(np.float64)
