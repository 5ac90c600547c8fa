"""The sum behind query expansion and database augmentation.

Average query expansion: Chum et al., "Total Recall: Automatic Query Expansion with a Generative Feature Model for
Object Retrieval", ICCV 2007. Weights similarity^alpha (alpha-QE): Radenović et al., "Fine-tuning CNN Image
Retrieval with No Human Annotation", TPAMI 2018, section 5.2.
"""

import numpy as np
from numpy.typing import NDArray

from landmarks.errors import LandmarksError
from landmarks.retrieval.blocks import MIB, Descriptors, gather, row_norms, rows_in_budget
from landmarks.retrieval.ranking import Ranking


def check_expansion(stage: str, k: int, alpha: float) -> None:
    """Refuse parameters outside k >= 1, alpha >= 0."""
    if k < 1 or not 0 <= alpha < np.inf:
        raise LandmarksError(f"{stage}: k must be 1 or more and alpha 0 or more, got k={k}, alpha={alpha}")


def expand(
    descriptors: Descriptors, neighbours: Ranking, database: Descriptors, alpha: float, memory_budget_mb: int = 64
) -> NDArray[np.float32]:
    """``normalise(x + Σ max(similarity, 0)^alpha · neighbour)`` for every row x, itself normalised first.

    Args:
        descriptors: [Q, D] what to expand.
        neighbours: [Q, k] rows of `database` with cosine similarities; empty places add nothing.
        database: [N, D] where the neighbours' descriptors are.
        alpha: 0 weighs all neighbours alike; larger values trust near ones more.
        memory_budget_mb: MiB for the gathered neighbours.

    Returns:
        float32 [Q, D] with rows of length one.
    """
    expanded = np.empty(descriptors.shape, np.float32)
    similarity = np.where(neighbours.filled, np.maximum(neighbours.scores, 0), 0)
    weights = np.where(neighbours.filled, np.power(similarity, np.float32(alpha)), 0).astype(np.float32)
    rows_of_neighbours = np.maximum(neighbours.indices, 0)
    tile = rows_in_budget(8 * (neighbours.depth + 2) * descriptors.shape[1], memory_budget_mb * MIB)
    for start in range(0, len(descriptors), tile):
        rows = np.arange(start, min(start + tile, len(descriptors)))
        total = gather(descriptors, rows)
        total += np.einsum("qk,qkd->qd", weights[rows], gather(database, rows_of_neighbours[rows]))
        norms = row_norms(total)
        # Neighbours that cancel the descriptor leave no direction: such a row stays as it was.
        gone = norms < 1e-6
        total[gone], norms[gone] = gather(descriptors, rows[gone]), 1
        expanded[rows] = total / norms[:, None]
    return expanded
