"""Where the files of Google Landmarks v2 lie below its root, and which of them are missing.

The layout is the one of https://github.com/cvdfoundation/google-landmark.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from landmarks.data.stores.folder import FolderStore
from landmarks.data.stores.store import ImageStore
from landmarks.data.stores.tars import TarStore

Task = Literal["retrieval", "recognition"]

DOWNLOAD = "https://s3.amazonaws.com/google-landmark"
# The tables that each split to train on needs.
TABLES = {
    "train": ("train",),
    "train_clean": ("train_clean",),
    "index": ("index", "index_image_to_landmark"),
    "train+index": ("train", "index", "index_image_to_landmark"),
}


@dataclass(frozen=True)
class GLDv2Layout:
    """Paths below `root`."""

    root: Path

    def table(self, name: str) -> Path:
        """A CSV file of the metadata folder, e.g. "train_clean"; it need not be there."""
        return self.root / "metadata" / f"{name}.csv"

    def has_table(self, name: str) -> bool:
        """Whether `table(name)` is there."""
        return self.table(name).is_file()

    def solution(self, task: Task) -> Path:
        """The v2.1 ground truth of a task; it need not be there."""
        return self.root / "ground_truth" / f"{task}_solution_v2.1.csv"

    def has_solution(self, task: Task) -> bool:
        """Whether `solution(task)` is there."""
        return self.solution(task).is_file()

    def tars(self, folder: str) -> list[Path]:
        """The tars of "train", "index" or "test"."""
        return sorted(path for path in (self.root / folder).glob("*.tar") if not path.name.startswith("."))

    def open_store(self, folder: str) -> ImageStore:
        """The images of "train", "index" or "test": out of its tars if there are any, else extracted."""
        tars = self.tars(folder)
        return TarStore(tars) if tars else FolderStore(self.root / folder)

    def missing(self, splits: Iterable[str]) -> list[str]:
        """The files that evaluation and these splits need and that are not there, each with a hint."""
        names = sorted({name for split in splits for name in TABLES[split]} | {"index", "test"})
        lines = [
            f"{self.table(name)} (download {DOWNLOAD}/metadata/{name}.csv)"
            for name in names
            if not self.has_table(name)
        ]
        for folder in ("train", "index", "test"):
            extracted = any((self.root / folder / digit).is_dir() for digit in "0123456789abcdef")
            if not extracted and not self.tars(folder):
                lines.append(
                    f"{self.root / folder}: no tar and no extracted folder "
                    f"(download {DOWNLOAD}/{folder}/images_000.tar and those that follow)"
                )
        return lines
