"""Downloads files over HTTP robustly: it resumes, retries and verifies them.

Whatever a server does (cut off the body, stall, ignore ranges, fail for a while, send something else), a file gets
its final name only when its md5 sum, or if none is published its length and first line, are right. Headers follow
RFC 9110.
"""

import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TypeVar

import requests
import urllib3

from landmarks.data.gldv2.partial_file import PartialFile
from landmarks.errors import LandmarksError
from landmarks.storage import PATIENT, RetryPolicy, TemporaryError, is_temporary, printable, retry_after

CHUNK_BYTES = 1 << 20
CONNECT_SECONDS = 15.0
CONNECTIONS = 64
_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)")
T = TypeVar("T")


class DownloadError(LandmarksError):
    """Raised if a file cannot be downloaded; the message names its address."""


class NotServedError(DownloadError):
    """Raised if the server does not have the file."""


class UnreachableError(DownloadError):
    """Raised if the server does not exist or does not answer."""


class StoppedError(Exception):
    """Raised when the `stop` event is set; the bytes received are kept."""


class _NoAnswerError(TemporaryError):
    pass


@dataclass(frozen=True)
class Served:
    """What a server says about a file: `size` in bytes, `etag`, `modified` in seconds since 1970; None if unknown."""

    size: int | None = None
    etag: str | None = None
    modified: float | None = None


@dataclass
class HttpFiles:
    """Downloads files, from any number of threads."""

    stop: threading.Event  # once set, all methods raise StoppedError as soon as they notice
    retry: RetryPolicy = PATIENT  # an attempt that received bytes does not count as failed
    stall_seconds: float = 30.0  # how long a server may send nothing
    owner: tuple[str, str] | None = None  # user and password; None takes those in ~/.netrc
    _session: requests.Session = field(default_factory=requests.Session, init=False)

    def __post_init__(self) -> None:
        self._session.auth = self.owner
        for scheme in ("https://", "http://"):
            self._session.mount(scheme, requests.adapters.HTTPAdapter(pool_maxsize=CONNECTIONS))

    def ask(self, url: str) -> Served:
        """Return what the server says about a file, without its content. Raises UnreachableError, NotServedError."""
        hasty = replace(self.retry, attempts=min(3, self.retry.attempts))
        try:
            return _served(self._try(url, lambda: self._request("HEAD", url, {}), hasty))
        except (NotServedError, UnreachableError):
            raise
        except DownloadError:
            return Served()  # a server that does not answer HEAD may still serve the file

    def fetch(
        self,
        url: str,
        path: Path,
        served: Served,
        md5: str | None = None,
        is_first_line: Callable[[str], bool] = lambda line: True,
        on_size: Callable[[int], None] = lambda size: None,
    ) -> None:
        """Download a file, resuming from the partial file of an earlier run if there is one.

        Args:
            url: Address of the file.
            path: Where to put it.
            served: What `ask` returned.
            md5: Its md5 sum; without one, its length must be right.
            is_first_line: Whether the file may begin with this line.
            on_size: Called with the number of bytes received so far whenever it changes.

        Raises:
            DownloadError: The server does not send the right file, even on a second download.
            LandmarksError: The file cannot be written, or another process is downloading it.
        """
        with PartialFile(path) as partial:
            if md5 is None and served.modified is not None and partial.modified < served.modified:
                partial.restart()  # without a sum, a mixture of two versions would go unnoticed
            for _ in range(2):  # the bytes from an earlier run may be wrong
                on_size(partial.size)
                total = self._try(
                    url, lambda: self._receive(url, partial, served, on_size), self.retry, lambda: partial.size
                )
                if total is None and md5 is None:
                    raise DownloadError(
                        f"{url}: the server does not give the length of the file, so it cannot be checked; try another "
                        "mirror"
                    )
                if md5 not in (None, partial.md5):
                    problem = f"has the md5 sum {partial.md5} instead of {md5}"
                elif not is_first_line(partial.first_line()):
                    problem = f"begins with {partial.first_line()[:60]!r}, so it is something else"
                else:
                    partial.finish()
                    return
                partial.restart()
            raise DownloadError(f"{url}: the file {problem}, also when downloaded again; try another mirror")

    def _try(
        self, url: str, attempt: Callable[[], T], retry: RetryPolicy, progress: Callable[[], int] = lambda: 0
    ) -> T:
        def unless_stopped() -> T:
            if self.stop.is_set():
                raise StoppedError
            return attempt()

        try:
            return retry.call(url, unless_stopped, progress, self.stop.wait)
        except TemporaryError as last:
            kind = UnreachableError if isinstance(last, _NoAnswerError) else DownloadError
            raise kind(f"{url}: {last}; gave up after {retry.attempts} failed attempts") from last

    def _receive(self, url: str, partial: PartialFile, served: Served, on_size: Callable[[int], None]) -> int | None:
        """Append the missing bytes, in one request; return the size of the whole file, None if unknown."""
        if partial.size and partial.size == served.size:
            return served.size
        headers = {"Range": f"bytes={partial.size}-"} if partial.size else {}
        if partial.size and served.etag is not None:
            headers["If-Range"] = served.etag
        with self._request("GET", url, headers) as response:
            total = _prepare(response, partial, served)
            try:
                # `read1` returns what has arrived; `read` would lose it when the connection breaks.
                while (total is None or partial.size < total) and (data := response.raw.read1(CHUNK_BYTES)):
                    if self.stop.is_set():
                        raise StoppedError
                    partial.append(data)
                    on_size(partial.size)
            except (urllib3.exceptions.HTTPError, OSError) as error:
                raise TemporaryError(f"broke off after {partial.size:,} bytes ({_cause(error)})") from error
        if total is not None and partial.size < total:
            raise TemporaryError(f"ended after {partial.size:,} of {total:,} bytes")
        if total is not None and partial.size > total:
            partial.restart()
            raise TemporaryError(f"sent more than the {total:,} bytes that the file has")
        return total

    def _request(self, method: str, url: str, headers: dict[str, str]) -> requests.Response:
        """Send one request; return a response with the file, a part of it, or status 416 if no byte is missing."""
        try:
            response = self._session.request(
                method,
                url,
                # With compression, lengths and ranges would refer to the compressed bytes.
                headers={"Accept-Encoding": "identity", **headers},
                stream=method == "GET",
                allow_redirects=True,
                timeout=(CONNECT_SECONDS, self.stall_seconds),
            )
        except requests.RequestException as error:
            if isinstance(error, ValueError):  # how `requests` reports an invalid address
                raise UnreachableError(f"{url}: not a valid address ({printable(str(error))})") from error
            raise _NoAnswerError(f"no answer ({printable(_cause(error))})") from error
        if response.status_code in (200, 206, 416):
            return response
        response.close()
        reason, at = f"status {response.status_code} {response.reason}", printable(str(response.url))
        if is_temporary(response.status_code):
            raise TemporaryError(reason, retry_after(response.headers.get("Retry-After")))
        if response.status_code in (403, 404, 410):
            raise NotServedError(f"{at}: the server does not have this file or denies access ({reason})")
        raise DownloadError(f"{at}: refused ({reason})")


def _served(response: requests.Response) -> Served:
    """Read the headers of a response with a whole file, or of one to HEAD."""
    length, etag = response.headers.get("Content-Length", ""), response.headers.get("ETag", "")
    try:
        modified = parsedate_to_datetime(response.headers["Last-Modified"]).timestamp()
    except (KeyError, ValueError):
        modified = None
    # A weak tag does not guarantee equal bytes, so it cannot be used with ranges.
    return Served(int(length) if length.isdecimal() else None, etag if etag.startswith('"') else None, modified)


def _prepare(response: requests.Response, partial: PartialFile, served: Served) -> int | None:
    """Prepare `partial` for the body of a response; return the size of the whole file, None if unknown."""
    said = response.headers.get("Content-Range", "")
    part = _CONTENT_RANGE.fullmatch(said)
    if response.status_code == 200:
        total = _served(response).size
    elif response.status_code == 206 and part is not None and int(part[1]) == partial.size:
        total = int(part[3])
    elif response.status_code == 416 and said == f"bytes */{partial.size}":
        total = partial.size  # nothing is missing
    else:
        partial.restart()  # the server's ranges are wrong
        raise TemporaryError(f"status {response.status_code} with the range {said!r}")
    total = served.size if total is None else total
    if served.size not in (None, total):
        raise TemporaryError(f"the server announces {total:,} bytes instead of {served.size:,} as before")
    if response.status_code == 200 and partial.size:
        partial.restart()  # the server ignores ranges, or the file has changed
    return total


def _cause(error: BaseException) -> str:
    """Return the message of the innermost error, since network libraries wrap errors in each other."""
    inner = next((arg for arg in (getattr(error, "reason", None), *error.args) if isinstance(arg, BaseException)), None)
    if inner is not None:
        return _cause(inner)
    return str(error).partition("): ")[2] or str(error)  # without the connection named at its beginning
