"""The labelled images that have a descriptor, landmark by landmark: what cleaning looks at.

Everything about 4.1M images is an array. The descriptors, 8.5 GB at 512-d, stay on disk in the order in which they
were extracted; `read` takes some of them in the order of landmarks.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from landmarks.data import ImageTable
from landmarks.errors import LandmarksError
from landmarks.ids import format_id
from landmarks.retrieval import Descriptors, DescriptorSet, check_rows, gather


@dataclass(frozen=True, eq=False)
class LandmarkImages:
    """Images in ascending order of landmark, then of id.

    Attributes:
        ids: uint64 [N].
        landmarks: int32 [N], ascending, indices into `landmark_names`, str [C].
        starts: int64 [C + 1]; landmark l has the images `starts[l]` to `starts[l + 1]`, perhaps none.
        rows: int64 [N], the row of each image in `descriptors` [M, D], as extracted; usually memory-mapped.
        not_embedded: how many images of the table have no descriptor and are not among these.
    """

    ids: NDArray[np.uint64]
    landmarks: NDArray[np.int32]
    landmark_names: NDArray[np.str_]
    starts: NDArray[np.int64]
    rows: NDArray[np.int64]
    descriptors: Descriptors
    not_embedded: int

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def counts(self) -> NDArray[np.int64]:
        """Images of each landmark, int64 [C]."""
        return np.diff(self.starts)

    def read(self, images: slice | NDArray[np.int64]) -> NDArray[np.float32]:
        """Descriptors of length one, float32 [B, D], of some images in the given order."""
        rows = self.rows[images]
        order = np.argsort(rows)  # a disk is read forwards
        block = np.empty((len(rows), self.descriptors.shape[1]), np.float32)
        block[order] = gather(self.descriptors, rows[order])
        return block


def match(table: ImageTable, stored: DescriptorSet) -> LandmarkImages:
    """Join a table of labels and a descriptor set by id; images without landmark (-1) or descriptor are left out."""
    protocol = stored.protocol
    if protocol.regions:
        raise LandmarksError(f"{stored.name}: holds descriptors of regions; give those of whole images")
    unknown = stored.ids[table.find(stored.ids) < 0]
    if len(unknown):
        raise LandmarksError(
            f"{stored.name}: {len(unknown)} of its {len(stored)} images are not in the table of train "
            f"images, the first is {format_id(int(unknown[0]))}; the set was made of "
            f"{protocol.data or 'an unnamed data set'}, {protocol.split or 'unnamed split'}: extract this data set's "
            "with data.source.train_split=train splits=[train]"
        )
    labelled = np.flatnonzero(table.landmarks >= 0)
    labelled = labelled[np.lexsort((table.ids[labelled], table.landmarks[labelled]))]
    rows = stored.rows(table.ids[labelled])
    here = labelled[rows >= 0]
    if not len(here):
        raise LandmarksError(f"{stored.name}: no image of it has a landmark")
    check_rows(stored.descriptors, stored.name, normalize=True)
    landmarks = table.landmarks[here]
    return LandmarkImages(
        table.ids[here],
        landmarks,
        table.landmark_names,
        np.searchsorted(landmarks, np.arange(table.num_landmarks + 1)),
        rows[rows >= 0],
        stored.descriptors,
        not_embedded=len(labelled) - len(here),
    )
