"""Shows on stderr how a check goes: a bar in a terminal, else a line now and then, for logs."""

import time
from datetime import timedelta
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

SECONDS_BETWEEN_LINES = 10.0


class CountColumn(ProgressColumn):
    """How many of how many, and how many a second."""

    def render(self, task: Task) -> Text:
        """See ProgressColumn."""
        rate = f", {task.speed:,.0f} a second" if task.speed else ""
        return Text(f"{task.completed:,.0f} of {task.total or 0:,.0f}{rate}")


class CheckDisplay:
    """Counts tars whose headers are read, then pictures that are decoded; in a ``with`` statement.

    Args:
        console: Of stderr.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._start = self._told = time.monotonic()
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            CountColumn(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._bar = self._progress.add_task("reading tables", total=None)

    def __enter__(self) -> "CheckDisplay":
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def on_tar(self, name: str, done: int, total: int) -> None:
        """The headers of a tar were read."""
        self._progress.update(self._bar, description="reading headers of tars", completed=done, total=total)

    def on_pictures(self, done: int, total: int) -> None:
        """So many of the pictures are decoded."""
        now = time.monotonic()
        if done == 0:
            self._start = now
            self._progress.reset(self._bar, description="decoding pictures", total=total)
        self._progress.update(self._bar, completed=done)
        if not self._console.is_terminal and done and now - self._told > SECONDS_BETWEEN_LINES:
            self._told = now
            rate = done / (now - self._start)
            left = timedelta(seconds=round((total - done) / rate))
            self._console.print(f"{done:,} of {total:,} pictures decoded, {rate:,.0f} a second, {left} left")
