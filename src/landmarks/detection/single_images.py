"""Which objects pictures show, and where: the released `test_det`, for any number of pictures.

As there: scores of 0.1 and more, boxes of one class that overlap by more than half are one, at most 100 of a picture,
given as COCO does (https://cocodataset.org/#format-data). The network holds these rules.

Pictures are read upright, as viewers show them, and boxes are those of the upright picture. An evaluation on Open
Images passes over EXIF orientations instead, because the boxes there refer to the pixels as they are stored.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from landmarks.detection.detect import TrainedDetector, find_objects
from landmarks.detection.openimages import DetectionResize
from landmarks.errors import LandmarksError
from landmarks.interop import idle_cores, read_picture, threads_for


@dataclass(frozen=True, eq=False)
class PictureObjects:
    """Objects in one upright image, uint8 [H, W, 3] RGB, best first.

    Boxes float64 [n, 4] are left, top, width and height in pixels; labels int32 [n] are rows of the detector's classes.
    """

    boxes: NDArray[np.float64]
    labels: NDArray[np.int32]
    scores: NDArray[np.float64]
    picture: NDArray[np.uint8]


def detect_objects(
    detector: TrainedDetector, paths: Iterable[str | Path], min_score: float = 0.1
) -> Iterator[PictureObjects]:
    """Look for objects in pictures, each when it is asked for, so that one is in memory at a time.

    Args:
        detector: see `load_detector`; its threshold of scores is changed.
        paths: pictures of any sizes; `check_pictures` names all that cannot be used before.
        min_score: least score, in [0, 1]; where it is lower than the network's own, more is found.

    Raises:
        LandmarksError: names the first picture that cannot be used; or `min_score` is out of range.
    """
    if not 0.0 <= min_score <= 1.0:
        raise LandmarksError(f"--min-score {min_score}: scores lie between 0 and 1")
    model, classes = detector.model, detector.classes
    # torchvision keeps what lies above, we what is not below
    model.roi_heads.score_thresh = float(np.nextafter(np.float32(min_score), np.float32(-1)))
    device = next(model.parameters()).device
    resize = DetectionResize.of(detector.preprocessing)
    idle = idle_cores()
    for path in paths:
        picture = read_picture(path)
        pixels = torch.from_numpy(resize(picture)).permute(2, 0, 1).contiguous().to(device)
        with torch.inference_mode(), threads_for(pixels[0].numel(), idle):
            found = find_objects(model, [pixels], np.zeros(1, np.uint64), classes.names)
        height, width = picture.shape[:2]
        corners = found.boxes * (width, height, width, height)
        corners[:, 2:] -= corners[:, :2]
        yield PictureObjects(corners, found.labels, found.scores, picture)
