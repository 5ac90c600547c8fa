"""Google Landmarks v2 in a folder of this machine."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from landmarks.data.stores.folder import FolderStore
from landmarks.data.stores.tar_files import LocalTars
from landmarks.storage import FOLDER, derived_folder
from landmarks.storage.atomic_file import atomic_file


@dataclass(frozen=True)
class LocalGLDv2:
    """The files below `root`, by names such as "metadata/train.csv". See Files."""

    root: Path

    def has(self, name: str) -> bool:
        """See Files."""
        return (self.root / name).is_file()

    def path(self, name: str) -> Path:
        """See Files."""
        return self.root / name

    def tars(self, folder: str) -> LocalTars:
        """See Files."""
        return LocalTars(self.root / folder)

    def offsets(self, folder: str) -> Path:
        """See Files. Where the cache takes the place of a folder that cannot be written, it begins with a copy."""
        name = f"offsets/{folder}.safetensors"
        path, beside = derived_folder(self.root) / name, self.root / FOLDER / name
        if not path.exists() and beside.is_file():
            with beside.open("rb") as source, atomic_file(path) as copy:
                shutil.copyfileobj(source, copy)
        return path

    def is_extracted(self, folder: str) -> bool:
        """See Files."""
        return any((self.root / folder / digit).is_dir() for digit in "0123456789abcdef")

    def extracted(self, folder: str) -> FolderStore:
        """See Files."""
        return FolderStore(self.root / folder)
