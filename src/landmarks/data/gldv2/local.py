"""Google Landmarks v2 in a folder of this machine."""

from dataclasses import dataclass
from pathlib import Path

from landmarks.data.derived import derived_folder
from landmarks.data.stores.folder import FolderStore
from landmarks.data.stores.tar_files import LocalTars


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
        """See Files."""
        return derived_folder(self.root) / "offsets" / f"{folder}.safetensors"

    def is_extracted(self, folder: str) -> bool:
        """See Files."""
        return any((self.root / folder / digit).is_dir() for digit in "0123456789abcdef")

    def extracted(self, folder: str) -> FolderStore:
        """See Files."""
        return FolderStore(self.root / folder)
