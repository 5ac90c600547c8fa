"""The graph along which similarity spreads: mutual nearest neighbours, symmetrically normalised.

Iscen et al., "Efficient Diffusion on Region Manifolds: Recovering Small Objects with Compact CNN Representations",
CVPR 2017, sections 2 and 3. Only mutual neighbours are joined, because otherwise hubs, images that are near to many
others, would connect all landmarks.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from landmarks.errors import LandmarksError
from landmarks.retrieval.blocks import MIB, Descriptors, rows_in_budget
from landmarks.retrieval.ranking import Ranking


def last_copies(descriptors: Descriptors) -> NDArray[np.int32]:
    """Return for each row of [N, D] the last row with the same bits, int32 [N]; usually itself."""
    num_rows, dim = descriptors.shape
    words = np.uint32 if descriptors.dtype == np.float32 else np.uint16
    factors = np.random.default_rng(0).integers(0, 2**64, dim, dtype=np.uint64)
    sums = np.empty(num_rows, np.uint64)
    rows = rows_in_budget(16 * dim, 64 * MIB)
    for start in range(0, num_rows, rows):
        block = np.ascontiguousarray(descriptors[start : start + rows])
        sums[start : start + rows] = block.view(words).astype(np.uint64) @ factors
    # Sorting makes rows with the same sum adjacent, in order.
    order = np.argsort(sums, kind="stable")
    ends = np.append(sums[order][1:] != sums[order][:-1], np.ones(min(1, num_rows), bool))
    last = np.arange(num_rows, dtype=np.int32)
    last[order] = order[ends][np.cumsum(ends) - ends]
    alike = np.flatnonzero(last != np.arange(num_rows))
    for start in range(0, len(alike), rows):
        part = alike[start : start + rows]
        different = (descriptors[part] != descriptors[last[part]]).any(axis=1)
        last[part[different]] = part[different]
    return last


def stand_in(columns: NDArray[np.int32], last: NDArray[np.int32]) -> NDArray[np.int32]:
    """Swap the first image of each row of `columns` [B, T] with its last copy, `last` [B]."""
    rows = np.flatnonzero(columns[:, 0] != last)
    found = columns[rows] == last[rows, None]
    where = np.where(found.any(axis=1), found.argmax(axis=1), columns.shape[1] - 1)
    columns[rows, where] = columns[rows, 0]
    columns[rows, 0] = last[rows]
    return columns


def later_first(ranking: Ranking) -> Ranking:
    """Return the ranking with equal scores ordered by descending index; rows without equal scores do not change."""
    indices, scores = ranking.indices.copy(), ranking.scores.copy()
    rows = np.flatnonzero((scores[:, 1:] == scores[:, :-1]).any(axis=1))
    order = np.lexsort((-indices[rows], -scores[rows]), axis=1)
    indices[rows] = np.take_along_axis(indices[rows], order, axis=1)
    return Ranking(indices, scores)


def knn_graph(
    neighbours: Ranking, gamma: float = 3.0, last_copies: NDArray[np.int32] | None = None
) -> sparse.csr_array:
    """Compute ``S = D^-1/2 A D^-1/2`` with ``A_ij = max(similarity, 0)^gamma`` for mutual neighbours i, j, else 0.

    Similarity is a cosine and thus symmetric; if a searcher gives two values for a pair, the smaller one counts, so
    that S is symmetric to the last bit. The diagonal is 0. A node without mutual neighbours has an empty row and
    column, so diffusion does not change its value.

    Args:
        neighbours: [N, k], the neighbours of each node in any order; empty places and the node itself are ignored.
        gamma: exponent of similarities, above 0.
        last_copies: int32 [N], from the function of that name. If given, a node's edge to its last copy becomes an edge
            to itself, and a zero is stored in its place; S is no longer symmetric there.

    Returns:
        float32 [N, N], rows sorted by column, without stored zeros unless `last_copies` is given. It takes about 8
        bytes for each of at most N·k entries, and five times as much while it is computed.
    """
    if not 0 < gamma < np.inf:
        raise LandmarksError(f"diffusion: gamma is {gamma}: it must be above 0")
    num_nodes = neighbours.num_queries
    neighbours.check(num_nodes, num_nodes)
    directed = _similarities(neighbours, num_nodes, gamma)
    directed.data[directed.indices == _sources(directed)] = 0
    directed.eliminate_zeros()
    # The smaller of both directions is 0 where only one of the two names the other.
    graph = directed.minimum(directed.T.tocsr())
    del directed
    degrees = np.asarray(graph.sum(axis=1, dtype=np.float64))
    if last_copies is not None:
        graph = _edges_to_itself(graph, last_copies)
    products = degrees[_sources(graph)]
    products *= degrees[graph.indices]
    graph.data = (graph.data / np.sqrt(products)).astype(np.float32)
    return graph


def query_weights(neighbours: Ranking, num_nodes: int, gamma: float = 3.0) -> sparse.csr_array:
    """Compute where diffusion starts for queries outside the graph, [Q, N]: ``max(similarity, 0)^gamma`` at neighbours.

    Args:
        neighbours: [Q, k], nodes near each query, with cosine similarities as scores.
        num_nodes: N, the number of nodes of the graph.
        gamma: exponent of similarities.
    """
    neighbours.check(neighbours.num_queries, num_nodes)
    return _similarities(neighbours, num_nodes, gamma)


def _similarities(neighbours: Ranking, num_nodes: int, gamma: float) -> sparse.csr_array:
    """Return ``max(similarity, 0)^gamma``, float32 [Q, N], rows sorted by column, without stored zeros."""
    weights = neighbour_weights(neighbours, gamma)
    kept = weights > 0
    starts = np.concatenate([[0], np.cumsum(kept.sum(axis=1))])
    starts = starts.astype(np.int32 if starts[-1] < 2**31 else np.int64)  # the columns' type follows this one
    matrix = sparse.csr_array(
        (weights[kept], neighbours.indices[kept], starts), shape=(neighbours.num_queries, num_nodes)
    )
    matrix.sort_indices()
    return matrix


def neighbour_weights(neighbours: Ranking, gamma: float) -> NDArray[np.float32]:
    """Return ``max(similarity, 0)^gamma`` in the shape of the ranking [Q, k]; 0 at empty places."""
    return np.power(np.maximum(neighbours.scores, 0), np.float32(gamma))


def _sources(matrix: sparse.csr_array) -> NDArray[np.int32]:
    """Return the row of each stored entry."""
    return np.repeat(np.arange(matrix.shape[0], dtype=np.int32), np.diff(matrix.indptr))


def _edges_to_itself(graph: sparse.csr_array, last_copies: NDArray[np.int32]) -> sparse.csr_array:
    """Move the value of each edge from a node to its last copy onto the diagonal."""
    sources = _sources(graph)
    nodes = sources[graph.indices == last_copies[sources]]
    moved = graph.data[graph.indices == last_copies[sources]]
    graph = graph + sparse.csr_array((moved, (nodes, nodes)), shape=graph.shape)
    sources = _sources(graph)
    graph.data[(graph.indices == last_copies[sources]) & (graph.indices != sources)] = 0
    return graph
