"""Logs the progress of long work in lines that are readable in a terminal, in a file, and from a batch system."""

import logging
import time
from datetime import timedelta

log = logging.getLogger(__name__)

# Work shorter than this logs nothing; longer work logs once per period.
PERIOD_SECONDS = 15.0


class Progress:
    """Counts finished units of work and logs their number, the rate and the time left.

    Args:
        what: name of the work, such as ``"neighbours of index images"``.
        total: units of work in all.
        done: units that an interrupted run had already finished.
    """

    def __init__(self, what: str, total: int, done: int = 0) -> None:
        self.what = what
        self.total = total
        self.done = done
        self._before = done
        self._start = self._spoke = time.monotonic()
        if done:
            log.info("%s: resuming after %s of %s", what, f"{done:,}", f"{total:,}")

    def advance(self, units: int) -> None:
        """Count `units` more, and log if the period has passed."""
        self.done += units
        now = time.monotonic()
        if now - self._spoke < PERIOD_SECONDS:
            return
        self._spoke = now
        rate = (self.done - self._before) / (now - self._start)
        left = timedelta(seconds=round((self.total - self.done) / rate)) if rate else "unknown time"
        log.info("%s: %s of %s, %.1f a second, %s left", self.what, f"{self.done:,}", f"{self.total:,}", rate, left)
