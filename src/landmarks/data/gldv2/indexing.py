"""Makes or updates the offset indexes of all splits of a data set."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from landmarks.data.gldv2.layout import GLDv2Layout
from landmarks.data.gldv2.local import open_layout
from landmarks.data.gldv2.release import FOLDERS
from landmarks.data.roots import Root
from landmarks.data.stores import NO_OFFSETS, WORKERS, OnTar, Update, update_offsets
from landmarks.errors import LandmarksError
from landmarks.progress import Progress


@dataclass(frozen=True)
class IndexedSplit:
    """The result of indexing a split.

    Attributes:
        split: "train", "index" or "test".
        offsets: The file of the index.
        update: The index and what has changed in it.
        seconds: How long it took.
    """

    split: str
    offsets: Path
    update: Update
    seconds: float

    @property
    def size(self) -> int:
        """Total size of the tars in the index, bytes."""
        return sum(tar.stamp.size for tar in self.update.offsets.tars)

    def as_json(self) -> dict[str, object]:
        """Return the result as JSON values."""
        update = self.update
        return {
            "split": self.split,
            "offsets": str(self.offsets),
            "tars": len(update.offsets.tars),
            "images": len(update.offsets),
            "bytes": self.size,
            "seconds": round(self.seconds, 3),
            "new": update.new,
            "changed": update.changed,
            "gone": update.gone,
            "refused": update.refused,
        }


def index_splits(
    root: Root,
    progress: Progress,
    chosen: Sequence[str] | None = None,
    workers: int = WORKERS,
    rebuild: bool = False,
) -> list[IndexedSplit]:
    """Make or update the offset indexes of some splits; a failure does not stop the others.

    Args:
        root: The folder or address of the data set.
        progress: Shows the progress.
        chosen: The splits to index; None indexes all that have tars.
        workers: Number of tars read at the same time.
        rebuild: Whether to read unchanged tars too.

    Returns:
        A result for each split; failures are in `update.refused`.

    Raises:
        LandmarksError: There are no tars.
    """
    layout, done = open_layout(root), []
    for split in _splits_with_tars(layout, chosen):
        start = time.perf_counter()
        path = layout.offsets(split)
        try:
            update = update_offsets(layout.tars(split), path, workers, rebuild, show_tars(progress, split))
        except LandmarksError as error:
            update = Update(NO_OFFSETS, refused=(str(error),))
        done.append(IndexedSplit(split, path, update, time.perf_counter() - start))
    return done


def show_tars(progress: Progress, split: str) -> OnTar:
    """Return a callback for `update_offsets` that shows how many tars of a split are read."""
    return lambda name, done, total: progress.show(f"reading headers of {split}", done, total, "tars")


def _splits_with_tars(layout: GLDv2Layout, chosen: Sequence[str] | None) -> list[str]:
    splits = [split for split in chosen or FOLDERS if layout.tars(split).names()]
    for split in chosen or ():
        if split not in splits:
            raise LandmarksError(f"{layout.root / split}: contains no tars, expected images_000.tar and others")
    if not splits:
        raise LandmarksError(
            f"{layout.root}: contains no tars, expected train/images_000.tar and others; `landmarks data download` "
            "downloads them; extracted images need no index"
        )
    return splits
