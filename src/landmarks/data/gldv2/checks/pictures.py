"""Decodes every picture of some containers (tars, or folders of the extracted tree) and judges it.

What was found in a container is recorded when all of it was checked, so a check that is killed loses only the few
containers that it had under way.
"""

import multiprocessing
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from pathlib import Path
from typing import Any

import simplejpeg

from landmarks.data.gldv2.checks.containers import Container
from landmarks.data.gldv2.checks.records import (
    MAX_ASPECT,
    MIN_SHORT_SIDE,
    BadPicture,
    ContainerCheck,
    PictureFault,
    write_record,
)
from landmarks.data.images.decode import UnreadableImageError, decode
from landmarks.data.processes import leave_with_parent
from landmarks.data.stores.store import MissingImageError
from landmarks.errors import LandmarksError

# Damage shows in the entropy coding, which is decoded in full at every scale; only the pixels are fewer. This
# many on the short side leave what is damaged the same and take two thirds of the time at 1024 x 768.
DECODED_SHORT_SIDE = 128
CHUNK = 128  # pictures a task: about a second of work


def check_picture(data: bytes) -> tuple[PictureFault, str] | None:
    """Decode one picture and judge it: its fault and the reason, or None for a good one."""
    try:
        image = decode(data, min_short_side=DECODED_SHORT_SIDE)
    except UnreadableImageError as error:
        return "unreadable", str(error)
    try:
        height, width = simplejpeg.decode_jpeg_header(data)[:2]
    except ValueError:  # what only Pillow can read is never scaled
        height, width = image.shape[:2]
    if min(height, width) < MIN_SHORT_SIDE:
        return "tiny", f"{width} x {height} pixels"
    if max(height, width) > MAX_ASPECT * min(height, width):
        return "extreme_aspect", f"{width} x {height} pixels"
    return None


def check_containers(
    containers: Sequence[Container], records: Path, workers: int, on_pictures: Callable[[int], None]
) -> list[ContainerCheck]:
    """Check all pictures of some containers in other processes.

    Args:
        containers: Those without a valid record.
        records: Folder for what is found; made here.
        workers: Processes.
        on_pictures: Told how many more pictures were checked, for a progress bar.

    Raises:
        LandmarksError: A process ended abruptly, or `records` cannot be written. What was recorded stays.
    """
    context = multiprocessing.get_context("spawn")  # forked processes would inherit locks of our threads
    pool = ProcessPoolExecutor(workers, context, initializer=_enter_worker)
    try:
        return list(_checked(pool, containers, records, workers, on_pictures))
    except BrokenProcessPool as error:
        raise LandmarksError(
            "a process that checked pictures ended abruptly, perhaps for lack of memory; what was checked is kept: "
            "run the same again with fewer --workers"
        ) from error
    except OSError as error:
        raise LandmarksError(f"{records}: cannot keep what was found ({error}); make room and run it again") from error
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _checked(
    pool: ProcessPoolExecutor,
    containers: Sequence[Container],
    records: Path,
    workers: int,
    on_pictures: Callable[[int], None],
) -> Iterator[ContainerCheck]:
    """Each container as soon as all its tasks are done, when it has been recorded."""
    tasks = ((number, start) for number, one in enumerate(containers) for start in _starts(one))
    open_tasks = {number: len(_starts(one)) for number, one in enumerate(containers)}
    md5: dict[int, str | None] = {}
    bad: dict[int, dict[int, list[BadPicture]]] = {number: {} for number in open_tasks}
    not_read: set[int] = set()
    pending: dict[Future[Any], tuple[int, int | None]] = {}
    while True:
        # Few at a time, in order, so that containers are completed one after the other.
        for number, start in islice(tasks, 3 * workers - len(pending)):
            if start is None:
                future: Future[Any] = pool.submit(_md5, containers[number].take(slice(0)))
            else:
                future = pool.submit(_check_chunk, containers[number].take(slice(start, start + CHUNK)))
            pending[future] = (number, start)
        if not pending:
            return
        for future in wait(pending, return_when=FIRST_COMPLETED).done:
            number, start = pending.pop(future)
            found, was_read = future.result()
            if start is None:
                md5[number] = found
            else:
                bad[number][start] = found
                on_pictures(min(CHUNK, len(containers[number].ids) - start))
            if not was_read:
                not_read.add(number)
            open_tasks[number] -= 1
            if open_tasks[number] == 0:
                ordered = tuple(picture for _, chunk in sorted(bad.pop(number).items()) for picture in chunk)
                check = ContainerCheck(containers[number].name, md5[number], ordered)
                if number not in not_read:  # a disk that fails may be mended, and says nothing about the pictures
                    write_record(containers[number], check, records)
                yield check


def _starts(container: Container) -> list[int | None]:
    """The tasks of a container: None for its MD5, then the first picture of each chunk."""
    return [None, *range(0, len(container.ids), CHUNK)]


def _md5(container: Container) -> tuple[str | None, bool]:
    """The sum, and whether the tar could be read."""
    try:
        return container.md5(), True
    except OSError:
        return None, False


def _check_chunk(container: Container) -> tuple[list[BadPicture], bool]:
    """The bad pictures, and whether all could be read."""
    bad, was_read = [], True
    for row, image_id in enumerate(container.ids.tolist()):
        try:
            fault = check_picture(container.read(row))
        except MissingImageError as error:
            fault, was_read = ("unreadable", str(error)), False
        if fault is not None:
            bad.append(BadPicture(image_id, *fault))
    return bad, was_read


def _enter_worker() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interruption is the parent's to handle
    leave_with_parent()
