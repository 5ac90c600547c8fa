"""Where what is derived from a data set is kept, such as the offsets of pictures in tars.

All of it can be deleted at any time; it is made again when it is needed.
"""

import os
from hashlib import blake2b
from pathlib import Path

from landmarks.data.roots import Root

FOLDER = ".landmarks"


def derived_folder(root: Root) -> Path:
    """`root/.landmarks`, or a folder of the user's cache where `root` cannot be written or is an address.

    The folder need not exist; whoever writes makes it. The cache is `$XDG_CACHE_HOME/landmarks`, by default
    `~/.cache/landmarks`.
    """
    if isinstance(root, Path):
        place = root / FOLDER
        if os.access(place if place.is_dir() else root, os.W_OK):
            return place
        root = root.absolute()
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "landmarks" / blake2b(str(root).encode(), digest_size=8).hexdigest()
