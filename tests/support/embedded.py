"""Small descriptor sets on disk and a stage that asks for images, for tests of what reads and runs them."""

from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from landmarks.retrieval import Need, Resources, SearchState
from landmarks.retrieval.descriptors import DescriptorSet, DescriptorWriter, ExtractionProtocol


def write_set(
    folder: Path, ids: NDArray[np.uint64], descriptors: NDArray[np.float32], weights: str = "w", regions: int = 0
) -> DescriptorSet:
    protocol = ExtractionProtocol(model="m", weights=weights, input_size=64, resize="square", regions=regions)
    with DescriptorWriter(folder, len(ids), descriptors.shape[1], protocol) as writer:
        writer.add(ids, descriptors)
        return writer.finish()


class LooksAtImages:
    """Changes nothing."""

    needs: ClassVar[frozenset[Need]] = frozenset({"images"})

    def __call__(self, state: SearchState, resources: Resources) -> SearchState:
        assert state.query_images is not None and state.query_images.read(0)[:2] == b"\xff\xd8"
        return state
