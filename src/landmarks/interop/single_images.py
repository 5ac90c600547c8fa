"""What a model says of single images: the published programs `test_retrieval` and `test_cls`, for any number of images.

The first printed the cosines of one image with others: the descriptors as they leave the network. The second printed
label and score of one. Images are sized as the model says, and embedded in batches of one shape.
"""

import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from landmarks.config import available_cores
from landmarks.errors import LandmarksError
from landmarks.interop.image_files import AnyImage, image_name, pixels_of
from landmarks.models import OpenedModel, normalize
from landmarks.recognition import likeliest

Refused = Callable[[int, LandmarksError], None]
"""Is told the place of an image that cannot be used, and why."""

MAX_DIGITS = 18  # of an int64

TOGETHER = 32  # images in memory at a time, at the size that the network sees
BATCH_PIXELS = 1 << 21  # of a batch at most: 32 images of 256 x 256, or 2 of 1024 x 1024
THREAD_PIXELS = 1 << 15  # of a batch for each thread: with fewer, threads wait for one another


def embed_images(
    embedder: OpenedModel,
    images: Iterable[AnyImage],
    scales: Sequence[float] = (1.0,),
    flip: bool = False,
    refused: Refused | None = None,
) -> NDArray[np.float32]:
    """Embed images, in batches of one shape.

    Args:
        embedder: Opened for "descriptors".
        images: N files, images of Pillow or arrays of any sizes.
        scales: Factors of the model's image size. With several views of an image, its descriptor is the sum of their
            L2-normalised descriptors.
        flip: Also embed every view mirrored.
        refused: Called with place and reason of every image that cannot be used, which then has no row; None raises a
            LandmarksError at the first.

    Returns:
        float32 [N, D], for one view as the network gives it; nothing is normalised.
    """
    rows = [row for _, row in embedded(embedder, images, scales, flip, refused)]
    return np.stack(rows) if rows else np.empty((0, 0), np.float32)


def embedded(
    embedder: OpenedModel,
    images: Iterable[AnyImage],
    scales: Sequence[float] = (1.0,),
    flip: bool = False,
    refused: Refused | None = None,
) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Give the place of each image that can be used, and its descriptor, one after another, see `embed_images`."""
    for place, image, row in _embedded(embedder, images, scales, flip, refused):
        if not np.isfinite(row).all() or not row.any():
            raise LandmarksError(
                f"{image_name(image, place)}: {embedder.name} gives a descriptor that is not finite, or nothing but "
                "zeros; its training has diverged, or its weights are corrupt"
            )
        yield place, row


def similarities(descriptors: NDArray[np.floating]) -> NDArray[np.float64]:
    """Compute the cosines of the first descriptor with each of the others: [N, D], none zero, to float64 [N - 1]."""
    rows = descriptors.astype(np.float64)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return np.clip(rows[1:] @ rows[0], -1.0, 1.0)  # rounding may have passed 1


def _embedded(
    model: OpenedModel,
    images: Iterable[AnyImage],
    scales: Sequence[float] = (1.0,),
    flip: bool = False,
    refused: Refused | None = None,
) -> Iterator[tuple[int, AnyImage, NDArray[np.float32]]]:
    """Give the place of each image that can be used, the image, and the sum of its views; reads ahead."""
    sizes = [model.preprocessing.scaled(scale) for scale in scales]
    left, idle = enumerate(images), idle_cores()

    def read(place: int, image: AnyImage) -> list[NDArray[np.uint8]] | LandmarksError:
        try:
            pixels = pixels_of(image)
        except LandmarksError as error:
            return error if isinstance(image, (str, Path)) else LandmarksError(f"{image_name(image, place)}: {error}")
        return [size(pixels) for size in sizes]

    with ThreadPoolExecutor(available_cores()) as pool:

        def begin() -> list[tuple[int, AnyImage, Future[list[NDArray[np.uint8]] | LandmarksError]]]:
            return [(place, image, pool.submit(read, place, image)) for place, image in islice(left, TOGETHER)]

        upcoming = begin()
        while upcoming:
            some, upcoming = upcoming, begin()
            views: dict[int, list[NDArray[np.uint8]]] = {}
            for place, _, future in some:
                found = future.result()
                if isinstance(found, LandmarksError):
                    if refused is None:
                        pool.shutdown(wait=False, cancel_futures=True)
                        raise found
                    refused(place, found)
                else:
                    views[place] = found
            rows = _summed(model, views, flip, idle)
            yield from ((place, image, rows[place]) for place, image, _ in some if place in views)


def _summed(
    model: OpenedModel, views: Mapping[int, list[NDArray[np.uint8]]], flip: bool, idle: int
) -> dict[int, NDArray[np.float32]]:
    """Embed the views of some images, in batches of one shape, and add those of each image up."""
    by_shape: dict[tuple[int, ...], list[tuple[int, NDArray[np.uint8]]]] = defaultdict(list)
    for place, found in views.items():
        for view in found:
            for one in (view, view[:, ::-1]) if flip else (view,):
                by_shape[one.shape].append((place, one))
    parts: dict[int, list[NDArray[np.float32]]] = defaultdict(list)
    for (height, width, _), group in by_shape.items():
        size = max(BATCH_PIXELS // (height * width), 1)
        for first in range(0, len(group), size):
            places, images = zip(*group[first : first + size], strict=True)
            for place, row in zip(places, _network_says(model, np.stack(images), idle), strict=True):
                parts[place].append(row)
    return {place: rows[0] if len(rows) == 1 else _sum_of_unit(rows) for place, rows in parts.items()}


def _sum_of_unit(rows: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    stacked = np.stack(rows)
    lengths = np.linalg.norm(stacked, axis=1, keepdims=True)
    total: NDArray[np.float32] = (stacked / np.maximum(lengths, np.finfo(np.float32).tiny)).sum(axis=0)
    return total


def _network_says(model: OpenedModel, images: NDArray[np.uint8], idle: int) -> NDArray[np.float32]:
    """Images of one shape, uint8 [B, H, W, 3], to float32 [B, D]."""
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous()
    place = next(model.network.parameters(), torch.empty(0)).device
    try:
        with torch.inference_mode(), threads_for(images[..., 0].size, idle):
            found: NDArray[np.float32] = model.network(normalize(pixels.to(place))).float().cpu().numpy()
    except LandmarksError as error:
        raise LandmarksError(f"{model.path}: {error}") from None
    return found


def idle_cores() -> int:
    """Cores that this process may use and nobody else does, at least 1; ask before work, which counts as well."""
    load = round(os.getloadavg()[0]) if hasattr(os, "getloadavg") else 0
    return max(available_cores() - load, 1)


@contextmanager
def threads_for(pixels: int, idle: int) -> Iterator[None]:
    """A block in which torch takes as many threads as a batch of so many pixels is worth, no more than idle cores.

    On a busy machine the threads of each small operation wait for the slowest of them: with all threads, 64 thumbnails
    took 20 times as long as with one.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(max(min(before, idle, pixels // THREAD_PIXELS), 1))
    try:
        yield
    finally:
        torch.set_num_threads(before)


@dataclass(frozen=True)
class LandmarkClass:
    """A class of a classifier.

    Attributes:
        label: its index, from 0.
        landmark_id: in Google Landmarks v2; None where the model does not say, or it is a landmark of other data.
        category: what people call it; None where unknown.
    """

    label: int
    landmark_id: int | None
    category: str | None


def classify_images(
    classifier: OpenedModel, images: Iterable[AnyImage], top: int = 5
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """The likeliest classes of images, in batches of one shape.

    Args:
        classifier: opened for "classes", of which it has C.
        images: N files, images of Pillow or arrays of any sizes; `check_images` names all files that cannot be used.
        top: classes of each image; no more than there are.

    Returns:
        Labels int32 and probabilities float32 of a softmax over all classes, both [N, min(top, C)], the likeliest
        first. `landmark_class` says what a label stands for.
    """
    if top < 1:
        raise LandmarksError(f"--top {top}: ask for 1 class or more")
    head = classifier.head
    assert head is not None
    # The weights of 203,094 landmarks pass by once for all images, a few thousand at a time.
    rows = np.array([row for *_, row in _embedded(classifier, images)], np.float32).reshape(-1, head.dim)
    return likeliest(rows, head, top, str(classifier.path))


def landmark_class(classifier: OpenedModel, label: int, categories: Mapping[int, str] | None = None) -> LandmarkClass:
    """Say what a label stands for; `categories` are names by landmark_id, which go before those of the model."""
    record = classifier.record
    name = record.labels[label] if record.labels else None
    number = int(name) if name is not None and name.isdecimal() and len(name) <= MAX_DIGITS else None
    title = record.titles[label] if record.titles else None
    if number is not None and categories is not None:
        title = categories.get(number, title)
    # landmarks of other data, such as the folders of one's own photographs, have names instead of numbers
    return LandmarkClass(label, number, title or (name if number is None else None))
