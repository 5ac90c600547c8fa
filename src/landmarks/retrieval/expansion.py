"""The sum behind query expansion and database augmentation: ``normalise(x + Σ weight · neighbour)``.

Average query expansion: Chum et al., "Total Recall: Automatic Query Expansion with a Generative Feature Model for
Object Retrieval", ICCV 2007. Weights similarity^alpha (alpha-QE): Radenović et al., "Fine-tuning CNN Image
Retrieval with No Human Annotation", TPAMI 2018, section 5.2. Weights that fall with the rank (AQEwD): Gordo et al.,
"Attention-Based Query Expansion Learning", ECCV 2020. The gathered neighbours are in memory a tile at a
time, small enough to stay in the processor's caches; their lengths go into the weights, so no row is copied twice.
"""

from concurrent.futures import ThreadPoolExecutor
from typing import Literal, get_args

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
from landmarks.retrieval.ranking import EMPTY

# What a neighbour's weight comes from.
Weights = Literal["similarity", "rank"]

# Larger tiles of gathered neighbours leave the processor's caches.
TILE_BYTES = 4 * MIB
# Sums shorter than this have no direction left.
SHORTEST = 1e-6


def check_expansion(stage: str, k: int, alpha: float, weights: str) -> None:
    """Refuse parameters outside k >= 1, alpha >= 0, and unknown weights."""
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
    """``normalise(x + Σ weight · neighbour)`` for every row x; x and its neighbours are normalised first.

    The weight of a neighbour is max(cosine, 0)^alpha, with `weights` ``"rank"`` times (k - r) / k, r = 0 for the
    first of the k places. The cosines are taken from the descriptors: a ranking whose scores are something else,
    such as inliers or diffusion scores, is expanded rightly.

    The neighbours, int32 [Q, k], are rows of the database [N, D], best first; empty places (-1) add nothing. The
    result, float32 [Q, D], has rows of length one, the same whatever the threads.
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
    """The expanded rows [B, D] of `own` [B, D] and its neighbours [B, k, D], not normalised; NaN from bad rows."""
    with np.errstate(divide="ignore", invalid="ignore"):
        own = own.astype(np.float32) / scales(row_norms(own))[:, None]
        lengths = scales(row_norms(near.reshape(-1, near.shape[-1]))).reshape(filled.shape)
        cosines = np.einsum("bd,bkd->bk", own, near) / lengths
        shares = np.where(filled, np.maximum(cosines, 0) ** alpha * by_rank, 0)
        total = own + np.einsum("bk,bkd->bd", (shares / lengths).astype(np.float32), near)
        norms = row_norms(total)
        # Neighbours that cancel the descriptor leave no direction: such a row stays as it was.
        gone = norms < SHORTEST
        total[gone], norms[gone] = own[gone], 1
        return total / norms[:, None]
