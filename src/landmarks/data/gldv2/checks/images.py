"""Decodes and checks every image of some containers (tars, or folders of the extracted tree).

The findings of a container are recorded when all of it has been checked: a check that is killed loses only the few
containers in progress, and a later one decodes only what is new, has changed, or was checked by other rules.
"""

import multiprocessing
import signal
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, Field, ValidationError

from landmarks.data.gldv2.checks.containers import Container
from landmarks.data.images import UnreadableImageError, largest_divisor, open_image
from landmarks.data.processes import leave_with_parent
from landmarks.data.stores import MissingImageError
from landmarks.errors import LandmarksError
from landmarks.ids import ID_PATTERN, format_id
from landmarks.storage import atomic_file

ImageFault = Literal["unreadable", "tiny", "extreme_aspect"]

# An image smaller than the total stride of the networks does not fill one cell of their last feature map.
MIN_SHORT_SIDE = 32
# The published resize gives the short side its full length up to 3:1; at 5:1 it has three fifths of it.
MAX_ASPECT = 5.0

# Corruption shows in the entropy coding, which is decoded completely at every scale. Decoding with this many pixels on
# the short side therefore finds the same corrupt images, in two thirds of the time at 1024 x 768.
DECODED_SHORT_SIDE = 128
CHUNK = 128  # images a task: about a second of work

ImageId = Annotated[str, Field(pattern=ID_PATTERN)]
BadImage = tuple[ImageId, ImageFault, str]  # and the reason


class ContainerCheck(BaseModel):
    """The findings of a container: the MD5 of a tar (None for a folder), and the bad images in their order.

    `stamp` is the container's stamp before the check; the other fields are the rules by which images were checked.
    """

    stamp: str
    md5: str | None = None
    bad: list[BadImage] = []
    version: int = 1
    min_short_side: int = MIN_SHORT_SIDE
    max_aspect: float = MAX_ASPECT


def check_image(data: bytes) -> tuple[ImageFault, str] | None:
    """Decode and check one image; return its fault and the reason, or None if it has none."""
    try:
        image = open_image(data)
        height, width = image.height, image.width
        image.decode(largest_divisor(min(height, width) / DECODED_SHORT_SIDE))
    except UnreadableImageError as error:
        return "unreadable", str(error)
    if min(height, width) < MIN_SHORT_SIDE:
        return "tiny", f"{width} x {height} pixels"
    if max(height, width) > MAX_ASPECT * min(height, width):
        return "extreme_aspect", f"{width} x {height} pixels"
    return None


def find_checked(containers: Sequence[Container], records: Path) -> dict[str, ContainerCheck]:
    """Return the findings of earlier checks of containers that have not changed since, by name."""
    found = {}
    for container in containers:
        try:
            check = ContainerCheck.model_validate_json(_record(container, records).read_bytes())
        except (OSError, ValidationError):
            continue
        if check == ContainerCheck(stamp=container.stamp, md5=check.md5, bad=check.bad):  # by the current rules
            found[container.name] = check
    return found


def check_containers(
    containers: Sequence[Container], records: Path, workers: int, on_images: Callable[[int, int], None]
) -> dict[str, ContainerCheck]:
    """Check all images of some containers in other processes, except containers that an earlier check has finished.

    The findings are recorded below `records` and returned by the name of the container. `on_images` is called with the
    number of images checked so far and the number of images to check.
    """
    checks = find_checked(containers, records)
    new = [container for container in containers if container.name not in checks]
    done, total = 0, sum(len(container.ids) for container in new)
    on_images(done, total)
    context = multiprocessing.get_context("spawn")  # forked processes would inherit locks of our threads
    pool = ProcessPoolExecutor(workers, context, initializer=_enter_worker)
    try:
        results = pool.map(_check_part, [part for container in new for part in _parts(container)])
        for container in new:
            check, was_read = ContainerCheck(stamp=container.stamp), True
            for part in _parts(container):
                md5, bad, part_was_read = next(results)
                check.md5 = check.md5 or md5
                check.bad.extend(bad)
                was_read = was_read and part_was_read
                done += len(part.ids)
                on_images(done, total)
            if was_read:  # after read errors, check again next time: they may be temporary
                with atomic_file(_record(container, records)) as file:
                    file.write(check.model_dump_json(indent=1).encode())
            checks[container.name] = check
    except BrokenProcessPool as error:
        raise LandmarksError(
            "a process that checked images ended abruptly, perhaps for lack of memory; finished checks are kept: "
            "run the same command again with fewer --workers"
        ) from error
    except OSError as error:
        raise LandmarksError(
            f"{records}: the findings cannot be written ({error}); free disk space and run the command again"
        ) from error
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
    return checks


def _parts(container: Container) -> list[Container]:
    """Divide a container into tasks: one without images for its MD5, and chunks of its images."""
    return [
        container.take(slice(0)),
        *(container.take(slice(n, n + CHUNK)) for n in range(0, len(container.ids), CHUNK)),
    ]


def _check_part(part: Container) -> tuple[str | None, list[BadImage], bool]:
    """Return the MD5 if that is the task, the bad images, and whether everything could be read."""
    if not len(part.ids):
        try:
            return part.md5(), [], True
        except OSError:
            return None, [], False
    bad: list[BadImage] = []
    was_read = True
    for row, image_id in enumerate(part.ids.tolist()):
        try:
            fault = check_image(part.read(row))
        except MissingImageError as error:
            fault, was_read = ("unreadable", str(error)), False
        if fault is not None:
            bad.append((format_id(image_id), *fault))
    return None, bad, was_read


def _record(container: Container, records: Path) -> Path:
    folder, _, rest = container.name.partition("/")
    return records / folder / f"{rest.replace('/', '')}.json"


def _enter_worker() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent handles interruptions
    leave_with_parent()
