import subprocess
import sys
import threading

import pytest

from landmarks.data.transfer.interruptible import in_parallel


def test_results_in_order() -> None:
    assert in_parallel(lambda n: n * n, range(50), 8, threading.Event()) == [n * n for n in range(50)]
    assert in_parallel(str, [], 8, threading.Event()) == []


def test_first_error_stops_the_rest() -> None:
    stop = threading.Event()
    begun: list[int] = []

    def work(number: int) -> None:
        begun.append(number)
        if number == 3:
            raise ValueError("three")

    with pytest.raises(ValueError, match="three"):
        in_parallel(work, range(100_000), 1, stop)
    assert stop.is_set() and len(begun) < 100_000


def test_end_of_the_program_does_not_wait_for_a_stuck_thread() -> None:
    program = (
        "import threading, time; from landmarks.data.transfer.interruptible import in_parallel\n"
        "def work(n):\n    if n: raise SystemExit('left')\n    time.sleep(3600)\n"
        "in_parallel(work, [0, 1], 2, threading.Event())"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert ended.returncode == 1 and ended.stderr == "left\n"
