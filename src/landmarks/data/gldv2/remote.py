"""Google Landmarks v2 at an address: images are read by byte range, tables and offset indexes are copied locally."""

import logging
import re
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path

from upath import UPath

from landmarks.data.gldv2.layout import GLDv2Layout
from landmarks.data.stores import (
    RemoteFiles,
    RemoteFolderStore,
    RemoteTars,
    exists,
    fetch_copy,
    find_tars,
    read_offsets,
    unreachable,
)
from landmarks.errors import LandmarksError
from landmarks.ids import HEX_DIGITS
from landmarks.storage import FOLDER, derived_folder

FIRST = "metadata/test.csv"
_ID = re.compile(rb"[\n,]([0-9a-f]{16})\b")

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RemoteGLDv2(GLDv2Layout):
    """The files below an address; errors name the address if the server does not answer."""

    root: UPath
    _tars: dict[str, RemoteTars] = field(default_factory=dict, init=False, compare=False)

    @cached_property
    def files(self) -> RemoteFiles:
        """Access to the files, after a short test request, so that a misspelt host fails quickly."""
        files = RemoteFiles(self.root)
        hasty = replace(files, retry=replace(files.retry, attempts=2), timeout=10.0)
        try:
            with suppress(FileNotFoundError):  # the server answers; missing files are listed later
                hasty.stamp(FIRST)
                hasty.read(FIRST, 0, 1)  # an error if the server ignores byte ranges and would send whole tars
        except PermissionError as error:
            log.warning("%s: %s; some servers answer this for missing files", files.address(FIRST), error.strerror)
        except OSError as error:
            raise unreachable(files.address(FIRST), error) from error
        return files

    def has(self, name: str) -> bool:
        """See GLDv2Layout."""
        try:
            return exists(self.files, name)
        except OSError as error:
            raise unreachable(self.files.address(name), error) from error

    def path(self, name: str) -> Path:
        """See GLDv2Layout. The file is copied to this machine if it exists."""
        return self._copy(name, name)

    def tars(self, folder: str) -> RemoteTars:
        """See GLDv2Layout."""
        if folder not in self._tars:
            try:
                self._tars[folder] = find_tars(self.files, folder, partial(self._indexed_tars, folder))
            except OSError as error:
                raise unreachable(self.files.address(folder), error) from error
        return self._tars[folder]

    def offsets(self, folder: str) -> Path:
        """See GLDv2Layout. An index uploaded with the tars is copied to this machine."""
        path = self._copy_offsets(folder)
        if not path.exists():
            log.warning(
                "%s has no %s, so the headers of all its tars are read once over the network to make %s; to avoid "
                "this, run `landmarks data index` on a machine with the tars and upload the %s folder that it makes",
                self.root,
                _offsets(folder),
                path,
                FOLDER,
            )
        return path

    def is_extracted(self, folder: str) -> bool:
        """See GLDv2Layout. If the server does not list folders, it looks for an image from the tables."""
        try:
            names = self.files.names(folder)
            if names:
                return not set(HEX_DIGITS).isdisjoint(names)
            image = self._first_image(folder)
            return image is not None and exists(self.files, RemoteFolderStore(self.files, folder).path(image))
        except OSError as error:
            raise unreachable(self.files.address(folder), error) from error

    def extracted(self, folder: str) -> RemoteFolderStore:
        """See GLDv2Layout."""
        return RemoteFolderStore(self.files, folder)

    def _indexed_tars(self, folder: str) -> list[str]:
        try:
            return [tar.name for tar in read_offsets(self._copy_offsets(folder)).tars]
        except (FileNotFoundError, ValueError):
            return []  # an invalid index is reported when the images are opened

    def _first_image(self, folder: str) -> str | None:
        for table in ("train_clean", "train") if folder == "train" else (folder,):
            if exists(self.files, f"metadata/{table}.csv"):
                match = _ID.search(self.files.read(f"metadata/{table}.csv", 0, 4096))
                return match[1].decode() if match else None
        return None

    def _copy_offsets(self, folder: str) -> Path:
        return self._copy(_offsets(folder), _offsets(folder).removeprefix(f"{FOLDER}/"))

    def _copy(self, name: str, path: str) -> Path:
        copy = derived_folder(self.root) / path
        try:
            if self.has(name):
                fetch_copy(self.files, name, copy)
        except OSError as error:
            raise LandmarksError(
                f"cannot copy {self.files.address(name)} to {copy}: {error.strerror or error}"
            ) from error
        return copy


def _offsets(folder: str) -> str:
    return f"{FOLDER}/offsets/{folder}.safetensors"
