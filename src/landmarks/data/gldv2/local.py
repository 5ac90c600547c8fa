"""Google Landmarks v2 in a local folder, and the choice between a folder and an address."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from landmarks.data.gldv2.layout import GLDv2Layout
from landmarks.data.roots import Root
from landmarks.data.stores import FolderStore, ImageStore, LocalTars, TarFiles
from landmarks.ids import HEX_DIGITS
from landmarks.storage import FOLDER, atomic_file, derived_folder


def open_layout(root: Root) -> GLDv2Layout:
    """Return access to the files of the data set below a folder or an address, without looking for any yet."""
    if isinstance(root, Path):
        return _LocalGLDv2(root)
    from landmarks.data.gldv2.remote import RemoteGLDv2  # imports slow libraries

    return RemoteGLDv2(root)


@dataclass(frozen=True)
class _LocalGLDv2(GLDv2Layout):
    """The files below a local folder."""

    root: Path

    def has(self, name: str) -> bool:
        return (self.root / name).is_file()

    def path(self, name: str) -> Path:
        return self.root / name

    def tars(self, folder: str) -> TarFiles:
        return LocalTars(self.root / folder)

    def offsets(self, folder: str) -> Path:
        """See GLDv2Layout. If the cache is elsewhere and empty, the index beside the tars is copied into it."""
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
