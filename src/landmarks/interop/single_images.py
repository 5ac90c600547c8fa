"""Embed and classify single images, as the published programs `test_retrieval` and `test_cls` do.

The first printed the cosines of one image with others, from the unnormalised descriptors of the network; the second
printed label and score of one image. Here any number of images is resized with the model's preprocessing, and embedded
in batches of one shape.
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
"""Called with the place of an image that cannot be used, and the reason."""

MAX_DIGITS = 18  # longer numbers may not fit into int64

TOGETHER = 32  # images read at the same time; they are kept in memory at the size of the network's input
BATCH_PIXELS = 1 << 21  # most pixels of a batch: 32 images of 256 x 256, or 2 of 1024 x 1024
THREAD_PIXELS = 1 << 15  # fewest pixels of a batch for each thread; with fewer, threads mostly wait for one another


def embed_images(
    embedder: OpenedModel,
    images: Iterable[AnyImage],
    scales: Sequence[float] = (1.0,),
    flip: bool = False,
    refused: Refused | None = None,
) -> NDArray[np.float32]:
    """Embed images, in batches of one shape.

    Args:
        embedder: Model opened for "descriptors".
        images: N files, Pillow images or arrays of any sizes.
        scales: Factors of the model's image size. With several views of an image, its descriptor is the sum of their
            L2-normalised descriptors.
        flip: Also embed every view mirrored.
        refused: Called with place and reason of every image that cannot be used, which then has no row. By default a
            LandmarksError is raised at the first.

    Returns:
        Descriptors float32 [N, D], not normalised.

    Raises:
        LandmarksError: An image cannot be used and `refused` is None, or the model gives an invalid descriptor.
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
    """Yield the place and the descriptor of each image that can be used, see `embed_images`."""
    for place, image, row in _embedded(embedder, images, scales, flip, refused):
        if not np.isfinite(row).all() or not row.any():
            raise LandmarksError(
                f"{image_name(image, place)}: {embedder.name} gives a descriptor that is not finite, or all zeros; its "
                "training has diverged, or its weights are corrupt"
            )
        yield place, row


def similarities(descriptors: NDArray[np.floating]) -> NDArray[np.float64]:
    """Compute the cosines of the first descriptor with the others: [N, D], none zero, to float64 [N - 1]."""
    rows = descriptors.astype(np.float64)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return np.clip(rows[1:] @ rows[0], -1.0, 1.0)  # rounding may exceed 1


def _embedded(
    model: OpenedModel,
    images: Iterable[AnyImage],
    scales: Sequence[float] = (1.0,),
    flip: bool = False,
    refused: Refused | None = None,
) -> Iterator[tuple[int, AnyImage, NDArray[np.float32]]]:
    """Yield place, image and descriptor of each image that can be used, while the next images are read."""
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
    """Embed the views of some images in batches of one shape, and sum those of each image."""
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
    """Run the network on images of one shape, uint8 [B, H, W, 3], and return its outputs, float32 [B, D]."""
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous()
    place = next(model.network.parameters(), torch.empty(0)).device
    try:
        with torch.inference_mode(), threads_for(images[..., 0].size, idle):
            found: NDArray[np.float32] = model.network(normalize(pixels.to(place))).float().cpu().numpy()
    except LandmarksError as error:
        raise LandmarksError(f"{model.path}: {error}") from None
    return found


def idle_cores() -> int:
    """Return the number of idle cores, at least 1; call it before starting work, which counts as load as well."""
    load = round(os.getloadavg()[0]) if hasattr(os, "getloadavg") else 0
    return max(available_cores() - load, 1)


@contextmanager
def threads_for(pixels: int, idle: int) -> Iterator[None]:
    """Limit torch in this context to as many threads as a batch of so many pixels needs, and to the idle cores.

    On a busy machine the threads of every small operation wait for the slowest one: with all threads, 64 thumbnails
    took 20 times as long as with one thread.
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
        label: Index of the class, from 0.
        landmark_id: Landmark id of Google Landmarks v2; None if unknown, or for a landmark of other data.
        category: Readable name of the landmark; None if unknown.
    """

    label: int
    landmark_id: int | None
    category: str | None


def classify_images(
    classifier: OpenedModel, images: Iterable[AnyImage], top: int = 5
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Find the likeliest classes of images, in batches of one shape.

    Args:
        classifier: Model opened for "classes", with C classes.
        images: N files, Pillow images or arrays of any sizes; use `check_images` to find all files that cannot be used.
        top: Number of classes for each image.

    Returns:
        Labels int32 and softmax probabilities over all classes, float32, both [N, min(top, C)], the likeliest first.
        `landmark_class` describes a label.

    Raises:
        LandmarksError: An image cannot be used, or `top` is less than 1.
    """
    if top < 1:
        raise LandmarksError(f"top {top}: ask for 1 class or more")
    head = classifier.head
    assert head is not None
    # All images are classified together, so that the weights of 203,094 landmarks are read only once, in blocks.
    rows = np.array([row for *_, row in _embedded(classifier, images)], np.float32).reshape(-1, head.dim)
    return likeliest(rows, head, top, str(classifier.path))


def landmark_class(classifier: OpenedModel, label: int, categories: Mapping[int, str] | None = None) -> LandmarkClass:
    """Return the class of a label.

    Args:
        classifier: The model.
        label: Index of the class.
        categories: Names by landmark_id, which take precedence over those of the model.
    """
    record = classifier.record
    name = record.labels[label] if record.labels else None
    number = int(name) if name is not None and name.isdecimal() and len(name) <= MAX_DIGITS else None
    title = record.titles[label] if record.titles else None
    if number is not None and categories is not None:
        title = categories.get(number, title)
    # Landmarks of other data, such as folders of the user's own photographs, have names instead of numbers.
    return LandmarkClass(label, number, title or (name if number is None else None))
