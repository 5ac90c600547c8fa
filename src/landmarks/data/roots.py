"""The root of a data set: a local folder or an address in object storage, as one type."""

import os
from base64 import b64encode
from pathlib import Path
from typing import Any

import fsspec
from upath import UPath

from landmarks.errors import LandmarksError
from landmarks.storage import owner_of, printable

Root = Path | UPath

# No compression, which would break byte ranges; proxies and .netrc are honoured.
_WEB: dict[str, Any] = {"headers": {"Accept-Encoding": "identity"}, "client_kwargs": {"trust_env": True}}
_OPTIONS = {"http": _WEB, "https": _WEB}
_WITH_OWNER = ("ftp", "sftp", "ssh", "smb", "webdav", "webdavs")  # file systems that take a user and a password
_PACKAGES = {"s3": "s3fs", "s3a": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "az": "adlfs", "abfs": "adlfs"}


def open_root(root: str | Path | UPath) -> Root:
    """Return a folder as `Path`, or an address such as `s3://bucket/gldv2` or `https://host/gldv2` as `UPath`.

    The address is not contacted. Options such as a key or another endpoint are set as fsspec documents it: in files in
    `~/.config/fsspec` or in variables such as `FSSPEC_S3_ANON=true`. A user and a password in the address become
    options of the result, not part of its name; without them, those in `~/.netrc` are used. A leading `~` in a folder
    is expanded.

    Args:
        root: The folder or address.

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
            f"{printable(address)} is a chain of addresses, which is not supported: give the last address only; files "
            "that are worth a local copy are cached anyway"
        )
    if isinstance(root, str) and "://" not in root:
        return Path(os.path.expanduser(root))  # noqa: PTH111
    scheme = address.partition("://")[0]
    if scheme in ("file", "local"):
        return Path(UPath(address).path)
    if scheme in ("http", "https") and ("?" in address or "#" in address):
        raise LandmarksError(
            f"{printable(address)}: file names are appended to the address, so it must not contain ? or #; give "
            "credentials as a user and a password in the address or in ~/.netrc"
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
            f"{address}: {scheme}:// is not a known kind of address; known are https, s3, gs, az, sftp, hf and more"
        ) from error
    if isinstance(root, UPath) and owner is None:
        return root
    return UPath(address.rstrip("/"), **(_OPTIONS.get(scheme, {}) if owner is None else _owned(address, scheme, owner)))


def _owned(address: str, scheme: str, owner: tuple[str, str]) -> dict[str, Any]:
    """Return the fsspec options that open an address with a user and a password."""
    if scheme in _OPTIONS:
        from requests.utils import get_netrc_auth  # slow to import, and not needed for folders

        login = b64encode(":".join(owner).encode()).decode()
        # aiohttp raises an error if both this header and ~/.netrc give credentials.
        alone = {"trust_env": get_netrc_auth(address) is None}
        return {"headers": _WEB["headers"] | {"Authorization": f"Basic {login}"}, "client_kwargs": alone}
    if scheme in _WITH_OWNER:
        return dict(zip(("username", "password"), owner, strict=True))
    raise LandmarksError(
        f"{address}: addresses of {scheme}:// have no user and password; fsspec reads keys from its own variables and "
        "files, see its documentation"
    )


def local_folder(root: str | Path | UPath) -> Path:
    """Return a local folder, for data that cannot be read from addresses. Raises LandmarksError for an address."""
    place = open_root(root)
    if isinstance(place, Path):
        return place
    raise LandmarksError(f"data.root={place} is an address; only data=gldv2 is read from addresses, so give a folder")
