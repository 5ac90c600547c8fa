from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from landmarks.storage import RetryPolicy, TemporaryError, retry_after

QUICK = RetryPolicy(attempts=3, first_wait=0.0001, longest_wait=0.001)


def failing(times: int) -> tuple[Callable[[], int], list[int]]:
    calls: list[int] = []

    def attempt() -> int:
        calls.append(len(calls))
        if len(calls) <= times:
            raise TemporaryError(f"no luck {len(calls)}")
        return 7

    return attempt, calls


def test_tries_again_until_it_succeeds() -> None:
    attempt, calls = failing(2)
    assert QUICK.call("it", attempt) == 7 and len(calls) == 3


def test_gives_up_after_fruitless_attempts() -> None:
    attempt, calls = failing(99)
    with pytest.raises(TemporaryError, match="no luck 3"):
        QUICK.call("it", attempt)
    assert len(calls) == 3


def test_attempts_that_bring_something_do_not_count() -> None:
    attempt, calls = failing(20)
    assert QUICK.call("it", attempt, progress=lambda: len(calls)) == 7


def test_repeated_progress_does_not_count() -> None:
    attempt, calls = failing(99)
    with pytest.raises(TemporaryError):
        QUICK.call("it", attempt, progress=lambda: 5 * (len(calls) > 0))
    assert len(calls) == 4  # the first brought something


def test_servers_decide_how_long_to_wait_at_least(caplog: pytest.LogCaptureFixture) -> None:
    waits: list[float] = []

    def attempt() -> None:
        if not waits:
            raise TemporaryError("later", wait=3600)

    QUICK.call("it", attempt, sleep=waits.append)
    assert waits == [3600] and "it: later; trying again in 3600 s" in caplog.text


def test_waits_grow_up_to_a_limit() -> None:
    policy = RetryPolicy(first_wait=1, longest_wait=60)
    waits = [policy.wait(failures) for failures in (1, 4, 9, 5000)]
    assert 0.5 <= waits[0] <= 1 and 4 <= waits[1] <= 8 and all(30 <= wait <= 60 for wait in waits[2:])


def test_servers_may_ask_for_a_pause() -> None:
    assert retry_after("7") == 7 and retry_after("99999999") == 900
    past = format_datetime(datetime.now(UTC) - timedelta(hours=1))
    assert retry_after(None) == retry_after("soon") == retry_after("-5") == retry_after(past) == 0
    assert 50 < retry_after(format_datetime(datetime.now(UTC) + timedelta(minutes=1))) <= 60
