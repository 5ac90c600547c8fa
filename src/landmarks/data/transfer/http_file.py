"""Fetches one file over HTTP and stubbornly so: goes on where it stopped, tries again, believes no byte unchecked.

Whatever a server does (cut the body off, stall, ignore ranges, fail for a while, send something else), a file gets
its name only when its md5 sum, or where none is published its length and first line, are right.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import requests
import urllib3

from landmarks.data.transfer.answers import NotServedError, Served, require_success, served_file, whole_size
from landmarks.data.transfer.partial_file import PartialFile
from landmarks.data.transfer.patience import DownloadError, Patience, SetbackError, StoppedError, UnreachableError

CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class Expected:
    """What a good file is known by: its md5 sum, else its length and what `is_first_line` says of its first line."""

    md5: str | None = None
    is_first_line: Callable[[str], bool] = lambda line: True

    def problem(self, file: PartialFile) -> str | None:
        """What is wrong with a complete file, or None."""
        if self.md5 is not None and file.md5 != self.md5:
            return f"has the md5 sum {file.md5} instead of {self.md5}"
        if not self.is_first_line(file.first_line()):
            return f"begins with {file.first_line()[:60]!r}, so it is something else"
        return None


class HttpFiles:
    """Fetches files, from any number of threads.

    Args:
        patience: how long to wait and how often to try.
        stop: once set, all methods raise StoppedError as soon as they get to it.
    """

    def __init__(self, patience: Patience, stop: threading.Event) -> None:
        self.patience = patience
        self.stop = stop
        self._of_thread = threading.local()

    def ask(self, url: str) -> Served:
        """What the server says about a file, without its content.

        Raises:
            UnreachableError: no answer, also on the third time.
            NotServedError: there is no such file.
            StoppedError: `stop` was set.
        """

        def attempt() -> Served:
            response = self._request("HEAD", url, {})
            require_success(response)
            return served_file(response)

        try:
            return replace(self.patience, attempts=min(3, self.patience.attempts)).persist(url, attempt, self.stop)
        except (NotServedError, UnreachableError):
            raise
        except DownloadError:
            return Served()  # a server that does not answer HEAD may still give the file out

    def fetch(
        self,
        url: str,
        path: Path,
        expected: Expected,
        served: Served,
        on_size: Callable[[int], None] = lambda size: None,
    ) -> None:
        """Bring `path` into being, from what an earlier run left in its partial file if there is one.

        Args:
            url: of the file.
            path: gets the file, only when all of it is there and right.
            expected: what it is known by.
            served: what `ask` said.
            on_size: called with the number of bytes that are there, whenever that changes.

        Raises:
            DownloadError: the server does not give it out, or not the right one, also on the second time.
            LandmarksError: the disk refuses, or another process is at it.
            StoppedError: `stop` was set.
        """
        with PartialFile(path) as partial:
            if expected.md5 is None and served.modified is not None and partial.modified < served.modified:
                partial.restart()  # no sum would notice the beginning of one file before the end of another
            problem = self._complete(url, partial, expected, served, on_size)
            if problem is not None:
                partial.restart()
                problem = self._complete(url, partial, expected, served, on_size)
            if problem is not None:
                partial.restart()
                raise DownloadError(f"{url}: the file {problem}, and so it did when fetched again; try another mirror")
            partial.finish()

    def _complete(
        self, url: str, partial: PartialFile, expected: Expected, served: Served, on_size: Callable[[int], None]
    ) -> str | None:
        """Receive what is missing, in as many requests as it takes; what is then wrong with the file, or None."""
        on_size(partial.size)
        total = self.patience.persist(
            url, lambda: self._receive(url, partial, served, on_size), self.stop, progress=lambda: partial.size
        )
        if total is None and expected.md5 is None:
            raise DownloadError(f"{url}: the server tells no length, so nothing shows whether the file is whole")
        return expected.problem(partial)

    def _receive(self, url: str, partial: PartialFile, served: Served, on_size: Callable[[int], None]) -> int | None:
        """Append what is missing, in one request; the size of the whole, or None if nobody says."""
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
                raise SetbackError(f"broke off after {partial.size:,} bytes ({_cause(error)})") from error
        if total is not None and partial.size < total:
            raise SetbackError(f"ended after {partial.size:,} of {total:,} bytes")
        if total is not None and partial.size > total:
            partial.restart()
            raise SetbackError(f"sent more than the {total:,} bytes that the file has")
        return total

    def _request(self, method: str, url: str, headers: dict[str, str]) -> requests.Response:
        session: requests.Session | None = getattr(self._of_thread, "session", None)
        if session is None:
            session = self._of_thread.session = requests.Session()
        try:
            return session.request(
                method,
                url,
                # Compressed on the way, lengths and ranges would be those of other bytes.
                headers={"Accept-Encoding": "identity", **headers},
                stream=method == "GET",
                allow_redirects=True,
                timeout=(self.patience.connect_seconds, self.patience.stall_seconds),
            )
        except requests.RequestException as error:
            if isinstance(error, ValueError):  # how `requests` marks what is no address
                raise UnreachableError(f"{url}: no address to download from ({error})") from error
            raise SetbackError(f"no answer ({_cause(error)})", answered=False) from error


def _prepare(response: requests.Response, partial: PartialFile, served: Served) -> int | None:
    """Make `partial` ready for the body of an answer; the size of the whole file."""
    require_success(response)
    try:
        total = whole_size(response, partial.size)
    except SetbackError:
        partial.restart()  # what this server means by ranges is of no use
        raise
    total = served.size if total is None else total
    if total != served.size and served.size is not None:
        raise SetbackError(f"{total:,} bytes are announced, where there were {served.size:,}")
    if response.status_code == 200 and partial.size:
        partial.restart()  # the server ignores ranges, or the file has changed
    return total


def _cause(error: BaseException) -> str:
    """The words of the innermost of the errors that network libraries wrap in each other."""
    inner = next((arg for arg in (getattr(error, "reason", None), *error.args) if isinstance(arg, BaseException)), None)
    if inner is not None:
        return _cause(inner)
    return str(error).partition("): ")[2] or str(error)  # without the connection that it names first
