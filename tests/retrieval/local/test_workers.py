import os

import cv2
import numpy as np
import pytest

from jobs import about_threads, die, refuse, square
from landmarks.errors import LandmarksError
from landmarks.retrieval.local import THREAD_SETTINGS, Workers


@pytest.mark.parametrize("count", [1, 2])
def test_results_come_in_the_order_of_the_jobs(count):
    with Workers("squares", square, count) as workers:
        assert list(workers.map(range(9))) == [n**2 for n in range(9)]
        assert list(workers.map([5])) == [25]
        assert list(workers.map([])) == []


def test_processes_keep_to_one_thread_and_this_one_is_as_it_was(monkeypatch):
    monkeypatch.delenv(THREAD_SETTINGS[0], raising=False)
    threads = cv2.getNumThreads()
    with Workers("threads", about_threads, 2) as workers:
        answers = list(workers.map(range(4)))
    assert {(one, setting) for one, setting, _ in answers} == {(1, "1")}
    assert os.getpid() not in {process for _, _, process in answers}
    with Workers("threads", about_threads, 1) as workers:
        assert [(one, process) for one, _, process in workers.map([0])] == [(1, os.getpid())]
    assert cv2.getNumThreads() == threads
    assert THREAD_SETTINGS[0] not in os.environ


def test_a_process_that_dies_is_reported():
    with pytest.raises(LandmarksError, match="a process for counting ended abruptly"), Workers("counting", die, 2) as w:
        list(w.map(range(8)))


def test_errors_of_the_work_come_through():
    with pytest.raises(LandmarksError, match="not 4"), Workers("refusing", refuse, 2) as workers:
        list(workers.map(np.array([4, 5]).tolist()))
