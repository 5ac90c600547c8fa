"""Evaluation batches of one shape, where pictures keep their aspect ratio and have many shapes."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Sampler

from landmarks.errors import LandmarksError


class ShapeBatches(Sampler[list[int]]):
    """Each row of an evaluation set in exactly one batch of one rank, without padding; a batch has one shape.

    Batches of many pixels come first: what does not fit into memory fails at once. Ranks take turns, and so
    have about as much to do.

    Which rows make a batch depends on neither the ranks nor on what is done already: the last digits of a descriptor
    depend on its batch, and an interrupted extraction shall end with the same ones.

    Args:
        shapes: Height and width of each picture as the network gets it, int [N, 2], or those of several views of
            it side by side, [N, 2 * views]. Where all are alike, batches keep the order of the table.
        batch_size: Most pictures in a batch of one rank.
        rank: This process, 0 <= rank < world_size.
        world_size: Processes that share the set.
        done: Rows to leave out, bool [N]; None for none.
    """

    def __init__(
        self,
        shapes: NDArray[np.integer],
        batch_size: int,
        rank: int = 0,
        world_size: int = 1,
        done: NDArray[np.bool_] | None = None,
    ) -> None:
        if batch_size < 1 or not 0 <= rank < world_size:
            raise LandmarksError(f"batch_size {batch_size}, rank {rank} of {world_size}: not possible")
        pixels = (shapes[:, ::2].astype(np.int64) * shapes[:, 1::2]).sum(axis=1)
        order = np.lexsort((*shapes.T, -pixels))  # stable: rows of a shape stay in the order of the table
        bounds = np.flatnonzero(np.any(np.diff(shapes[order], axis=0), axis=1)) + 1
        batches = [
            rows[start : start + batch_size]
            for rows in np.split(order, bounds)
            for start in range(0, len(rows), batch_size)
        ]
        batches.sort(key=lambda rows: -len(rows) * int(pixels[rows[0]]) if len(rows) else 0)
        if done is not None:
            batches = [rows[~done[rows]] for rows in batches]
        self._batches = [rows for rows in batches if len(rows)][rank::world_size]

    def __len__(self) -> int:
        return len(self._batches)

    def __iter__(self) -> Iterator[list[int]]:
        return (rows.tolist() for rows in self._batches)
