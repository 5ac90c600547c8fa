"""The one policy for all that goes over a network: how often to try again, and how long to wait before."""

import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import urllib3
from urllib3.exceptions import InvalidHeader

LONGEST_RETRY_AFTER = 900.0  # seconds
WORTH_A_LINE = 1.0  # seconds

log = logging.getLogger(__name__)
T = TypeVar("T")

# Not the global generator, whose numbers belong to the experiment.
_random = random.SystemRandom()


class TemporaryError(Exception):
    """An attempt failed in a way that another may not; `wait` is how many seconds the server asks to wait."""

    def __init__(self, reason: str, wait: float = 0.0) -> None:
        super().__init__(reason)
        self.wait = wait


@dataclass(frozen=True)
class RetryPolicy:
    """Tries again what may succeed the next time, with waits that double, and gives up at some point.

    Attributes:
        attempts: How many in a row may fail without bringing anything.
        first_wait: Seconds before the second attempt, about: clients shall not come back in step.
        longest_wait: Seconds beyond which waits do not grow.
    """

    attempts: int = 8
    first_wait: float = 2.0
    longest_wait: float = 60.0

    def wait(self, failures: int) -> float:
        """Return the seconds to wait after so many failures in a row."""
        return _random.uniform(0.5, 1.0) * min(self.longest_wait, self.first_wait * 2.0 ** min(failures - 1, 60))

    def call(
        self,
        name: str,
        attempt: Callable[[], T],
        progress: Callable[[], int] = lambda: 0,
        sleep: Callable[[float], object] = time.sleep,
    ) -> T:
        """Call `attempt` until it succeeds.

        Args:
            name: What is tried, for the log.
            attempt: Raises TemporaryError where another attempt makes sense.
            progress: Returns a number that grows when an attempt brings something; such an attempt has not failed.
            sleep: Waits so many seconds.

        Returns:
            What `attempt` returns.

        Raises:
            TemporaryError: The last of `attempts` attempts in a row failed without progress.
        """
        best, failures = progress(), 0
        while True:
            try:
                return attempt()
            except TemporaryError as error:
                failures = 0 if progress() > best else failures + 1
                if failures >= self.attempts:
                    raise
                best = max(best, progress())
                wait = max(error.wait, self.wait(max(failures, 1)))
                if wait >= WORTH_A_LINE:
                    log.warning("%s: %s; trying again in %.0f s", name, error, wait)
            sleep(wait)


PATIENT = RetryPolicy()  # for downloads, which run for days: two minutes or more without a byte
QUICK = RetryPolicy(attempts=6, first_wait=0.7)  # for reads that a training waits for: a quarter of a minute


def is_temporary(status: int) -> bool:
    """Return whether a server that answers with this HTTP status may answer otherwise the next time."""
    return status in (408, 425, 429) or status >= 500


def retry_after(value: str | None) -> float:
    """Return the seconds that a `Retry-After` header asks to wait, at most LONGEST_RETRY_AFTER; 0 for no header."""
    try:
        return min(urllib3.Retry().parse_retry_after(value), LONGEST_RETRY_AFTER) if value else 0.0
    except InvalidHeader:
        return 0.0
