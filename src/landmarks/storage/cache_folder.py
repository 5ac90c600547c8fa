"""Folders for data that can be computed again; they can be deleted at any time."""

import os
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING

from platformdirs import user_cache_path

if TYPE_CHECKING:
    from upath import UPath

FOLDER = ".landmarks"  # name of the folder for derived data inside a data set
_PACKAGE = Path(__file__).resolve().parent.parent


def user_cache() -> Path:
    """Return the user's cache folder: `$LANDMARKS_CACHE`, or that of the system.

    On Linux that is `$XDG_CACHE_HOME/landmarks` or ``~/.cache/landmarks``.
    """
    chosen = os.environ.get("LANDMARKS_CACHE")
    return Path(chosen) if chosen else user_cache_path("landmarks")


def derived_folder(root: "Path | UPath") -> Path:
    """Return the folder for data derived from a data set, such as the offsets of images in tars.

    This is `root/.landmarks`, or a folder in the user's cache if `root` is not writable, is an address or lies in the
    package (the demo data), or if `$LANDMARKS_CACHE` is set, which keeps data folders untouched. The folder is not
    created here.

    Args:
        root: Folder or address of the data set.
    """
    if isinstance(root, Path):
        place = root / FOLDER
        elsewhere = os.environ.get("LANDMARKS_CACHE") or root.resolve().is_relative_to(_PACKAGE)
        if not elsewhere and os.access(place if place.is_dir() else root, os.W_OK):
            return place
        root = root.absolute()
    return user_cache() / blake2b(str(root).rstrip("/").encode(), digest_size=8).hexdigest()
