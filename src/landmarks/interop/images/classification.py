"""Which landmarks pictures show: the released `test_cls`, for any number of pictures and likely landmarks.

Theirs printed label and score of one. Pictures are sized as the model says; the released ones show a square from the
middle (see `landmarks.data.images.resize.centre_crop`).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from landmarks.errors import LandmarksError
from landmarks.interop.images.files import read_picture
from landmarks.interop.images.models import PictureClassifier
from landmarks.models.checkpoints import MAX_DIGITS


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
    classifier: PictureClassifier, paths: Iterable[str | Path], top: int = 5
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """The likeliest classes of pictures, which are read one at a time.

    Args:
        classifier: see `landmarks.interop.images.models.open_classifier`; C classes.
        paths: N pictures of any sizes; `check_pictures` names all that cannot be used before.
        top: classes of each picture; no more than there are.

    Returns:
        Labels int32 and probabilities float32 of a softmax over all classes, both [N, min(top, C)], the likeliest
        first. `landmark_class` says what a label stands for.

    Raises:
        LandmarksError: names the first picture that cannot be used; or the scores are not finite, or `top` is below 1.
    """
    if top < 1:
        raise LandmarksError(f"--top {top}: ask for 1 class or more")
    return classifier.likeliest((classifier.resize(read_picture(path)) for path in paths), top)


def landmark_class(
    classifier: PictureClassifier, label: int, categories: Mapping[int, str] | None = None
) -> LandmarkClass:
    """What a label stands for.

    Args:
        classifier: as above.
        label: in [0, C).
        categories: names of landmarks by landmark_id, which go before those of the model.
    """
    name = classifier.labels[label] if classifier.labels else None
    number = int(name) if name is not None and name.isdecimal() and len(name) <= MAX_DIGITS else None
    title = classifier.titles[label] if classifier.titles else None
    if number is not None and categories is not None:
        title = categories.get(number, title)
    # landmarks of other data, such as the folders of one's own photographs, have names instead of numbers
    return LandmarkClass(label, number, title or (name if number is None else None))
