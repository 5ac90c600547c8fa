"""Processes that do the same work on many jobs and return results in the order of the jobs.

OpenCV and NumPy's BLAS use one thread in each process, because several processes that each use all cores would slow
each other down.
"""

import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Any, Generic, TypeVar

import cv2

from landmarks.data import leave_with_parent
from landmarks.errors import LandmarksError

Job = TypeVar("Job")
Result = TypeVar("Result")

# Numerical libraries read these when they are loaded, so they must be set before a process starts.
THREAD_SETTINGS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
# Jobs queued per process.
AHEAD = 2

_work: Callable[[Any], Any]


class Workers(Generic[Job, Result]):
    """Worker processes, which a ``with`` statement ends; a `count` of one does the work in this process."""

    def __init__(self, what: str, work: Callable[[Job], Result], count: int) -> None:
        self.what = what
        self.work = work
        self.count = count
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> "Workers[Job, Result]":
        return self

    def __exit__(self, *error: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def map(self, jobs: Iterable[Job]) -> Iterator[Result]:
        """Yield the results in the order of the jobs; only a few jobs are queued at a time."""
        if self.count == 1:
            for job in jobs:
                with _one_opencv_thread():
                    result = self.work(job)
                yield result
            return
        if self._pool is None:
            # Spawned, not forked: forked processes inherit locks held by threads of OpenCV and other libraries.
            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(self.count, context, initializer=_enter_worker, initargs=(self.work,))
        pending: deque[Future[Result]] = deque()
        try:
            for job in jobs:
                with _one_blas_thread():
                    pending.append(self._pool.submit(_do, job))
                if len(pending) > AHEAD * self.count:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        except BrokenProcessPool as error:
            raise LandmarksError(
                f"a process for {self.what} ended abruptly, perhaps for lack of memory; finished work is kept: run the "
                "same command again with fewer processes, pipeline.workers=1"
            ) from error


def _enter_worker(work: Callable[[Any], Any]) -> None:
    global _work
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent handles interrupts
    cv2.setNumThreads(1)
    leave_with_parent()
    _work = work


def _do(job: Any) -> Any:
    return _work(job)


@contextmanager
def _one_blas_thread() -> Iterator[None]:
    """Set the environment for processes that start within the block."""
    before = {name: os.environ.get(name) for name in THREAD_SETTINGS}
    os.environ.update(dict.fromkeys(THREAD_SETTINGS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextmanager
def _one_opencv_thread() -> Iterator[None]:
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(threads)
