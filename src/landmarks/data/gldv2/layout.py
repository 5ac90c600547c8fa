"""The paths of the files of Google Landmarks v2 below its root, and which of them are missing.

The layout is the one of https://github.com/cvdfoundation/google-landmark. The root is a folder or an address.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from landmarks.data.gldv2.release import FOLDERS
from landmarks.data.roots import Root
from landmarks.data.stores import ImageStore, TarFiles, open_tar_store

Task = Literal["retrieval", "recognition"]

# The tables that each training split needs.
TABLES = {
    "train": ("train",),
    "train_clean": ("train_clean",),
    "index": ("index", "index_image_to_landmark"),
    "train+index": ("train", "index", "index_image_to_landmark"),
}


class GLDv2Layout(ABC):
    """The files below `root`, opened by `open_layout`.

    At an address, all methods raise LandmarksError if the server does not answer; tables and ground truth are copied to
    `derived_folder(root)` when they are first used, and again when they have changed.
    """

    root: Root

    @abstractmethod
    def has(self, name: str) -> bool:
        """Return whether a file exists, by its name below the root."""

    @abstractmethod
    def path(self, name: str) -> Path:
        """Return the local path of a file or its copy; it need not exist."""

    @abstractmethod
    def tars(self, folder: str) -> TarFiles:
        """Return the tars of "train", "index" or "test"; there may be none."""

    @abstractmethod
    def offsets(self, folder: str) -> Path:
        """Return the path of the offset index of these tars; it need not exist or be up to date."""

    @abstractmethod
    def is_extracted(self, folder: str) -> bool:
        """Return whether a folder contains an extracted tree."""

    @abstractmethod
    def extracted(self, folder: str) -> ImageStore:
        """Return the extracted tree."""

    def table(self, name: str) -> Path:
        """Return the path of a CSV file in the metadata folder, e.g. "train_clean"; it need not exist."""
        return self.path(_table(name))

    def has_table(self, name: str) -> bool:
        """Return whether `table(name)` exists."""
        return self.has(_table(name))

    def solution(self, task: Task) -> Path:
        """Return the path of the v2.1 ground truth of a task; it need not exist."""
        return self.path(solution_name(task))

    def has_solution(self, task: Task) -> bool:
        """Return whether `solution(task)` exists."""
        return self.has(solution_name(task))

    def open_store(self, folder: str) -> ImageStore:
        """Open the images of "train", "index" or "test", in its tars if there are any, else in the extracted tree."""
        tars = self.tars(folder)
        return open_tar_store(tars, self.offsets(folder)) if tars.names() else self.extracted(folder)

    def missing(self, splits: Sequence[str], evaluation: bool = True) -> dict[str, list[str]]:
        """Return the missing files that training on these splits and evaluation need, by the split to download."""
        names = {name for split in splits for name in TABLES[split]} | ({"index", "test"} if evaluation else set())
        evaluated = ("index", "test") if evaluation else ()
        folders = [folder for folder in FOLDERS if folder in evaluated or any(folder in split for split in splits)]
        absent = {"metadata": [str(self.root / _table(name)) for name in sorted(names) if not self.has_table(name)]}
        for folder in folders:
            if not self.tars(folder).names() and not self.is_extracted(folder):
                absent[folder] = [f"{self.root / folder}: no tar and no extracted folder"]
        return {split: lines for split, lines in absent.items() if lines}


def _table(name: str) -> str:
    return f"metadata/{name}.csv"


def solution_name(task: Task) -> str:
    """Return the path of the ground truth of a task below the root."""
    return f"ground_truth/{task}_solution_v2.1.csv"
