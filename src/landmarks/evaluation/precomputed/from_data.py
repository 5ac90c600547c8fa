"""What a data set knows about given descriptors by the ids of their pictures: ground truth, pictures, landmarks.

Only the source is built, without the batches of training, and only what is asked for is opened: ground truth needs a
few small files, pictures and gallery landmarks need the whole data set.
"""

from pathlib import Path

import numpy as np
from hydra.utils import instantiate
from numpy.typing import NDArray
from omegaconf import DictConfig

from landmarks.data.held_out import HeldOut, HeldOutSource
from landmarks.data.roots import open_root
from landmarks.data.source import ImageSet, Source
from landmarks.errors import LandmarksError
from landmarks.ids import format_id


def open_source(data: DictConfig) -> Source:
    """The source that ``data`` names by its keys `source`, `root` and `held_out`.

    Raises:
        LandmarksError: a folder that is not there.
    """
    root = open_root(data.root)
    if isinstance(root, Path) and not root.is_dir():
        raise LandmarksError(f"data.root={root}: there is no such folder, and descriptors.use_data asks for it")
    source: Source = instantiate(data.source)(root)
    held_out: HeldOut = instantiate(data.held_out)
    return HeldOutSource(source, held_out) if held_out.landmarks else source


def pictures_by_id(images: ImageSet, ids: NDArray[np.uint64], key: str) -> ImageSet:
    """The pictures of some ids, in their order.

    Args:
        images: where to look.
        ids: uint64 [N].
        key: whose ids these are, for the message.

    Raises:
        LandmarksError: ids that are not there (count and first one).
    """
    rows = images.table.find(ids)
    missing = np.flatnonzero(rows < 0)
    if len(missing):
        raise LandmarksError(
            f"{key}: {len(missing)} of {len(ids)} pictures are not in the data set, the first is "
            f"{format_id(ids[missing[0]])}; is data=… the right one?"
        )
    return images.take(rows)
