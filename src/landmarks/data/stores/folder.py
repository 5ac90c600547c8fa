"""Pictures in the extracted tree of GLDv2."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from landmarks.data.ids import format_id, parse_ids
from landmarks.data.stores.files import read_file
from landmarks.data.stores.store import ABSENT, IMAGE_NAME, MissingImageError


class FolderStore:
    """The extracted tree of GLDv2: `root/a/b/c/<id>.jpg`, a, b, c the first three digits of the id.

    Paths are computed, so that opening the store costs nothing.
    """

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)

    def locate(self, ids: NDArray[np.uint64]) -> NDArray[np.int32]:
        """See ImageStore. Lists each of the at most 4096 folders once rather than asking for every file."""
        found: list[str] = []
        for prefix in np.unique(ids >> np.uint64(52)):
            folder = self.root.joinpath(*f"{int(prefix):03x}")
            if folder.is_dir():
                names = (path.name for path in folder.iterdir())
                found.extend(match[1] for name in names if (match := IMAGE_NAME.fullmatch(name)))
        return np.where(np.isin(ids, parse_ids(found)), 0, ABSENT).astype(np.int32)

    def read(self, image_id: int, location: int = 0, length: int | None = None) -> bytes:
        """See ImageStore."""
        name = format_id(image_id)
        path = self.root / name[0] / name[1] / name[2] / f"{name}.jpg"
        try:
            return read_file(path, length)
        except OSError as error:
            raise MissingImageError(f"image {name}: cannot read {path} ({error.strerror})") from error
