import threading
from collections.abc import Callable

import pytest

from landmarks.data.transfer.patience import DownloadError, Patience, SetbackError, StoppedError, UnreachableError

QUICK = Patience(attempts=3, first_wait_seconds=0.0001, longest_wait_seconds=0.001)


def failing(times: int, answered: bool = True) -> tuple[Callable[[], int], list[int]]:
    calls: list[int] = []

    def attempt() -> int:
        calls.append(len(calls))
        if len(calls) <= times:
            raise SetbackError("no luck", answered=answered)
        return 7

    return attempt, calls


def test_goes_on_until_it_succeeds() -> None:
    attempt, calls = failing(2)
    assert QUICK.persist("it", attempt, threading.Event()) == 7 and len(calls) == 3


@pytest.mark.parametrize(("answered", "kind"), [(True, DownloadError), (False, UnreachableError)])
def test_gives_up_after_fruitless_attempts(answered: bool, kind: type[Exception]) -> None:
    attempt, calls = failing(99, answered)
    with pytest.raises(kind, match="it: no luck; gave up after 3 fruitless attempts") as caught:
        QUICK.persist("it", attempt, threading.Event())
    assert type(caught.value) is kind and len(calls) == 3


def test_attempts_that_bring_something_do_not_count() -> None:
    attempt, calls = failing(20)
    assert QUICK.persist("it", attempt, threading.Event(), progress=lambda: len(calls)) == 7


def test_bringing_the_same_again_is_no_progress() -> None:
    attempt, calls = failing(99)
    with pytest.raises(DownloadError):
        QUICK.persist("it", attempt, threading.Event(), progress=lambda: 5 * (len(calls) > 0))
    assert len(calls) == 4  # the first brought something


def test_stop_ends_the_waiting() -> None:
    stop = threading.Event()

    def attempt() -> None:
        stop.set()
        raise SetbackError("later", wait=3600)

    with pytest.raises(StoppedError):
        QUICK.persist("it", attempt, stop)


def test_waits_grow_up_to_a_limit() -> None:
    patience = Patience(first_wait_seconds=1, longest_wait_seconds=60)
    waits = [patience.wait(failures) for failures in (0, 3, 9, 5000)]
    assert 0.5 <= waits[0] <= 1 and 4 <= waits[1] <= 8 and all(30 <= wait <= 60 for wait in waits[2:])
