"""Work for processes, in a module that they can import."""

import os
import time

import cv2

from landmarks.errors import LandmarksError
from landmarks.retrieval.local import THREAD_SETTINGS


def square(number: int) -> int:
    time.sleep(0.02 * (number % 2))
    return number**2


def about_threads(_: int) -> tuple[int, str | None, int]:
    return cv2.getNumThreads(), os.environ.get(THREAD_SETTINGS[0]), os.getpid()


def die(number: int) -> int:
    if number == 3:
        os._exit(1)
    return number


def refuse(number: int) -> int:
    raise LandmarksError(f"not {number}")
