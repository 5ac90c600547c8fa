"""Where the files of Google Landmarks v2 lie below its root, and which of them are missing.

The layout is the one of https://github.com/cvdfoundation/google-landmark. The root is a folder or an address.
"""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from landmarks.data.roots import Root
from landmarks.data.stores import FolderStore, ImageStore, LocalTars, TarFiles, open_tar_store
from landmarks.storage import FOLDER, atomic_file, derived_folder

if TYPE_CHECKING:
    from landmarks.data.gldv2.remote import RemoteGLDv2

Task = Literal["retrieval", "recognition"]

FOLDERS = ("train", "index", "test")
# The tables that each split to train on needs.
TABLES = {
    "train": ("train",),
    "train_clean": ("train_clean",),
    "index": ("index", "index_image_to_landmark"),
    "train+index": ("train", "index", "index_image_to_landmark"),
}


@dataclass(frozen=True)
class LocalGLDv2:
    """The files below a folder of this machine, by names such as "metadata/train.csv"; `RemoteGLDv2` at an address."""

    root: Path

    def has(self, name: str) -> bool:
        """Return whether a file is there."""
        return (self.root / name).is_file()

    def path(self, name: str) -> Path:
        """Return the file, or its copy, on this machine; it need not be there."""
        return self.root / name

    def tars(self, folder: str) -> TarFiles:
        """Return the tars of a folder, perhaps none."""
        return LocalTars(self.root / folder)

    def offsets(self, folder: str) -> Path:
        """Return their offset index, perhaps absent or old; a cache in place of the folder begins with a copy of it."""
        name = f"offsets/{folder}.safetensors"
        path, beside = derived_folder(self.root) / name, self.root / FOLDER / name
        if not path.exists() and beside.is_file():
            with beside.open("rb") as source, atomic_file(path) as copy:
                shutil.copyfileobj(source, copy)
        return path

    def is_extracted(self, folder: str) -> bool:
        """Return whether a folder holds an extracted tree."""
        return any((self.root / folder / digit).is_dir() for digit in "0123456789abcdef")

    def extracted(self, folder: str) -> ImageStore:
        """Return the extracted tree."""
        return FolderStore(self.root / folder)


@dataclass(frozen=True)
class GLDv2Layout:
    """What lies below `root`. At an address, all methods raise a LandmarksError if there is no answer.

    Tables and ground truth of an address are copied to `derived_folder(root)` when they are first asked for, and
    again when they have changed there.
    """

    root: Root

    @cached_property
    def _files(self) -> "LocalGLDv2 | RemoteGLDv2":
        if isinstance(self.root, Path):
            return LocalGLDv2(self.root)
        from landmarks.data.gldv2.remote import RemoteGLDv2  # its libraries take as long to import as all the rest

        return RemoteGLDv2(self.root)

    def table(self, name: str) -> Path:
        """A CSV file of the metadata folder, e.g. "train_clean"; it need not be there."""
        return self._files.path(_table(name))

    def has_table(self, name: str) -> bool:
        """Whether `table(name)` is there."""
        return self._files.has(_table(name))

    def solution(self, task: Task) -> Path:
        """The v2.1 ground truth of a task; it need not be there."""
        return self._files.path(_solution(task))

    def solution_address(self, task: Task) -> str:
        """Where the ground truth of a task belongs, for messages."""
        return str(self.root / _solution(task))

    def has_solution(self, task: Task) -> bool:
        """Whether `solution(task)` is there."""
        return self._files.has(_solution(task))

    def tars(self, folder: str) -> TarFiles:
        """The tars of "train", "index" or "test"."""
        return self._files.tars(folder)

    def offsets(self, folder: str) -> Path:
        """The offset index of these tars; it need not be there or up to date."""
        return self._files.offsets(folder)

    def open_store(self, folder: str) -> ImageStore:
        """The images of "train", "index" or "test": out of its tars if there are any, else extracted."""
        tars = self.tars(folder)
        if not tars.names():
            return self._files.extracted(folder)
        return open_tar_store(tars, self.offsets(folder))

    def missing(self, splits: Sequence[str], evaluation: bool = True) -> dict[str, list[str]]:
        """What these splits, and evaluation, need and that is not there, by what `landmarks data download` calls it."""
        names = {name for split in splits for name in TABLES[split]} | ({"index", "test"} if evaluation else set())
        evaluated = ("index", "test") if evaluation else ()
        folders = [folder for folder in FOLDERS if folder in evaluated or any(folder in split for split in splits)]
        absent = {"metadata": [str(self.root / _table(name)) for name in sorted(names) if not self.has_table(name)]}
        for folder in folders:
            if not self.tars(folder).names() and not self._files.is_extracted(folder):
                absent[folder] = [f"{self.root / folder}: no tar and no extracted folder"]
        return {split: lines for split, lines in absent.items() if lines}


def _table(name: str) -> str:
    return f"metadata/{name}.csv"


def _solution(task: Task) -> str:
    return f"ground_truth/{task}_solution_v2.1.csv"
