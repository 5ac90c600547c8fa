"""Work in parallel that Ctrl-C ends at once, although a thread may sit in a network call for another half minute."""

import queue
import threading
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

STOP_SECONDS = 1.0
T = TypeVar("T")
R = TypeVar("R")


def in_parallel(work: Callable[[T], R], items: Sequence[T], workers: int, stop: threading.Event) -> list[R]:
    """Apply `work` to all items, in threads that the end of the program does not wait for.

    Args:
        work: must bear being cut off anywhere.
        items: are begun in their order.
        workers: threads.
        stop: set when an exception, KeyboardInterrupt too, ends this call early; `work` should then return soon.

    Returns:
        The results in the order of the items.

    Raises:
        Exception: the first that `work` raised.
    """
    todo: queue.SimpleQueue[tuple[int, T]] = queue.SimpleQueue()
    finished: queue.SimpleQueue[tuple[int, R | BaseException]] = queue.SimpleQueue()
    for numbered in enumerate(items):
        todo.put(numbered)

    def run() -> None:
        while not stop.is_set():
            try:
                number, item = todo.get_nowait()
            except queue.Empty:
                return
            try:
                finished.put((number, work(item)))
            except BaseException as error:
                finished.put((number, error))

    threads = [threading.Thread(target=run, daemon=True) for _ in range(min(workers, len(items)))]
    for thread in threads:
        thread.start()
    results: dict[int, R] = {}
    try:
        while len(results) < len(items):
            number, result = finished.get()
            if isinstance(result, BaseException):
                raise result
            results[number] = result
    except BaseException:
        stop.set()
        deadline = time.monotonic() + STOP_SECONDS
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        raise
    return [results[number] for number in range(len(items))]
