"""Where a data set lies: a folder of this machine or an address of object storage, in one type."""

from pathlib import Path
from typing import Any

import fsspec
from upath import UPath

from landmarks.errors import LandmarksError

Root = Path | UPath

# Bytes as they lie there: a server that compresses its answers has no byte ranges. Proxies and .netrc as usual.
_WEB: dict[str, Any] = {"headers": {"Accept-Encoding": "identity"}, "client_kwargs": {"trust_env": True}}
_OPTIONS = {"http": _WEB, "https": _WEB}
_PACKAGES = {"s3": "s3fs", "s3a": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "az": "adlfs", "abfs": "adlfs"}


def open_root(root: str | Path | UPath) -> Root:
    """A folder as `Path`, an address such as `s3://bucket/gldv2` or `https://host/gldv2` as `UPath`.

    Nothing is asked of the address here. Its options, such as a key or another endpoint, are fsspec's own: files in
    `~/.config/fsspec` or variables such as `FSSPEC_S3_ANON=true`.

    Raises:
        LandmarksError: No package reads such addresses (names the one to install), or it is not that of a folder.
    """
    if isinstance(root, Path):
        return root
    address = str(root)
    if "::" in address:
        raise LandmarksError(f"{address} is a chain of addresses: give the last one; what pays is kept here anyway")
    if isinstance(root, str) and "://" not in root:
        return Path(root)
    scheme = address.partition("://")[0]
    if scheme in ("file", "local"):
        return Path(UPath(address).path)
    if scheme in ("http", "https") and ("?" in address or "#" in address):
        raise LandmarksError(f"{address}: names are put after the address of a folder, so it has no ? and no #")
    try:
        fsspec.get_filesystem_class(scheme)
    except ImportError as error:
        package = _PACKAGES.get(scheme)
        advice = f"pip install {package}" if package else f"install what it needs ({error})"
        raise LandmarksError(f"{address}: {scheme}:// needs another package: {advice}") from error
    except ValueError as error:
        raise LandmarksError(
            f"{address}: no such kind of address as {scheme}://; there are https, s3, gs, az, sftp, hf and more"
        ) from error
    return root if isinstance(root, UPath) else UPath(address.rstrip("/"), **_OPTIONS.get(scheme, {}))


def local_folder(root: str | Path | UPath) -> Path:
    """A folder, for what is not read from addresses. Raises LandmarksError for an address."""
    place = open_root(root)
    if isinstance(place, Path):
        return place
    raise LandmarksError(f"data.root={place} is an address; only data=gldv2 is read from addresses, so give a folder")
