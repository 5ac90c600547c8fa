"""What a server's answer says about a file: whether it is given out, how large it is, where the bytes belong.

Headers as in RFC 9110.
"""

import re
import time
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

import requests

from landmarks.data.transfer.patience import DownloadError, SetbackError

LONGEST_RETRY_AFTER = 900.0
_NOT_GIVEN = {403, 404, 410}
_WORTH_ANOTHER_TRY = {408, 425, 429}
_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)")


class NotServedError(DownloadError):
    """The server has no such file."""


@dataclass(frozen=True)
class Served:
    """A file at a server: `size` in bytes, `etag`, `modified` in seconds since 1970; None where it does not say."""

    size: int | None = None
    etag: str | None = None
    modified: float | None = None


def served_file(response: requests.Response) -> Served:
    """What the headers of an answer with a whole file, or of one to HEAD, say."""
    length = response.headers.get("Content-Length", "")
    etag = response.headers.get("ETag", "")
    try:
        modified = parsedate_to_datetime(response.headers["Last-Modified"]).timestamp()
    except (KeyError, ValueError):
        modified = None
    # A weak tag promises no equal bytes, so it is of no use with ranges.
    return Served(int(length) if length.isdecimal() else None, etag if etag.startswith('"') else None, modified)


def require_success(response: requests.Response) -> None:
    """Sort out what is no file and no part of one.

    Raises:
        NotServedError: the server has no such file.
        SetbackError: it may give it out later.
        DownloadError: it will not, for another reason.
    """
    status = response.status_code
    if status in _NOT_GIVEN:
        raise NotServedError(f"{response.url}: not given out (status {status} {response.reason})")
    if status in _WORTH_ANOTHER_TRY or status >= 500:
        raise SetbackError(f"status {status} {response.reason}", _retry_after(response))
    if status not in (200, 206, 416):
        raise DownloadError(f"{response.url}: refused (status {status} {response.reason})")


def whole_size(response: requests.Response, start: int) -> int | None:
    """The size of the whole file, from an answer with all of it or with a range; None if it does not say.

    Args:
        response: with one of the statuses that `require_success` lets pass.
        start: of the range that was asked for.

    Raises:
        SetbackError: the range is another one.
    """
    if response.status_code == 200:
        return served_file(response).size
    said = response.headers.get("Content-Range", "")
    part = _CONTENT_RANGE.fullmatch(said)
    if response.status_code == 206 and part is not None and int(part[1]) == start:
        return int(part[3])
    if response.status_code == 416 and said == f"bytes */{start}":
        return start  # nothing is missing
    raise SetbackError(f"status {response.status_code} with the range {said!r}")


def _retry_after(response: requests.Response) -> float:
    """Seconds that the server asks to wait, at most LONGEST_RETRY_AFTER; 0 if it does not."""
    value = response.headers.get("Retry-After", "")
    try:
        seconds = float(value) if value.isdecimal() else parsedate_to_datetime(value).timestamp() - time.time()
    except ValueError:
        return 0.0
    return min(max(seconds, 0.0), LONGEST_RETRY_AFTER)
