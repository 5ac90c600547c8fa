"""The labelled images that have a descriptor, ordered by landmark: the input of cleaning.

Everything about the 4.1M images is in arrays. The descriptors, 8.5 GB at 512-d, stay on disk in the order in which they
were extracted; `read` returns some of them in the order of landmarks.
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
        landmarks: Indices into `landmark_names`, ascending, int32 [N].
        landmark_names: The label space, str [C].
        starts: int64 [C + 1]; landmark l has the images from `starts[l]` to before `starts[l + 1]`, perhaps none.
        rows: Row of each image in `descriptors`, int64 [N].
        descriptors: Descriptors as extracted, [M, D]; usually memory-mapped.
        not_embedded: Number of labelled images in the table without a descriptor, which are left out.
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
        """Number of images of each landmark, int64 [C]."""
        return np.diff(self.starts)

    def read(self, images: slice | NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the normalised descriptors of some images in the given order, float32 [B, D]."""
        rows = self.rows[images]
        order = np.argsort(rows)  # to read the disk sequentially
        block = np.empty((len(rows), self.descriptors.shape[1]), np.float32)
        block[order] = gather(self.descriptors, rows[order])
        return block


def match(table: ImageTable, stored: DescriptorSet) -> LandmarkImages:
    """Join a table of labels and a descriptor set by id; images without landmark (-1) or descriptor are left out.

    Args:
        table: Images and landmarks.
        stored: Descriptors of whole images.

    Returns:
        The images that have both.

    Raises:
        LandmarksError: The set has descriptors of regions, or of images that are not in the table, or of no labelled
            image.
    """
    protocol = stored.protocol
    if protocol.regions:
        raise LandmarksError(f"{stored.name}: contains descriptors of regions; give those of whole images")
    unknown = stored.ids[table.find(stored.ids) < 0]
    if len(unknown):
        raise LandmarksError(
            f"{stored.name}: {len(unknown)} of its {len(stored)} images are not in the table of train "
            f"images, first {format_id(int(unknown[0]))}; the set was made of "
            f"{protocol.data or 'an unnamed data set'}, {protocol.split or 'unnamed split'}: extract descriptors of "
            "this data set with data.source.train_split=train splits=[train]"
        )
    labelled = np.flatnonzero(table.landmarks >= 0)
    labelled = labelled[np.lexsort((table.ids[labelled], table.landmarks[labelled]))]
    rows = stored.rows(table.ids[labelled])
    here = labelled[rows >= 0]
    if not len(here):
        raise LandmarksError(f"{stored.name}: none of its images has a landmark; extract those of train.csv")
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
