"""The offline half of diffusion: from every image over its nearest neighbours, before any query comes.

Yang et al., AAAI 2019, section 3: for image i, rows and columns of its nearest neighbours are taken from the graph
that was normalised as a whole, and ``(I - alpha S) f = e_i`` is solved there. Kept in the cache chunk by chunk: 6 GB
for 761,757 images with 1000 places, which neither memory nor a second run should pay for.
"""

from dataclasses import asdict, dataclass
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from landmarks.retrieval.blocks import Descriptors
from landmarks.retrieval.cache import Column
from landmarks.retrieval.diffusion.copies import last_copies, later_first, stand_in
from landmarks.retrieval.diffusion.graph import knn_graph
from landmarks.retrieval.diffusion.truncated import similar_together, truncated_solve
from landmarks.retrieval.ranking import Ranking
from landmarks.retrieval.resources import Resources
from landmarks.retrieval.search.neighbours import all_neighbours

# Images between two moments at which a kill loses nothing.
CHUNK = 8192


@dataclass(frozen=True)
class OfflineParameters:
    """How to diffuse; what the rows depend on besides descriptors and searcher.

    Attributes:
        k: neighbours of an image in the graph, itself counted as in the published code.
        truncation: images that diffusion from one image may reach, itself counted.
        gamma: power of the similarities in the graph.
        alpha: share of its value that an image takes from its neighbours.
        iterations: steps of conjugate gradients at most.
        tolerance: relative residual that is good enough.
    """

    k: int
    truncation: int
    gamma: float
    alpha: float
    iterations: int
    tolerance: float


class DiffusedRows(NamedTuple):
    """A sparse [N, N] matrix with T places a row, the rows of images that are near to each other close together.

    Attributes:
        row_of: int64 [N], the row that is the diffusion from each image.
        columns: int32 [N, T], where diffusion starts, then the nearest neighbours; -1 = empty.
        values: float32 [N, T], 0 where nothing arrives.
    """

    row_of: NDArray[np.int64]
    columns: NDArray[np.int32]
    values: NDArray[np.float32]


def diffused_rows(database: Descriptors, parameters: OfflineParameters, resources: Resources) -> DiffusedRows:
    """Diffuse from every image of a set, out of the cache or made now; memory-mapped.

    Of images with identical descriptors the last one stands for all, see `landmarks.retrieval.diffusion.copies`.

    Args:
        database: [N, D].
        parameters: how.
        resources: neighbours, cache, workers.

    Returns:
        Rows of T = min(truncation, N) places, 8 bytes each on the disk.

    Raises:
        LandmarksError: a bad descriptor, or no room for the cache.
    """
    num_images = len(database)
    places = max(1, min(parameters.truncation, num_images))
    prepare = cache(lambda: _prepare(database, parameters, resources))  # not at all where the rows are found

    def make(start: int, stop: int) -> dict[str, NDArray[Any]]:
        graph, last, others, order = prepare()
        images = order[start:stop]
        near = later_first(Ranking(others.indices[images], others.scores[images])).indices[:, : places - 1]
        columns = stand_in(np.column_stack([images, near]), last[images])
        solver = (parameters.alpha, parameters.iterations, parameters.tolerance)
        values = truncated_solve(graph, columns, *solver, resources.workers)
        return {"images": images, "columns": columns, "values": values}

    rows = resources.cache.rows(
        "diffused",
        num_images,
        {"images": Column(np.int32), "columns": Column(np.int32, (places,)), "values": Column(np.float32, (places,))},
        make,
        CHUNK,
        [database],
        {**asdict(parameters), "truncation": places, "searcher": resources.neighbours.signature()},
    )
    row_of = np.argsort(rows["images"])
    return DiffusedRows(row_of, np.asarray(rows["columns"]), np.asarray(rows["values"]))


def _prepare(
    database: Descriptors, parameters: OfflineParameters, resources: Resources
) -> tuple[sparse.csr_array, NDArray[np.int32], Ranking, NDArray[np.int32]]:
    """Graph, last copies [N], nearest others of every image, and the order [N] of the rows."""
    depth = min(max(parameters.truncation, parameters.k), len(database)) - 1
    others = all_neighbours(database, max(1, depth), resources)
    nearest = Ranking.empty(len(database), min(parameters.k - 1, others.depth))
    for start in range(0, len(database), CHUNK):
        rows = slice(start, start + CHUNK)
        part = later_first(Ranking(others.indices[rows], others.scores[rows]))
        nearest.indices[rows], nearest.scores[rows] = part.indices[:, : nearest.depth], part.scores[:, : nearest.depth]
    last = last_copies(database)
    graph = knn_graph(nearest, parameters.gamma, last)
    return graph, last, others, similar_together(graph)
