"""Downloads files of the official release: what is missing, several at a time, each verified before it gets its name.

Killed at any point and started again, it goes on where it stopped. See `http_file` for a single file.
"""

import hashlib
import shutil
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from landmarks.data.gldv2.release import BASE_URL, ReleaseFile, parse_md5
from landmarks.data.gldv2.watcher import Outcome, State, Watcher
from landmarks.data.transfer.answers import NotServedError, Served
from landmarks.data.transfer.http_file import Expected, HttpFiles
from landmarks.data.transfer.interruptible import in_parallel
from landmarks.data.transfer.partial_file import READ_BYTES, DiskFullError, partial_name
from landmarks.data.transfer.patience import DownloadError, Patience, StoppedError
from landmarks.errors import LandmarksError

QUESTIONS_AT_ONCE = 8


@dataclass(frozen=True)
class _Job:
    """A file, what the server says about it (or that it has none), and the md5 sum (or why there is none)."""

    file: ReleaseFile
    path: Path
    answer: Served | NotServedError
    md5: str | LandmarksError | None = None

    @property
    def served(self) -> Served:
        return self.answer if isinstance(self.answer, Served) else Served()

    @property
    def complete(self) -> bool:
        """Whether a file of the served size has the name."""
        return self.path.is_file() and self.path.stat().st_size == self.served.size

    @property
    def bytes_there(self) -> int:
        """How many bytes need not be fetched."""
        partial = partial_name(self.path)
        names = (self.path, partial) if self.file.md5_path is not None and not partial.exists() else (partial,)
        return sum(name.stat().st_size for name in names if name.is_file())


def download(
    root: Path,
    files: Sequence[ReleaseFile],
    watcher: Watcher,
    base_url: str = BASE_URL,
    workers: int = 4,
    check: bool = False,
    patience: Patience | None = None,
) -> list[Outcome]:
    """Bring files of the release below `root`.

    A file of the size that the server announces counts as there. A shorter tar under its own name (an interrupted
    download of another program) is completed and verified; a shorter table is fetched anew, since no md5 sum would
    show whether its beginning was another one's; a longer file is left alone and reported.

    Args:
        root: the folder; made if need be.
        files: which.
        watcher: is told how it goes.
        base_url: of the release or a mirror.
        workers: files at a time.
        check: hash also the tars that are there, and fetch again what is wrong.
        patience: with the network.

    Returns:
        An outcome for each of `files`, in their order. A file that fails does not stop the others, unless the disk
        is full.

    Raises:
        LandmarksError: nobody answers, the disk has not enough room, or the folder cannot be written.
        KeyboardInterrupt: passed on within about a second; what was received is kept.
    """
    return _Download(root, base_url.rstrip("/"), watcher, check, patience or Patience()).run(files, workers)


class _Download:
    def __init__(self, root: Path, base_url: str, watcher: Watcher, check: bool, patience: Patience) -> None:
        self.root = root
        self.base_url = base_url
        self.watcher = watcher
        self.check = check
        self.stop = threading.Event()
        self.disk_full = threading.Event()
        self.http = HttpFiles(patience, self.stop)

    def run(self, files: Sequence[ReleaseFile], workers: int) -> list[Outcome]:
        # The first alone: if nobody answers, one message says so.
        jobs = in_parallel(self._ask, files[:1], 1, self.stop)
        jobs += in_parallel(self._ask, files[1:], max(workers, QUESTIONS_AT_ONCE), self.stop)
        self._require_room(jobs)
        jobs = in_parallel(self._with_md5, jobs, workers, self.stop)
        return in_parallel(self._work, jobs, workers, self.stop)

    def _ask(self, file: ReleaseFile) -> _Job:
        try:
            answer: Served | NotServedError = self.http.ask(self._url(file.path))
        except NotServedError as error:
            answer = error
        return _Job(file, self.root / file.path, answer)

    def _require_room(self, jobs: list[_Job]) -> None:
        """Compare what is missing with the free disk, before the first byte."""
        served = [job for job in jobs if isinstance(job.answer, Served)]
        coming = [job for job in served if not job.complete]
        needed = sum(max(0, (job.served.size or 0) - job.bytes_there) for job in coming)
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            free = shutil.disk_usage(self.root).free
        except OSError as error:
            raise LandmarksError(f"{self.root}: cannot write here: {error.strerror or error}") from error
        if needed > free:
            raise LandmarksError(
                f"{self.root}: {needed:,} bytes are missing and {free:,} are free on this disk; make room, choose "
                "fewer files (--tars 0-9) or another --root"
            )
        checked = [job for job in served if self.check and job.complete and job.file.md5_path]
        self.watcher.planned(len(coming) + len(checked), needed + sum(job.served.size or 0 for job in checked))

    def _with_md5(self, job: _Job) -> _Job:
        """The published sum, from the copy of its file below the root if there is one."""
        if job.file.md5_path is None or isinstance(job.answer, NotServedError):
            return job
        path, tar_name = self.root / job.file.md5_path, PurePosixPath(job.file.path).name
        if _read_md5(path, tar_name) is None:
            expected = Expected(is_first_line=lambda line: parse_md5(line, tar_name) is not None)
            try:
                self.http.fetch(self._url(job.file.md5_path), path, expected, Served())
            except LandmarksError as error:
                return replace(job, md5=error)
        unreadable = LandmarksError(f"{path}: cannot be read; remove it")
        return replace(job, md5=_read_md5(path, tar_name) or unreadable)

    def _work(self, job: _Job) -> Outcome:
        state: State
        try:
            state, reason = self._bring(job)
        except (LandmarksError, OSError) as error:
            state, reason = "failed", str(error)
            if isinstance(error, DiskFullError):
                self.disk_full.set()
        outcome = Outcome(job.file.path, state, job.path.stat().st_size if job.path.is_file() else 0, reason)
        self.watcher.ended(outcome)
        return outcome

    def _bring(self, job: _Job) -> tuple[State, str]:
        file, path = job.file, job.path
        if isinstance(job.answer, NotServedError):
            if file.needed:
                raise job.answer
            return "skipped", f"{job.answer}; nothing here needs it"
        if isinstance(job.md5, LandmarksError):
            raise job.md5
        if job.complete and (job.md5 is None or not self.check):
            return "skipped", "there already"
        doubtful = path.is_file() and (job.complete or job.served.size is None)
        if doubtful and job.md5 is not None and self._hash(job) == job.md5:
            return "skipped", "there already, md5 right"
        if self.disk_full.is_set():
            raise LandmarksError(f"{path}: not tried, because the disk is full")
        if path.is_file():
            self._make_partial(job)
        expected = Expected(job.md5, file.is_first_line)
        self.http.fetch(
            self._url(file.path),
            path,
            expected,
            job.served,
            lambda size: self.watcher.reached(file.path, size, job.served.size),
        )
        return "done", "md5 right" if job.md5 else "length and first line right; no md5 is published"

    def _make_partial(self, job: _Job) -> None:
        """What has the name but is not the file becomes the partial file, if a sum will tell good from bad."""
        size = job.path.stat().st_size
        if job.served.size is not None and size > job.served.size:
            raise DownloadError(
                f"{job.path}: has {size:,} bytes and {self._url(job.file.path)} only {job.served.size:,}; move it away "
                "to download that one"
            )
        if job.md5 is not None and not partial_name(job.path).exists():
            job.path.rename(partial_name(job.path))

    def _hash(self, job: _Job) -> str:
        """The md5 sum of a file that has its name."""
        digest, size = hashlib.md5(usedforsecurity=False), 0
        self.watcher.reached(job.file.path, 0, job.served.size)
        with job.path.open("rb") as file:
            while data := file.read(READ_BYTES):
                if self.stop.is_set():
                    raise StoppedError
                digest.update(data)
                size += len(data)
                self.watcher.reached(job.file.path, size, job.served.size)
        return digest.hexdigest()

    def _url(self, path: str) -> str:
        return f"{self.base_url}/{path}"


def _read_md5(path: Path, tar_name: str) -> str | None:
    try:
        with path.open(encoding="ascii", errors="replace") as file:
            return parse_md5(file.readline(200), tar_name)
    except OSError:
        return None
