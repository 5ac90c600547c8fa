"""Fetches files over HTTP and stubbornly so: resumes where it stopped, tries again, believes no byte unchecked.

Whatever a server does (cut the body off, stall, ignore ranges, fail for a while, send something else), a file gets
its name only when its md5 sum, or where none is published its length and first line, are right. Headers as in RFC 9110.
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
    """A file could not be fetched; the message names its address."""


class NotServedError(DownloadError):
    """The server has no such file."""


class UnreachableError(DownloadError):
    """There is no such server, or it does not answer."""


class StoppedError(Exception):
    """The `stop` event was set; what was received is kept."""


class _NoAnswerError(TemporaryError):
    pass


@dataclass(frozen=True)
class Served:
    """A file at a server: `size` in bytes, `etag`, `modified` in seconds since 1970; None where it does not say."""

    size: int | None = None
    etag: str | None = None
    modified: float | None = None


@dataclass
class HttpFiles:
    """Fetches files, from any number of threads."""

    stop: threading.Event  # once set, all methods raise StoppedError as soon as they get to it
    retry: RetryPolicy = PATIENT  # an attempt that brought bytes has not failed
    stall_seconds: float = 30.0  # how long a server may be silent
    owner: tuple[str, str] | None = None  # user and password; None takes those of ~/.netrc
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
            return Served()  # a server that does not answer HEAD may still give the file out

    def fetch(
        self,
        url: str,
        path: Path,
        served: Served,
        md5: str | None = None,
        is_first_line: Callable[[str], bool] = lambda line: True,
        on_size: Callable[[int], None] = lambda size: None,
    ) -> None:
        """Bring a file into being, from what an earlier run left in its partial file if there is one.

        Args:
            url: Where it is served.
            path: Where it shall lie.
            served: What `ask` said.
            md5: The sum that a good file has; without one, its length must be right.
            is_first_line: Whether a good file may begin with this line.
            on_size: Is told how many bytes are there whenever that changes.

        Raises:
            DownloadError: The server does not give out the right file, also on the second time.
            LandmarksError: The file cannot be written, or another process is at it.
        """
        with PartialFile(path) as partial:
            if md5 is None and served.modified is not None and partial.modified < served.modified:
                partial.restart()  # no sum would notice the beginning of one file before the end of another
            for _ in range(2):  # the beginning that an earlier run left may be wrong
                on_size(partial.size)
                total = self._try(
                    url, lambda: self._receive(url, partial, served, on_size), self.retry, lambda: partial.size
                )
                if total is None and md5 is None:
                    raise DownloadError(
                        f"{url}: the server tells no length, so nothing shows whether the file is whole"
                    )
                if md5 not in (None, partial.md5):
                    problem = f"has the md5 sum {partial.md5} instead of {md5}"
                elif not is_first_line(partial.first_line()):
                    problem = f"begins with {partial.first_line()[:60]!r}, so it is something else"
                else:
                    partial.finish()
                    return
                partial.restart()
            raise DownloadError(f"{url}: the file {problem}, and so it did when fetched again; try another mirror")

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
            raise kind(f"{url}: {last}; gave up after {retry.attempts} fruitless attempts") from last

    def _receive(self, url: str, partial: PartialFile, served: Served, on_size: Callable[[int], None]) -> int | None:
        """Append what is missing, in one request; return the size of the whole, or None if nobody says."""
        if partial.size and partial.size == served.size:
            return served.size
        headers = {"Range": f"bytes={partial.size}-"} if partial.size else {}
        if partial.size and served.etag is not None:
            headers["If-Range"] = served.etag
        with self._request("GET", url, headers) as response:
            total = _prepare(response, partial, served)
            try:
                # `read1` hands over what has arrived; `read` would lose it when the connection breaks.
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
        """Send one request; the answer is the file, a part of it, or that no byte of it is missing (416)."""
        try:
            response = self._session.request(
                method,
                url,
                # Compressed on the way, lengths and ranges would be those of other bytes.
                headers={"Accept-Encoding": "identity", **headers},
                stream=method == "GET",
                allow_redirects=True,
                timeout=(CONNECT_SECONDS, self.stall_seconds),
            )
        except requests.RequestException as error:
            if isinstance(error, ValueError):  # how `requests` marks what is no address
                raise UnreachableError(f"{url}: no address to download from ({printable(str(error))})") from error
            raise _NoAnswerError(f"no answer ({printable(_cause(error))})") from error
        if response.status_code in (200, 206, 416):
            return response
        response.close()
        reason, at = f"status {response.status_code} {response.reason}", printable(str(response.url))
        if is_temporary(response.status_code):
            raise TemporaryError(reason, retry_after(response.headers.get("Retry-After")))
        if response.status_code in (403, 404, 410):
            raise NotServedError(f"{at}: not given out ({reason})")
        raise DownloadError(f"{at}: refused ({reason})")


def _served(response: requests.Response) -> Served:
    """Read the headers of an answer with a whole file, or of one to HEAD."""
    length, etag = response.headers.get("Content-Length", ""), response.headers.get("ETag", "")
    try:
        modified = parsedate_to_datetime(response.headers["Last-Modified"]).timestamp()
    except (KeyError, ValueError):
        modified = None
    # A weak tag promises no equal bytes, so it is of no use with ranges.
    return Served(int(length) if length.isdecimal() else None, etag if etag.startswith('"') else None, modified)


def _prepare(response: requests.Response, partial: PartialFile, served: Served) -> int | None:
    """Make `partial` ready for the body of an answer; return the size of the whole file, None if nobody says."""
    said = response.headers.get("Content-Range", "")
    part = _CONTENT_RANGE.fullmatch(said)
    if response.status_code == 200:
        total = _served(response).size
    elif response.status_code == 206 and part is not None and int(part[1]) == partial.size:
        total = int(part[3])
    elif response.status_code == 416 and said == f"bytes */{partial.size}":
        total = partial.size  # nothing is missing
    else:
        partial.restart()  # what this server means by ranges is of no use
        raise TemporaryError(f"status {response.status_code} with the range {said!r}")
    total = served.size if total is None else total
    if served.size not in (None, total):
        raise TemporaryError(f"{total:,} bytes are announced, where there were {served.size:,}")
    if response.status_code == 200 and partial.size:
        partial.restart()  # the server ignores ranges, or the file has changed
    return total


def _cause(error: BaseException) -> str:
    """Return the words of the innermost of the errors that network libraries wrap in each other."""
    inner = next((arg for arg in (getattr(error, "reason", None), *error.args) if isinstance(arg, BaseException)), None)
    if inner is not None:
        return _cause(inner)
    return str(error).partition("): ")[2] or str(error)  # without the connection that it names first
