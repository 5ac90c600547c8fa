"""Heights and widths of all images of a set, read once from the first bytes of each image and cached.

They allow planning batches of one shape before any image is decoded, and serve only that: an image that has changed
since then is put into a less suitable batch, and is cropped or batched by its actual size. A hash of the set's ids is
therefore a sufficient cache key.
"""

import logging
import shutil
import time
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset

from landmarks.data.images.decoding import MAX_PIXELS, UnreadableImageError, open_image
from landmarks.data.images.jpeg_header import TruncatedHeaderError, read_jpeg_header
from landmarks.data.source import ImageSet
from landmarks.data.stores import MissingImageError
from landmarks.errors import LandmarksError
from landmarks.progress import show_progress
from landmarks.storage import ChangedError, Column, RowLog, check_folder, map_array

HEAD = 4096  # bytes; the headers of photographs without EXIF end before 1,000
LARGEST = 2**16 - 1  # sizes are kept as uint16
BLOCK = 2048  # images that a worker reads at a time
COLUMNS = {"sizes": Column(np.uint16, (2,))}
Sizes = NDArray[np.uint16]

log = logging.getLogger(__name__)


def read_size(images: ImageSet, row: int) -> tuple[int, int]:
    """Return the upright height and width of an image, as `decode` would give it; 0 x 0 if its header is unreadable."""
    data = images.read(row, HEAD)
    try:
        while True:
            try:
                header = read_jpeg_header(data)
            except TruncatedHeaderError as error:
                more = images.read(row, max(error.needed, 4 * len(data)))
                if len(more) == len(data):
                    raise
                data = more
            else:
                height, width = header.upright
                return (height, width) if 0 < height * width <= MAX_PIXELS else (0, 0)
    except ValueError:  # not a JPEG, or an unusual one
        try:
            image = open_image(images.read(row))
        except UnreadableImageError:
            return 0, 0
        return min(image.height, LARGEST), min(image.width, LARGEST)


def image_sizes(images: ImageSet, folder: Path, workers: int = 0) -> Sizes:
    """Return the upright height and width of each image: uint16 [N, 2], mapped from a file; 0 x 0 if unreadable.

    An interrupted call keeps the sizes read so far, and the next call resumes from there. If several processes call it
    at the same time, one reads the sizes and the others wait.

    Args:
        images: The N images.
        folder: The folder that holds the cached sizes.
        workers: Processes that read the headers; 0 reads them in this process.
    """
    path = sizes_path(images, folder)
    found = _open(path, len(images))
    if found is not None:
        return found
    try:
        with RowLog(path.with_suffix(".partial"), COLUMNS, wait=True) as rows:
            found = _open(path, len(images))  # another process may have finished while this one waited
            if found is not None:
                rows.discard()
                return found
            return _measure(images, rows, path, workers)
    except OSError as error:
        raise LandmarksError(f"{path}: cannot be written ({error.strerror or error})") from error


def sizes_path(images: ImageSet, folder: Path) -> Path:
    """Return the folder that holds the sizes of these images once they are known."""
    return folder / blake2b(images.table.ids.tobytes(), digest_size=8).hexdigest()


class _Blocks(Dataset[tuple[Sizes, str]]):
    """Sizes of `BLOCK` images from a row on, with the error of the first missing image, empty if none is missing."""

    def __init__(self, images: ImageSet) -> None:
        self.images = images

    def __getitem__(self, start: int) -> tuple[Sizes, str]:
        rows = range(start, min(start + BLOCK, len(self.images)))
        sizes = np.zeros((len(rows), 2), np.uint16)
        missing = ""
        for number, row in enumerate(rows):
            try:
                sizes[number] = read_size(self.images, row)
            except MissingImageError as error:
                missing = missing or str(error)
        return sizes, missing


def _measure(images: ImageSet, rows: RowLog, path: Path, workers: int) -> Sizes:
    """Append the missing sizes to `rows`, then move the complete file to `path`."""
    known = rows.read("sizes")
    parts, keep, started = [known], True, time.perf_counter()
    starts = range(len(known), len(images), BLOCK)
    loader = DataLoader(_Blocks(images), batch_size=None, sampler=starts, num_workers=workers, collate_fn=_as_it_is)
    with show_progress() as progress:
        progress.show("reading image sizes", len(known), len(images), "images")
        for sizes, missing in loader:
            if missing and keep:
                log.warning("not all image sizes could be read, so they will be read again next time: %s", missing)
                keep = False  # the missing images may be available next time
            if keep:
                rows.add({"sizes": sizes})
            parts.append(sizes)
            progress.show("reading image sizes", sum(map(len, parts)), len(images), "images")
    whole = np.concatenate(parts)
    log.info("read the sizes of %d images in %.1f s", len(whole) - len(known), time.perf_counter() - started)
    if keep:
        try:
            rows.finish(path)
        except (ChangedError, FileNotFoundError) as error:  # without locks: another process was at work as well
            log.warning("image sizes could not be saved and will be read again next time: %s", error)
    return whole


def _as_it_is(block: Any) -> Any:
    return block


def _open(path: Path, count: int) -> Sizes | None:
    """Open the sizes in a folder; return None if it does not exist or was corrupt, in which case it is removed."""
    if not path.exists():
        return None
    try:
        check_folder(path)
        return map_array(path / "sizes.npy", np.dtype(np.uint16), (count, 2))
    except (OSError, ValueError, ChangedError) as error:
        log.warning("%s cannot be used and will be made again: %s", path, error)
        shutil.rmtree(path, ignore_errors=True)
        return None
