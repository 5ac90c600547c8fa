"""Where the files of Google Landmarks v2 lie below its root, and which of them are missing.

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

# The tables that each split to train on needs.
TABLES = {
    "train": ("train",),
    "train_clean": ("train_clean",),
    "index": ("index", "index_image_to_landmark"),
    "train+index": ("train", "index", "index_image_to_landmark"),
}


class GLDv2Layout(ABC):
    """What lies below `root`, made by `open_layout`.

    At an address, all methods raise a LandmarksError if there is no answer; tables and ground truth are copied to
    `derived_folder(root)` when they are first asked for, and again when they have changed there.
    """

    root: Root

    @abstractmethod
    def has(self, name: str) -> bool:
        """Return whether a file is there, by its name below the root."""

    @abstractmethod
    def path(self, name: str) -> Path:
        """Return a file, or its copy, on this machine; it need not be there."""

    @abstractmethod
    def tars(self, folder: str) -> TarFiles:
        """Return the tars of "train", "index" or "test", perhaps none."""

    @abstractmethod
    def offsets(self, folder: str) -> Path:
        """Return the offset index of these tars; it need not be there or up to date."""

    @abstractmethod
    def is_extracted(self, folder: str) -> bool:
        """Return whether a folder holds an extracted tree."""

    @abstractmethod
    def extracted(self, folder: str) -> ImageStore:
        """Return the extracted tree."""

    def table(self, name: str) -> Path:
        """Return a CSV file of the metadata folder, e.g. "train_clean"; it need not be there."""
        return self.path(_table(name))

    def has_table(self, name: str) -> bool:
        """Return whether `table(name)` is there."""
        return self.has(_table(name))

    def solution(self, task: Task) -> Path:
        """Return the v2.1 ground truth of a task; it need not be there."""
        return self.path(solution_name(task))

    def has_solution(self, task: Task) -> bool:
        """Return whether `solution(task)` is there."""
        return self.has(solution_name(task))

    def open_store(self, folder: str) -> ImageStore:
        """Open the images of "train", "index" or "test": out of its tars if there are any, else extracted."""
        tars = self.tars(folder)
        return open_tar_store(tars, self.offsets(folder)) if tars.names() else self.extracted(folder)

    def missing(self, splits: Sequence[str], evaluation: bool = True) -> dict[str, list[str]]:
        """List what these splits, and evaluation, need and lack, by what `landmarks data download` calls it."""
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
    """Return where the ground truth of a task lies below the root."""
    return f"ground_truth/{task}_solution_v2.1.csv"
