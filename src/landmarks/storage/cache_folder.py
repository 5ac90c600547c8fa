"""Where what can be made again is kept. All of it can be deleted at any time."""

import os
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING

from platformdirs import user_cache_path

if TYPE_CHECKING:
    from upath import UPath

FOLDER = ".landmarks"
_PACKAGE = Path(__file__).resolve().parent.parent


def user_cache() -> Path:
    """Return the user's folder: `$LANDMARKS_CACHE`, or that of the system.

    On Linux that is `$XDG_CACHE_HOME/landmarks` or ``~/.cache/landmarks``.
    """
    chosen = os.environ.get("LANDMARKS_CACHE")
    return Path(chosen) if chosen else user_cache_path("landmarks")


def derived_folder(root: "Path | UPath") -> Path:
    """Return where to keep what is derived from a data set, such as the offsets of images in tars.

    That is `root/.landmarks`, or a folder of the user's cache where `root` cannot be written, is an address, or
    `$LANDMARKS_CACHE` is set, which keeps data folders untouched. The demo data lie in the package, and nothing is
    written there either. The folder need not exist; whoever writes makes it.
    """
    if isinstance(root, Path):
        place = root / FOLDER
        elsewhere = os.environ.get("LANDMARKS_CACHE") or root.resolve().is_relative_to(_PACKAGE)
        if not elsewhere and os.access(place if place.is_dir() else root, os.W_OK):
            return place
        root = root.absolute()
    return user_cache() / blake2b(str(root).rstrip("/").encode(), digest_size=8).hexdigest()
