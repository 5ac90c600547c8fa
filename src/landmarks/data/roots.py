"""Where a data set lies: a folder of this machine or an address of object storage, in one type."""

import os
from base64 import b64encode
from pathlib import Path
from typing import Any

import fsspec
from upath import UPath

from landmarks.errors import LandmarksError
from landmarks.storage import owner_of, printable

Root = Path | UPath

# Bytes as they lie there: a server that compresses its answers has no byte ranges. Proxies and .netrc as usual.
_WEB: dict[str, Any] = {"headers": {"Accept-Encoding": "identity"}, "client_kwargs": {"trust_env": True}}
_OPTIONS = {"http": _WEB, "https": _WEB}
_WITH_OWNER = ("ftp", "sftp", "ssh", "smb", "webdav", "webdavs")  # whose file systems take a user and a password
_PACKAGES = {"s3": "s3fs", "s3a": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "az": "adlfs", "abfs": "adlfs"}


def open_root(root: str | Path | UPath) -> Root:
    """A folder as `Path`, an address such as `s3://bucket/gldv2` or `https://host/gldv2` as `UPath`.

    Nothing is asked of the address here. Its options, such as a key or another endpoint, are fsspec's own: files in
    `~/.config/fsspec` or variables such as `FSSPEC_S3_ANON=true`. A user and a password in it are options of what is
    returned, not part of its name; without them those of `~/.netrc` are used. `~` at the beginning of a folder is the
    user's own.

    Raises:
        LandmarksError: No package reads such addresses (names the one to install), it is not that of a folder, or there
            is none.
    """
    if isinstance(root, Path):
        return Path(os.path.expanduser(root))  # noqa: PTH111 - unknown users are no error here
    address = str(root)
    if not address:
        raise LandmarksError("data.root is empty: name a folder or an address")
    if "::" in address:
        raise LandmarksError(
            f"{printable(address)} is a chain of addresses: give the last one; what pays is kept here anyway"
        )
    if isinstance(root, str) and "://" not in root:
        return Path(os.path.expanduser(root))  # noqa: PTH111
    scheme = address.partition("://")[0]
    if scheme in ("file", "local"):
        return Path(UPath(address).path)
    if scheme in ("http", "https") and ("?" in address or "#" in address):
        raise LandmarksError(
            f"{printable(address)}: names are put after the address of a folder, so it has no ? and no #; who may "
            "read there is said by a user and a password in it or in ~/.netrc"
        )
    address, owner = owner_of(address)
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
    if isinstance(root, UPath) and owner is None:
        return root
    return UPath(address.rstrip("/"), **(_OPTIONS.get(scheme, {}) if owner is None else _owned(address, scheme, owner)))


def _owned(address: str, scheme: str, owner: tuple[str, str]) -> dict[str, Any]:
    """What fsspec needs to open an address as its owner."""
    if scheme in _OPTIONS:
        from requests.utils import get_netrc_auth  # a moment that folders need not wait for

        login = b64encode(":".join(owner).encode()).decode()
        # aiohttp refuses to choose between this and ~/.netrc
        alone = {"trust_env": get_netrc_auth(address) is None}
        return {"headers": _WEB["headers"] | {"Authorization": f"Basic {login}"}, "client_kwargs": alone}
    if scheme in _WITH_OWNER:
        return dict(zip(("username", "password"), owner, strict=True))
    raise LandmarksError(
        f"{address}: addresses of {scheme}:// have no user and password; fsspec reads keys from its own variables and "
        "files, see its documentation"
    )


def local_folder(root: str | Path | UPath) -> Path:
    """A folder, for what is not read from addresses. Raises LandmarksError for an address."""
    place = open_root(root)
    if isinstance(place, Path):
        return place
    raise LandmarksError(f"data.root={place} is an address; only data=gldv2 is read from addresses, so give a folder")
