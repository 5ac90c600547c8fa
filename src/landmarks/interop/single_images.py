"""What a model says of single images: the released programs `test_retrieval` and `test_cls`, for any number of images.

The first printed the cosines of one image with others: the descriptors as they leave the network. The second printed
label and score of one. Images are sized as the model says, and embedded in batches of one shape.
"""

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from landmarks.config import available_cores
from landmarks.errors import LandmarksError, shown
from landmarks.interop.image_files import read_picture
from landmarks.models import OpenedModel, normalize
from landmarks.recognition import likeliest

MAX_DIGITS = 18  # of an int64

TOGETHER = 32  # images in memory at a time, at the size that the network sees
BATCH_PIXELS = 1 << 21  # of a batch at most: 32 images of 256 x 256, or 2 of 1024 x 1024
THREAD_PIXELS = 1 << 15  # of a batch for each thread: with fewer, threads wait for one another


def describe_pictures(describer: OpenedModel, paths: Iterable[str | Path]) -> NDArray[np.float32]:
    """Describe pictures, in batches of one shape.

    Args:
        describer: opened for "descriptors".
        paths: N pictures of any sizes; `check_pictures` names all that cannot be used before.

    Returns:
        float32 [N, D], as the network gives them; nothing is normalised.
    """
    rows = []
    for path, row in _described(describer, paths):
        rows.append(row)
        if not np.isfinite(row).all() or not row.any():
            raise LandmarksError(
                f"{shown(path)}: {describer.name} gives a descriptor that is not finite, or nothing but zeros; its "
                "training has diverged, or its weights are damaged"
            )
    return np.stack(rows) if rows else np.empty((0, 0), np.float32)


def similarities(descriptors: NDArray[np.floating]) -> NDArray[np.float64]:
    """Compute the cosines of the first descriptor with each of the others: [N, D], none zero, to float64 [N - 1]."""
    rows = descriptors.astype(np.float64)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return np.clip(rows[1:] @ rows[0], -1.0, 1.0)  # rounding may have passed 1


def _described(model: OpenedModel, paths: Iterable[str | Path]) -> Iterator[tuple[str | Path, NDArray[np.float32]]]:
    """Give each path, in order, with what the network says of its image, float32 [D]."""
    left, idle = iter(paths), idle_cores()
    while some := list(islice(left, TOGETHER)):
        by_shape: dict[tuple[int, ...], list[tuple[int, NDArray[np.uint8]]]] = defaultdict(list)
        for place, path in enumerate(some):
            image = model.preprocessing(read_picture(path))
            by_shape[image.shape].append((place, image))
        rows: dict[int, NDArray[np.float32]] = {}
        for (height, width, _), group in by_shape.items():
            size = max(BATCH_PIXELS // (height * width), 1)
            for first in range(0, len(group), size):
                places, images = zip(*group[first : first + size], strict=True)
                rows.update(zip(places, _network_says(model, np.stack(images), idle), strict=True))
        yield from ((path, rows[place]) for place, path in enumerate(some))


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
        category: what people call it; None where nobody said.
    """

    label: int
    landmark_id: int | None
    category: str | None


def classify_pictures(
    classifier: OpenedModel, paths: Iterable[str | Path], top: int = 5
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """The likeliest classes of pictures, in batches of one shape.

    Args:
        classifier: opened for "classes", of which it has C.
        paths: N pictures of any sizes; `check_pictures` names all that cannot be used before.
        top: classes of each picture; no more than there are.

    Returns:
        Labels int32 and probabilities float32 of a softmax over all classes, both [N, min(top, C)], the likeliest
        first. `landmark_class` says what a label stands for.
    """
    if top < 1:
        raise LandmarksError(f"--top {top}: ask for 1 class or more")
    head = classifier.head
    assert head is not None
    # The weights of 203,094 landmarks pass by once for all images, a few thousand at a time.
    rows = np.array([row for _, row in _described(classifier, paths)], np.float32).reshape(-1, head.dim)
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
