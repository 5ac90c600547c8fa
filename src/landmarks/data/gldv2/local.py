"""Google Landmarks v2 in a folder of this machine, and the choice between that and an address."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from landmarks.data.gldv2.layout import GLDv2Layout
from landmarks.data.roots import Root
from landmarks.data.stores import FolderStore, ImageStore, LocalTars, TarFiles
from landmarks.ids import HEX_DIGITS
from landmarks.storage import FOLDER, atomic_file, derived_folder


def open_layout(root: Root) -> GLDv2Layout:
    """Return what lies below a folder or an address; nothing is looked for yet."""
    if isinstance(root, Path):
        return _LocalGLDv2(root)
    from landmarks.data.gldv2.remote import RemoteGLDv2  # its libraries take as long to import as all the rest

    return RemoteGLDv2(root)


@dataclass(frozen=True)
class _LocalGLDv2(GLDv2Layout):
    """The files below a folder of this machine."""

    root: Path

    def has(self, name: str) -> bool:
        return (self.root / name).is_file()

    def path(self, name: str) -> Path:
        return self.root / name

    def tars(self, folder: str) -> TarFiles:
        return LocalTars(self.root / folder)

    def offsets(self, folder: str) -> Path:
        """A cache in place of the folder's own begins with a copy of that one."""
        name = f"offsets/{folder}.safetensors"
        path, beside = derived_folder(self.root) / name, self.root / FOLDER / name
        if not path.exists() and beside.is_file():
            with beside.open("rb") as source, atomic_file(path) as copy:
                shutil.copyfileobj(source, copy)
        return path

    def is_extracted(self, folder: str) -> bool:
        return any((self.root / folder / digit).is_dir() for digit in HEX_DIGITS)

    def extracted(self, folder: str) -> ImageStore:
        return FolderStore(self.root / folder)
