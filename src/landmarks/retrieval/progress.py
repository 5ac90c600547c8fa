"""Says in the log how far long work is: readable in a terminal, in a file, and from a batch system."""

import logging
import time
from datetime import timedelta

log = logging.getLogger(__name__)

# Work shorter than this says nothing; longer work speaks once in each such period.
PERIOD_SECONDS = 15.0


class Progress:
    """Counts work done and logs share, rate and time left.

    Args:
        what: the work, such as ``"neighbours of index images"``.
        total: units of work in all.
        done: units that an interrupted run had finished before.
    """

    def __init__(self, what: str, total: int, done: int = 0) -> None:
        self.what = what
        self.total = total
        self.done = done
        self._before = done
        self._start = self._spoke = time.monotonic()
        if done:
            log.info("%s: going on after %s of %s", what, f"{done:,}", f"{total:,}")

    def advance(self, units: int) -> None:
        """Count `units` more, and speak if it is time."""
        self.done += units
        now = time.monotonic()
        if now - self._spoke < PERIOD_SECONDS:
            return
        self._spoke = now
        rate = (self.done - self._before) / (now - self._start)
        left = timedelta(seconds=round((self.total - self.done) / rate)) if rate else "unknown time"
        log.info("%s: %s of %s, %.1f a second, %s left", self.what, f"{self.done:,}", f"{self.total:,}", rate, left)
