"""Shows on stderr how a download goes: bars in a terminal, else a line now and then, for logs."""

import threading
import time
from datetime import timedelta
from types import TracebackType

from rich.console import Console
from rich.filesize import decimal
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from landmarks.data.gldv2.watcher import Outcome

SECONDS_BETWEEN_BARS = 0.1
SECONDS_BETWEEN_LINES = 10.0


class TransferDisplay:
    """Counts the bytes that arrive; a watcher of `download`, in a ``with`` statement.

    Args:
        console: of stderr.
        pause: seconds between two lines, or two states of a bar; by default what suits the console.
    """

    def __init__(self, console: Console, pause: float | None = None) -> None:
        usual = SECONDS_BETWEEN_BARS if console.is_terminal else SECONDS_BETWEEN_LINES
        self._pause = usual if pause is None else pause
        self._console = console
        self._lock = threading.Lock()
        self._sizes: dict[str, int] = {}
        self._bars: dict[str, TaskID] = {}
        self._moved: dict[str, float] = {}
        self._files = self._ended = self._failed = self._to_come = self._received = 0
        self._told = (time.monotonic(), 0)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(compact=True),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._total = self._progress.add_task("all", total=None)

    def __enter__(self) -> "TransferDisplay":
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def planned(self, files: int, size: int) -> None:
        """So many files are to be completed, for which so many bytes are still to come."""
        self._files, self._to_come = files, size
        self._told = (time.monotonic(), 0)
        self._progress.update(self._total, description=f"0 of {files} files", total=size)
        if not self._console.is_terminal:
            self._console.print(f"{files} files to complete, {decimal(size)} to come", highlight=False)

    def reached(self, path: str, size: int, total: int | None) -> None:
        """So many bytes of a file are there (or checked), of a total that may be unknown."""
        with self._lock:
            if path not in self._sizes:  # what was there before was not received now
                self._sizes[path] = size
                self._bars[path] = self._progress.add_task(path, total=total, completed=size)
            more = size - self._sizes[path]
            self._sizes[path] = size
            self._received += max(0, more)
            self._to_come += max(0, -more)  # thrown away, to come once more
            if not self._console.is_terminal:
                self._print_line_when_due()
            elif time.monotonic() - self._moved.get(path, 0.0) >= self._pause:  # bytes come thousands of times a second
                self._moved[path] = time.monotonic()
                self._progress.update(self._bars[path], completed=size)
                self._progress.update(self._total, completed=self._received, total=self._to_come)

    def ended(self, outcome: Outcome) -> None:
        """A file is done, skipped or failed."""
        with self._lock:
            if outcome.path in self._bars:
                self._progress.remove_task(self._bars.pop(outcome.path))
                self._ended += 1
            self._failed += outcome.state == "failed"
            failures = f", {self._failed} failed" if self._failed else ""
            self._progress.update(
                self._total,
                description=f"{self._ended} of {self._files} files{failures}",
                completed=self._received,
                total=self._to_come,
            )
        if outcome.state == "failed":
            self._console.print(outcome.reason, style="red", markup=False, highlight=False, soft_wrap=True)

    def _print_line_when_due(self) -> None:
        now = time.monotonic()
        then, received = self._told
        if now - then < self._pause:
            return
        rate = (self._received - received) / (now - then)
        self._told = (now, self._received)
        to_come = max(0, self._to_come - self._received)
        left = timedelta(seconds=round(to_come / rate)) if rate else "unknown time"
        self._console.print(
            f"{self._ended} of {self._files} files, {self._failed} failed, {decimal(self._received)} of "
            f"{decimal(self._to_come)}, {decimal(int(rate))}/s, {left} left",
            highlight=False,
            soft_wrap=True,
        )
