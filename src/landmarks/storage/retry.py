"""Retry policy for everything that uses a network: how often to try again, and how long to wait."""

import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import urllib3
from urllib3.exceptions import InvalidHeader

LONGEST_RETRY_AFTER = 900.0  # seconds
WORTH_A_LINE = 1.0  # seconds of waiting from which on a retry is logged

log = logging.getLogger(__name__)
T = TypeVar("T")

# Not the global generator, whose state must not change in an experiment.
_random = random.SystemRandom()


class TemporaryError(Exception):
    """Raised by an attempt that failed but may succeed if repeated.

    Attributes:
        wait: Seconds that the server asks to wait.
    """

    def __init__(self, reason: str, wait: float = 0.0) -> None:
        super().__init__(reason)
        self.wait = wait


@dataclass(frozen=True)
class RetryPolicy:
    """Policy for repeating failed attempts, with waits that double.

    Attributes:
        attempts: Number of attempts in a row without progress after which it gives up.
        first_wait: Seconds before the second attempt; waits are randomised, so that clients do not retry in step.
        longest_wait: Longest wait in seconds.
    """

    attempts: int = 8
    first_wait: float = 2.0
    longest_wait: float = 60.0

    def wait(self, failures: int) -> float:
        """Return the seconds to wait after a number of failures in a row."""
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
            name: Name of the task, for the log.
            attempt: The task; raises TemporaryError if it makes sense to repeat it.
            progress: Returns a number that grows when an attempt makes progress; such attempts do not count as failed.
            sleep: Waits for a number of seconds.

        Returns:
            The result of `attempt`.

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


PATIENT = RetryPolicy()  # for downloads, which may run for days: gives up after two minutes or more without a byte
QUICK = RetryPolicy(attempts=6, first_wait=0.7)  # for reads that training waits for: gives up after about 15 seconds


def is_temporary(status: int) -> bool:
    """Return whether an HTTP status is a temporary error, after which the request can be repeated."""
    return status in (408, 425, 429) or status >= 500


def retry_after(value: str | None) -> float:
    """Return the seconds that a `Retry-After` header asks to wait, at most LONGEST_RETRY_AFTER; 0 for no header."""
    try:
        return min(urllib3.Retry().parse_retry_after(value), LONGEST_RETRY_AFTER) if value else 0.0
    except InvalidHeader:
        return 0.0
