"""Where what is derived from a data set is kept, such as the offsets of pictures in tars.

All of it can be deleted at any time; it is made again when it is needed.
"""

import os
from hashlib import blake2b
from importlib.resources import files
from pathlib import Path

from landmarks.data.roots import Root

FOLDER = ".landmarks"
PACKAGE = Path(str(files("landmarks"))).resolve()


def derived_folder(root: Root) -> Path:
    """`root/.landmarks`, or a folder of the user's cache where `root` cannot be written or is an address.

    The demo data, which lie in the package, are not written to either. The folder need not exist; whoever writes makes
    it. The cache is `$LANDMARKS_CACHE`, which where it is set keeps
    data folders untouched, else `$XDG_CACHE_HOME/landmarks` or `~/.cache/landmarks`.
    """
    chosen = os.environ.get("LANDMARKS_CACHE")
    if isinstance(root, Path):
        place = root / FOLDER
        ours = root.resolve().is_relative_to(PACKAGE)
        if not chosen and not ours and os.access(place if place.is_dir() else root, os.W_OK):
            return place
        root = root.absolute()
    return user_cache() / blake2b(str(root).rstrip("/").encode(), digest_size=8).hexdigest()


def user_cache() -> Path:
    """The user's folder: `$LANDMARKS_CACHE`, `$XDG_CACHE_HOME/landmarks` or ``~/.cache/landmarks``."""
    chosen = os.environ.get("LANDMARKS_CACHE")
    return Path(chosen or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "landmarks")
