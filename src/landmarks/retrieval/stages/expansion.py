"""Query expansion and database augmentation: ``normalise(x + Σ weight · neighbour)``.

Average query expansion: Chum et al., "Total Recall: Automatic Query Expansion with a Generative Feature Model for
Object Retrieval", ICCV 2007. Weights similarity^alpha (alpha-QE): Radenović et al., "Fine-tuning CNN Image
Retrieval with No Human Annotation", TPAMI 2018, section 5.2. Weights that fall with the rank (AQEwD): Gordo et al.,
"Attention-Based Query Expansion Learning", ECCV 2020. Neighbours are gathered in tiles small enough for the processor's
caches; their lengths are applied to the weights, so no row is copied twice.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, ClassVar, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from landmarks.errors import LandmarksError
from landmarks.retrieval.blocks import (
    MIB,
    Descriptors,
    check_matrix,
    check_rows,
    gather,
    row_norms,
    rows_in_budget,
    scales,
)
from landmarks.retrieval.neighbours import all_neighbours, is_mutual
from landmarks.retrieval.ranking import EMPTY, Ranking
from landmarks.retrieval.state import Resources, SearchState
from landmarks.storage import Column

# What determines a neighbour's weight: its similarity, or also its rank.
Weights = Literal["similarity", "rank"]

# Size of a tile of gathered neighbours; larger ones do not fit the processor's caches.
TILE_BYTES = 4 * MIB
# The direction of sums shorter than this is only rounding error.
SHORTEST = 1e-6
# Index images expanded at once.
CHUNK = 16_384


class QueryExpansion:
    """Query expansion (αQE), followed by a new search; later stages see the expanded queries.

    Args:
        k: nearest images to add, taken from the ranking so far; fewer if it has empty places.
        alpha: exponent of their similarity; 0 is average query expansion.
        weights: with ``rank`` the weight also decreases with the rank.
        rounds: number of repetitions; each adds the images found by the previous one to the original query, so that
            the query cannot drift.
    """

    guarded: ClassVar[bool] = True

    def __init__(self, k: int = 5, alpha: float = 3.0, weights: Weights = "similarity", rounds: int = 1) -> None:
        _check_expansion("query expansion", k, alpha, weights)
        if rounds < 1:
            raise LandmarksError(f"query expansion: rounds must be 1 or more, got {rounds}")
        self.k = k
        self.alpha = alpha
        self.weights: Weights = weights
        self.rounds = rounds

    def __call__(self, state: SearchState, resources: Resources) -> SearchState:
        """Return the state with expanded queries and their ranking."""
        queries, ranking = state.queries, _deep_enough(state, self.k, "query expansion")
        for _ in range(self.rounds):
            nearest = ranking.indices[:, : self.k]
            queries = expand(state.queries, nearest, state.index, self.alpha, self.weights, resources.workers)
            ranking = resources.index.search(queries, state.index)
        return replace(state, queries=queries, ranking=ranking)


class DatabaseAugmentation:
    """Database-side augmentation (αDBA), followed by a new search; later stages see the augmented index.

    Args:
        k: nearest other index images that are added to each.
        alpha: exponent of their similarity; 0 weights all equally.
        weights: with ``rank`` the weight also decreases with the rank.
        mutual: only add those that have the image among their own k nearest, too. This guard is ours: without it an
            image that has no others of its landmark is averaged with images of another one.
    """

    guarded: ClassVar[bool] = True

    def __init__(self, k: int = 5, alpha: float = 3.0, weights: Weights = "similarity", mutual: bool = False) -> None:
        _check_expansion("database augmentation", k, alpha, weights)
        self.mutual = mutual
        self.k = k
        self.alpha = alpha
        self.weights: Weights = weights

    def __call__(self, state: SearchState, resources: Resources) -> SearchState:
        """Return the state with an augmented index and the queries' ranking in it."""
        index = self.augment(state.index, resources)
        return replace(state, index=index, ranking=resources.index.search(state.queries, index))

    def augment(self, index: Descriptors, resources: Resources) -> NDArray[np.float32]:
        """Average every index image with its k nearest others, or the mutual ones of them.

        Args:
            index: [N, D].
            resources: gives the searcher, the cache and the threads.

        Returns:
            float32 [N, D], L2-normalised, memory-mapped.
        """
        neighbours = all_neighbours(index, self.k, resources)

        def make(start: int, stop: int) -> dict[str, NDArray[Any]]:
            near = neighbours.indices[start:stop]
            if self.mutual:
                near = np.where(is_mutual(neighbours, start, stop), near, np.int32(EMPTY))
            return {"descriptors": expand(index[start:stop], near, index, self.alpha, self.weights, resources.workers)}

        parameters = {
            "k": self.k,
            "alpha": self.alpha,
            "weights": self.weights,
            "mutual": self.mutual,
            "searcher": resources.neighbours.signature(),
        }
        column = Column(np.float32, (index.shape[1],))
        return resources.cache.rows("augmented", len(index), {"descriptors": column}, make, CHUNK, [index], parameters)[
            "descriptors"
        ]


class GuidedExpansion:
    """αQE with the top of the ranking and the verified images, each once; later stages see the expanded queries.

    Args:
        k: images to add from the ranking so far; fewer if it has empty places.
        min_inliers: verified images with more inliers than this are added too.
        alpha: exponent of an image's similarity to the query, which is its weight in both cases; 0 weights all
            equally.
        max_verified: maximum number of verified images per query, those with the most inliers.
    """

    guarded: ClassVar[bool] = True

    def __init__(self, k: int = 5, min_inliers: int = 40, alpha: float = 3.0, max_verified: int = 100) -> None:
        _check_expansion("guided expansion", k, alpha, "similarity")
        if min_inliers < 0 or max_verified < 1:
            raise LandmarksError(
                "guided expansion: min_inliers must be 0 or more and max_verified 1 or more, got "
                f"min_inliers={min_inliers}, max_verified={max_verified}"
            )
        self.k = k
        self.min_inliers = min_inliers
        self.alpha = alpha
        self.max_verified = max_verified

    def __call__(self, state: SearchState, resources: Resources) -> SearchState:
        """Return the state with expanded queries and their ranking."""
        ranking = _deep_enough(state, self.k, "guided expansion")
        if state.verified is None:
            raise LandmarksError("stage guided expansion needs verified images: put a spatial verification before it")
        neighbours = self.neighbours(ranking, state.verified)
        queries = expand(state.queries, neighbours, state.index, self.alpha, workers=resources.workers)
        return replace(state, queries=queries, ranking=resources.index.search(queries, state.index))

    def neighbours(self, ranking: Ranking, verified: Ranking) -> NDArray[np.int32]:
        """Select the index images with which each query is averaged.

        Args:
            ranking: [Q, K] so far, K at least `k`.
            verified: [Q, M], images by descending number of inliers, which are the scores.

        Returns:
            int32 [Q, k + V], V at most `max_verified`; each image once, -1 = empty.
        """
        nearest = ranking.indices[:, : self.k]
        sure = verified.indices[:, : self.max_verified].copy()
        sure[verified.scores[:, : self.max_verified] <= self.min_inliers] = EMPTY
        for place in nearest.T:
            sure[sure == place[:, None]] = EMPTY
        # Drop columns that are empty for all queries, which would cost as much as full ones.
        return np.concatenate([nearest, sure[:, (sure != EMPTY).any(axis=0)]], axis=1)


def _deep_enough(state: SearchState, k: int, stage: str) -> Ranking:
    """Return the ranking, or raise a LandmarksError if it has fewer than k places."""
    ranking = state.require_ranking(stage)
    if ranking.depth < k:
        raise LandmarksError(
            f"{stage}: k is {k}, but the ranking has {ranking.depth} places; search with a larger index.k, or use a "
            "smaller k"
        )
    return ranking


def _check_expansion(stage: str, k: int, alpha: float, weights: str) -> None:
    """Raise a LandmarksError unless k >= 1, alpha >= 0 and the weights are known."""
    if k < 1 or not 0 <= alpha < np.inf:
        raise LandmarksError(f"{stage}: k must be 1 or more and alpha 0 or more, got k={k}, alpha={alpha}")
    if weights not in get_args(Weights):
        raise LandmarksError(f"{stage}: weights must be {' or '.join(get_args(Weights))}, got {weights!r}")


def expand(
    descriptors: Descriptors,
    neighbours: NDArray[np.int32],
    database: Descriptors,
    alpha: float,
    weights: Weights = "similarity",
    workers: int = 1,
) -> NDArray[np.float32]:
    """Compute ``normalise(x + Σ weight · neighbour)`` for every row x; x and its neighbours are normalised first.

    The weight of a neighbour is max(cosine, 0)^alpha, and for `weights` ``"rank"`` this times (k - r) / k, with r = 0
    for the first of the k places. The cosines are computed from the descriptors, so the scores of a ranking may be
    anything, such as inliers or diffusion scores.

    Args:
        descriptors: [Q, D], the rows x.
        neighbours: int32 [Q, k], rows of `database`, best first; empty places (-1) add nothing.
        database: [N, D].
        alpha: exponent of the cosine, 0 or more.
        weights: ``"similarity"`` or ``"rank"``.
        workers: threads; the result does not depend on their number.

    Returns:
        float32 [Q, D], rows of length one.

    Raises:
        LandmarksError: shapes do not fit, a neighbour is outside the database, or rows are invalid.
    """
    _check_shapes(descriptors, neighbours, database)
    if not (neighbours != EMPTY).any():
        neighbours = neighbours[:, :0]
    expanded = np.empty(descriptors.shape, np.float32)
    depth = neighbours.shape[1]
    by_rank = 1 - np.arange(depth) / depth if weights == "rank" else np.ones(depth)
    tile = rows_in_budget(8 * (depth + 2) * descriptors.shape[1], TILE_BYTES)

    def fill(start: int) -> None:
        part = slice(start, start + tile)
        near = gather(database, np.maximum(neighbours[part], 0), normalize=False)
        expanded[part] = _normalised_sums(descriptors[part], near, neighbours[part] != EMPTY, alpha, by_rank)

    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(fill, range(0, len(descriptors), tile)))
    if not np.isfinite(expanded[:, 0]).all():
        check_rows(descriptors, "descriptors to expand", normalize=True)
        check_rows(database, "index descriptors", normalize=True)
    return expanded


def _check_shapes(descriptors: Descriptors, neighbours: NDArray[np.int32], database: Descriptors) -> None:
    check_matrix(descriptors, "descriptors to expand")
    check_matrix(database, "index descriptors")
    if neighbours.ndim != 2 or len(neighbours) != len(descriptors) or database.shape[1] != descriptors.shape[1]:
        raise LandmarksError(
            f"expansion: descriptors {descriptors.shape}, neighbours {neighbours.shape} and index {database.shape} "
            "do not fit [Q, D], [Q, k] and [N, D]"
        )
    if neighbours.size and neighbours.max() >= len(database):
        raise LandmarksError(f"expansion: neighbour {neighbours.max()} is outside the index of {len(database)} images")


def _normalised_sums(
    own: Descriptors,
    near: NDArray[np.float32],
    filled: NDArray[np.bool_],
    alpha: float,
    by_rank: NDArray[np.float64],
) -> NDArray[np.float32]:
    """Expand rows `own` [B, D] by neighbours `near` [B, k, D], neither normalised yet; invalid rows give NaN."""
    with np.errstate(divide="ignore", invalid="ignore"):
        own = own.astype(np.float32) / scales(row_norms(own))[:, None]
        lengths = scales(row_norms(near.reshape(-1, near.shape[-1]))).reshape(filled.shape)
        cosines = np.einsum("bd,bkd->bk", own, near) / lengths
        shares = np.where(filled, np.maximum(cosines, 0) ** alpha * by_rank, 0)
        total = own + np.einsum("bk,bkd->bd", (shares / lengths).astype(np.float32), near)
        norms = row_norms(total)
        # If the neighbours cancel the descriptor, the sum has no direction, so the row stays as it was.
        gone = norms < SHORTEST
        total[gone], norms[gone] = own[gone], 1
        return total / norms[:, None]
