"""Shows the progress of long tasks on stderr: bars in a terminal, otherwise a line at intervals, for logs."""

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from rich import progress as rich_progress
from rich.filesize import decimal
from rich.table import Column
from rich.text import Text

from landmarks.terminal import Console

SECONDS_BETWEEN_LINES = 10.0
SECONDS_BETWEEN_BARS = 0.1  # updates may come thousands of times a second
BYTES = "bytes"


class Progress:
    """Display of bars or lines for one or more tasks, thread-safe; made by `show_progress`.

    Args:
        console: Console of stderr.
        pause: Seconds between two lines.
    """

    def __init__(self, console: Console, pause: float) -> None:
        self._console = console
        self._pause = pause
        self._lock = threading.RLock()
        self._told = time.monotonic()
        self._tasks: dict[str, rich_progress.TaskID] = {}
        self._moved: dict[str, float] = {}
        self.bars = rich_progress.Progress(
            rich_progress.TextColumn("{task.description}"),
            rich_progress.BarColumn(bar_width=16),
            _Amounts(Column(no_wrap=True)),
            rich_progress.TimeRemainingColumn(compact=True),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )

    def show(self, name: str, done: int, total: int | None, unit: str, title: str | None = None) -> None:
        """Show the progress of a task. Its bar goes when it is done; of several tasks, only the first prints lines.

        Args:
            name: Name of the task.
            done: Amount that is done; the first amount does not count for the speed, and amounts may decrease.
            total: Total amount; None if unknown.
            unit: BYTES, or the things that are counted, such as "tars".
            title: Title to show instead of the name, which may change.
        """
        with self._lock:
            now, ends = time.monotonic(), total is not None and done >= total
            if name not in self._tasks:
                self._tasks[name] = self.bars.add_task(title or name, total=total, completed=done, unit=unit)
            elif not ends and now - self._moved[name] < min(SECONDS_BETWEEN_BARS, self._pause):
                return
            self._moved[name] = now
            self.bars.update(self._tasks[name], description=title or name, total=total, completed=done)
            if not self._console.is_terminal and name == next(iter(self._tasks)) and now - self._told >= self._pause:
                self._told = now
                task = next(task for task in self.bars.tasks if task.id == self._tasks[name])
                left = task.time_remaining
                words = "unknown time" if left is None else str(timedelta(seconds=round(left)))
                self.say(f"{task.description}: {_amounts(task)}, {words} left")
            if ends:
                self.hide(name)

    def hide(self, name: str) -> None:
        """Remove a bar."""
        with self._lock:
            if name in self._tasks:
                self.bars.remove_task(self._tasks.pop(name))

    def say(self, message: str, style: str = "") -> None:
        """Print a line, above the bars."""
        self._console.print(message, style=style, markup=False, highlight=False, soft_wrap=True)


_active: Progress | None = None


@contextmanager
def show_progress(
    console: Console | None = None, pause: float = SECONDS_BETWEEN_LINES, log_level: int = logging.WARNING
) -> Iterator[Progress]:
    """Display progress within the block; a nested block uses the display of the outer one.

    Args:
        console: Console of stderr; None makes a new one.
        pause: Seconds between two lines if the display is not a terminal.
        log_level: Lowest level of our log messages that are printed, if the log has no other handler.
    """
    global _active
    if _active is not None:
        yield _active
        return
    _active = Progress(console or Console(stderr=True), pause)
    logger, handler = logging.getLogger("landmarks"), _LogLines(_active)
    level, unheard = logger.level, not logger.hasHandlers()
    if unheard:
        logger.addHandler(handler)
        logger.setLevel(log_level)
    try:
        with _active.bars:
            yield _active
    finally:
        _active = None
        if unheard:
            logger.removeHandler(handler)
            logger.setLevel(level)


def _amounts(task: rich_progress.Task) -> str:
    """Format the amount done, the total and the speed."""
    unit = task.fields["unit"]
    is_bytes = unit == BYTES
    done, total = (
        "?" if value is None else decimal(int(value)) if is_bytes else f"{value:,.0f}"
        for value in (task.completed, task.total)
    )
    if is_bytes:
        return f"{done} of {total}, {decimal(int(task.speed or 0))}/s"
    return f"{done} of {total} {unit}, {task.speed or 0:,.1f} a second"


class _Amounts(rich_progress.ProgressColumn):
    def render(self, task: rich_progress.Task) -> Text:
        """See ProgressColumn."""
        return Text(_amounts(task))


class _LogLines(logging.Handler):
    """Handler that prints log messages on a display."""

    def __init__(self, display: Progress) -> None:
        super().__init__()
        self._display = display

    def emit(self, record: logging.LogRecord) -> None:
        """See Handler."""
        self._display.say(self.format(record))
