"""Where a data set lies: a folder of this machine or an address of object storage, in one type."""

from pathlib import Path

from upath import UPath

Root = Path | UPath


def open_root(root: str | Path | UPath) -> Root:
    """A folder as `Path`, an address such as `s3://bucket/gldv2` or `https://host/gldv2` as `UPath`."""
    if isinstance(root, Path | UPath):
        return root
    return UPath(root) if "://" in root else Path(root)
