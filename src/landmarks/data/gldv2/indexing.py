"""Brings the offset indexes of all splits of a data set up to date, one after the other."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from landmarks.data.gldv2.layout import FOLDERS, GLDv2Layout
from landmarks.data.stores.offset_table import NO_OFFSETS
from landmarks.data.stores.offsets import WORKERS, Update, update_offsets
from landmarks.errors import LandmarksError


@dataclass(frozen=True)
class IndexedSplit:
    """What came of a split.

    Attributes:
        split: "train", "index" or "test".
        offsets: The file of its index.
        update: What was done, and the index.
        seconds: That it took.
    """

    split: str
    offsets: Path
    update: Update
    seconds: float

    @property
    def size(self) -> int:
        """Bytes of the tars in the index."""
        return sum(tar.stamp.size for tar in self.update.offsets.tars)

    def as_json(self) -> dict[str, object]:
        """All of it, for programs."""
        update = self.update
        return {
            "split": self.split,
            "offsets": str(self.offsets),
            "tars": len(update.offsets.tars),
            "pictures": len(update.offsets),
            "bytes": self.size,
            "seconds": round(self.seconds, 3),
            "new": update.new,
            "changed": update.changed,
            "gone": update.gone,
            "refused": update.refused,
        }


def splits_with_tars(layout: GLDv2Layout, chosen: Sequence[str] | None = None) -> list[str]:
    """The splits to index, all that have tars if None is chosen.

    Raises:
        LandmarksError: There is no tar, or none of one that was chosen.
    """
    splits = [split for split in chosen or FOLDERS if layout.tars(split).names()]
    for split in chosen or ():
        if split not in splits:
            raise LandmarksError(f"{layout.root / split}: no tars there, expected {split}/images_000.tar and others")
    if not splits:
        raise LandmarksError(
            f"{layout.root}: no tars there, expected train/images_000.tar and others; `landmarks data download` "
            "fetches them, and extracted pictures need no index"
        )
    return splits


def index_splits(
    layout: GLDv2Layout,
    splits: Sequence[str],
    workers: int = WORKERS,
    rebuild: bool = False,
    on_tar: Callable[[str, str, int, int], None] | None = None,
) -> Iterator[IndexedSplit]:
    """Index one split after the other, also if one fails: see `Update.refused`.

    Args:
        layout: The data set.
        splits: See `splits_with_tars`.
        workers: See `update_offsets`.
        rebuild: See `update_offsets`.
        on_tar: Called with the name of a split and then as that of `update_offsets`.
    """
    for split in splits:
        start = time.perf_counter()
        path = layout.offsets(split)
        tell = None if on_tar is None else partial(on_tar, split)
        try:
            update = update_offsets(layout.tars(split), path, workers, rebuild, tell)
        except LandmarksError as error:
            update = Update(NO_OFFSETS, refused=(str(error),))
        yield IndexedSplit(split, path, update, time.perf_counter() - start)
