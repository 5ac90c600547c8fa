"""Writes a descriptor set that is computed from others, such as a joined or a whitened one, block by block."""

from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from landmarks.errors import LandmarksError
from landmarks.retrieval.blocks import MIB, Descriptors, rows_in_budget
from landmarks.retrieval.descriptors.descriptor_set import DescriptorSet
from landmarks.retrieval.descriptors.protocol import ExtractionProtocol
from landmarks.retrieval.descriptors.writer import DescriptorWriter
from landmarks.retrieval.progress import Progress

BLOCK_BYTES = 32 * MIB

Precision = Literal["float32", "float16"]


def write_derived(
    folder: str | Path,
    ids: NDArray[np.uint64],
    dim: int,
    protocol: ExtractionProtocol,
    dtype: Precision,
    make: Callable[[int, int], Descriptors],
) -> DescriptorSet:
    """Write a set and open it; one that was interrupted goes on where it stopped.

    Args:
        folder: of the finished set; must not exist yet.
        ids: uint64 [N], its pictures in order.
        dim: D.
        protocol: what makes it.
        dtype: on disk.
        make: (first row, one past the last) -> rows [B, D]; the same rows whatever the block.

    Raises:
        LandmarksError: a finished or a different unfinished set is there, no pictures, or a full disk.
    """
    rows = rows_in_budget(8 * dim, BLOCK_BYTES)
    with DescriptorWriter(folder, len(ids), dim, protocol, dtype) as writer:
        writer.cut(len(writer.done) // rows * rows)  # the same blocks, hence the same bits, as without a kill
        done = len(writer.done)
        if not np.array_equal(writer.done, ids[:done]):
            raise LandmarksError(
                f"{writer.partial}: the unfinished set there is of other pictures: remove it or choose another name"
            )
        progress = Progress(f"rows of {Path(folder).name}", len(ids), done)
        for start in range(done, len(ids), rows):
            stop = min(start + rows, len(ids))
            writer.add(ids[start:stop], make(start, stop))
            progress.advance(stop - start)
        return writer.finish()
