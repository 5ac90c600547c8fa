"""What a model says of single images: the released programs `test_retrieval` and `test_cls`, for any number of images.

The first printed the cosines of one image with others: the descriptors as they leave the network. The second printed
label and score of one. Images are sized as the model says, and one is in memory at a time.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from landmarks.errors import LandmarksError, shown
from landmarks.interop.image_files import read_picture
from landmarks.models import OpenedModel, normalize
from landmarks.recognition import likeliest

MAX_DIGITS = 18  # of an int64


def describe_pictures(describer: OpenedModel, paths: Iterable[str | Path]) -> NDArray[np.float32]:
    """Describe pictures, one at a time.

    Args:
        describer: opened for "descriptors".
        paths: N pictures of any sizes; `check_pictures` names all that cannot be used before.

    Returns:
        float32 [N, D], as the network gives them; nothing is normalised.
    """
    rows = []
    for path in paths:
        rows.append(_described(describer, path))
        if not np.isfinite(rows[-1]).all() or not rows[-1].any():
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


def _described(model: OpenedModel, path: str | Path) -> NDArray[np.float32]:
    pixels = torch.from_numpy(model.preprocessing(read_picture(path))).permute(2, 0, 1)[None].contiguous()
    place = next(model.network.parameters(), torch.empty(0)).device
    try:
        with torch.inference_mode():
            found: NDArray[np.float32] = model.network(normalize(pixels.to(place)))[0].float().cpu().numpy()
    except LandmarksError as error:
        raise LandmarksError(f"{model.path}: {error}") from None
    return found


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
    """The likeliest classes of pictures, which are read one at a time.

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
    rows = np.array([_described(classifier, path) for path in paths], np.float32).reshape(-1, head.dim)
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
