"""Downloads missing files of the official release, several at a time; each is verified before it gets its final name.

If it is killed at any point and started again, it resumes where it stopped. See `http_file` for a single file.
"""

import hashlib
import shutil
import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from multiprocessing.pool import ThreadPool
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args

from rich.filesize import decimal

from landmarks.data.gldv2.http_file import DownloadError, HttpFiles, NotServedError, Served
from landmarks.data.gldv2.partial_file import DiskFullError, partial_name
from landmarks.data.gldv2.release import BASE_URL, ReleaseFile, parse_md5
from landmarks.errors import LandmarksError
from landmarks.progress import BYTES, Progress
from landmarks.storage import PATIENT, RetryPolicy, owner_of, printable

QUESTIONS_AT_ONCE = 8
State = Literal["done", "skipped", "failed"]
T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class Outcome:
    """The result of downloading a file.

    Attributes:
        path: Path of the file below the root.
        state: "done", "skipped" or "failed".
        size: Size of the local file, bytes; 0 if it does not exist.
        reason: Explanation of the state.
    """

    path: str
    state: State
    size: int
    reason: str


@dataclass(frozen=True)
class _Job:
    """A file to download, its local path, and the server's answer about it."""

    file: ReleaseFile
    path: Path
    answer: Served | NotServedError

    @property
    def size(self) -> int | None:
        """Size on the server, bytes; None if unknown."""
        return self.answer.size if isinstance(self.answer, Served) else None

    @property
    def complete(self) -> bool:
        """Whether the local file exists and has the size of the one on the server."""
        return self.path.is_file() and self.path.stat().st_size == self.size

    @property
    def bytes_there(self) -> int:
        """Number of bytes that need not be downloaded."""
        partial = partial_name(self.path)
        names = (self.path, partial) if self.file.md5_path is not None and not partial.exists() else (partial,)
        return sum(name.stat().st_size for name in names if name.is_file())


def download(
    root: Path,
    files: Sequence[ReleaseFile],
    progress: Progress,
    base_url: str = BASE_URL,
    workers: int = 4,
    check: bool = False,
    retry: RetryPolicy = PATIENT,
) -> list[Outcome]:
    """Download files of the release.

    A file of the size that the server announces counts as complete. A shorter tar under its final name (from an
    interrupted download by another program) is completed and verified; a shorter table is downloaded again, since no
    md5 sum would show whether its beginning is right; a longer file is left alone and reported.

    Args:
        root: The folder to download to; created if necessary.
        files: The files of the release.
        progress: Shows the progress.
        base_url: Address of the release or a mirror; may contain a user and a password.
        workers: Number of files downloaded at the same time.
        check: Whether to hash existing tars too, and download wrong ones again.
        retry: When to retry, and how often.

    Returns:
        An outcome for each of `files`, in their order. A file that fails does not stop the others, unless the disk
        is full. Received bytes are always kept.

    Raises:
        LandmarksError: An argument is invalid, the disk has too little space, or the server does not answer.
    """
    if ":/" in str(root):  # s3:// as a Path
        address = printable(str(root).replace(":/", "://"))
        raise LandmarksError(f"--root {address}: choose a folder on this machine, and upload it from there")
    if "?" in base_url or "#" in base_url:
        raise LandmarksError(
            f"--base-url {printable(base_url)}: file names are appended to it, so it must not contain ? or #; give "
            "credentials as a user and a password in it or in ~/.netrc"
        )
    return _Download(root, base_url.rstrip("/"), progress, check, retry).run(files, workers)


def summarize(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Return the numbers of files done, skipped and failed, their size in bytes, and all outcomes, as JSON values."""
    counts = {state: sum(outcome.state == state for outcome in outcomes) for state in get_args(State)}
    return {**counts, "size": sum(outcome.size for outcome in outcomes), "files": [asdict(one) for one in outcomes]}


class _Download:
    def __init__(self, root: Path, base_url: str, progress: Progress, check: bool, retry: RetryPolicy) -> None:
        self.root = root
        self.base_url, owner = owner_of(base_url)
        self.check = check
        self.stop = threading.Event()
        self.disk_full = threading.Event()
        self.http = HttpFiles(self.stop, retry, owner=owner)
        self.meter = _Meter(progress)

    def run(self, files: Sequence[ReleaseFile], workers: int) -> list[Outcome]:
        # The first alone, so that an unreachable server gives one message only.
        jobs = [self._ask(file) for file in files[:1]]
        jobs += self._in_parallel(self._ask, files[1:], max(workers, QUESTIONS_AT_ONCE))
        self._require_room(jobs)
        return self._in_parallel(self._work, jobs, workers)

    def _in_parallel(self, work: Callable[[T], R], items: Sequence[T], workers: int) -> list[R]:
        """Work in threads that an error or Ctrl-C ends; the program does not wait for a ThreadPool when it exits."""
        with ThreadPool(workers) as pool:
            try:
                return list(pool.imap(work, items))
            except BaseException:
                self.stop.set()
                raise

    def _ask(self, file: ReleaseFile) -> _Job:
        try:
            return _Job(file, self.root / file.path, self.http.ask(self._url(file.path)))
        except NotServedError as error:
            return _Job(file, self.root / file.path, error)

    def _require_room(self, jobs: list[_Job]) -> None:
        """Check before the first download that the disk has space for the missing bytes."""
        coming = [job for job in jobs if isinstance(job.answer, Served) and not job.complete]
        needed = sum(max(0, (job.size or 0) - job.bytes_there) for job in coming)
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            free = shutil.disk_usage(self.root).free
        except OSError as error:
            raise LandmarksError(f"{self.root}: cannot write here: {error.strerror or error}") from error
        if needed > free:
            raise LandmarksError(
                f"{self.root}: {needed:,} bytes are missing and {free:,} are free on this disk; free disk space, "
                "choose fewer files (--tars 0-9) or another --root"
            )
        checked = [job for job in jobs if self.check and job.complete and job.file.md5_path]
        there = {job.file.path: job.bytes_there for job in coming} | {job.file.path: 0 for job in checked}
        total = sum(job.size or 0 for job in coming + checked)
        self.meter.plan(there, None if any(job.size is None for job in coming) else total)

    def _work(self, job: _Job) -> Outcome:
        state: State
        try:
            state, reason = self._bring(job)
        except (LandmarksError, OSError) as error:
            state, reason = "failed", str(error)
            if isinstance(error, DiskFullError):
                self.disk_full.set()
        outcome = Outcome(job.file.path, state, job.path.stat().st_size if job.path.is_file() else 0, reason)
        self.meter.end(outcome)
        return outcome

    def _bring(self, job: _Job) -> tuple[State, str]:
        file, path = job.file, job.path
        if isinstance(job.answer, NotServedError):
            if file.needed:
                raise job.answer
            return "skipped", f"{job.answer}; the file is optional"
        if self.disk_full.is_set() and not job.complete:
            raise LandmarksError(f"{path}: not tried, because the disk is full")
        md5 = self._published_md5(file.md5_path, path.name) if file.md5_path is not None else None
        if job.complete and (md5 is None or not self.check):
            return "skipped", "already complete"
        if path.is_file() and (job.complete or job.size is None) and md5 is not None and _md5(path) == md5:
            self.meter.reached(job, path.stat().st_size)
            return "skipped", "already complete, md5 right"
        if path.is_file():
            size = path.stat().st_size
            if job.size is not None and size > job.size:
                raise DownloadError(
                    f"{path}: has {size:,} bytes, but {self._url(file.path)} only {job.size:,}; move the file away to "
                    "download it again"
                )
            if md5 is not None and not partial_name(path).exists():  # the sum will show whether its bytes are right
                path.rename(partial_name(path))
        self.http.fetch(
            self._url(file.path), path, job.answer, md5, file.is_first_line, lambda size: self.meter.reached(job, size)
        )
        return "done", "md5 right" if md5 else "length and first line right; no md5 is published"

    def _published_md5(self, md5_path: str, tar_name: str) -> str:
        """Return the md5 sum of a tar, from the local copy of its md5 file if there is one."""
        path = self.root / md5_path
        if _read_md5(path, tar_name) is None:
            self.http.fetch(
                self._url(md5_path), path, Served(), is_first_line=lambda line: parse_md5(line, tar_name) is not None
            )
        if (md5 := _read_md5(path, tar_name)) is None:
            raise LandmarksError(f"{path}: the md5 file cannot be read; remove it and run the command again")
        return md5

    def _url(self, path: str) -> str:
        return f"{self.base_url}/{path}"


class _Meter:
    """Shows the bytes of each file and of all files together."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._lock = threading.Lock()
        self._sizes: dict[str, int] = {}
        self._total: int | None = None
        self._files = self._ended = self._failed = 0

    def plan(self, there: dict[str, int], total: int | None) -> None:
        """Start with the bytes that each file already has, and the total of all, which may be unknown."""
        self._sizes, self._total, self._files = there, total, len(there)
        to_come = "an unknown number of bytes" if total is None else decimal(total - sum(there.values()))
        self._progress.say(f"{self._files} files to complete, {to_come} to download")
        self._show()

    def reached(self, job: _Job, size: int) -> None:
        """Count the bytes of a file that are downloaded or checked."""
        with self._lock:
            self._sizes[job.file.path] = size
            self._show()
            self._progress.show(job.file.path, size, job.size, BYTES)

    def end(self, outcome: Outcome) -> None:
        """Count a file that is done, skipped or failed."""
        with self._lock:
            self._ended += outcome.path in self._sizes
            self._failed += outcome.state == "failed"
            self._progress.hide(outcome.path)
            self._show()
        if outcome.state == "failed":
            self._progress.say(outcome.reason, "red")

    def _show(self) -> None:
        failures = f", {self._failed} failed" if self._failed else ""
        title = f"{self._ended} of {self._files} files{failures}"
        self._progress.show("files", sum(self._sizes.values()), self._total, BYTES, title)


def _read_md5(path: Path, tar_name: str) -> str | None:
    try:
        with path.open(encoding="ascii", errors="replace") as file:
            return parse_md5(file.readline(200), tar_name)
    except OSError:
        return None


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
