"""Tries again what a network may do better the next time, with growing waits, and gives up at some point."""

import logging
import random
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from landmarks.errors import LandmarksError

logger = logging.getLogger(__name__)
T = TypeVar("T")


class DownloadError(LandmarksError):
    """A file could not be fetched; the message names its address."""


class UnreachableError(DownloadError):
    """There is no such server, or it does not answer."""


class StoppedError(Exception):
    """The `stop` event was set; what was received is kept."""


class SetbackError(Exception):
    """An attempt failed in a way that another may not.

    Args:
        reason: for people.
        wait: the seconds that the server asks to wait.
        answered: whether there was a server at all.
    """

    def __init__(self, reason: str, wait: float = 0.0, answered: bool = True) -> None:
        super().__init__(reason)
        self.wait = wait
        self.answered = answered


@dataclass(frozen=True)
class Patience:
    """How often to try and how long to wait; an attempt that brought bytes does not count as failed."""

    attempts: int = 8
    connect_seconds: float = 15.0
    stall_seconds: float = 30.0
    first_wait_seconds: float = 1.0
    longest_wait_seconds: float = 60.0

    def wait(self, failures: int) -> float:
        """Seconds before the next attempt: doubled with each failure, and random, so that clients spread out."""
        return random.uniform(0.5, 1.0) * min(
            self.longest_wait_seconds, self.first_wait_seconds * 2.0 ** min(failures, 60)
        )

    def persist(
        self, name: str, attempt: Callable[[], T], stop: threading.Event, progress: Callable[[], int] = lambda: 0
    ) -> T:
        """Try until it succeeds.

        Args:
            name: of what is tried, for messages.
            attempt: raises SetbackError where another attempt makes sense.
            stop: ends the waiting.
            progress: a number that grows when an attempt brings something.

        Returns:
            What `attempt` returns.

        Raises:
            UnreachableError: the last of `attempts` attempts without progress got no answer at all.
            DownloadError: or it got one that was of no use.
            StoppedError: `stop` was set.
        """
        best, failures = progress(), 0
        while not stop.is_set():
            try:
                return attempt()
            except SetbackError as setback:
                failures = 0 if progress() > best else failures + 1
                best = max(best, progress())
                if failures >= self.attempts:
                    kind = DownloadError if setback.answered else UnreachableError
                    raise kind(f"{name}: {setback}; gave up after {failures} fruitless attempts") from setback
                seconds = max(setback.wait, self.wait(failures))
                logger.warning("%s: %s; trying again in %.0f s", name, setback, seconds)
                stop.wait(seconds)
        raise StoppedError
