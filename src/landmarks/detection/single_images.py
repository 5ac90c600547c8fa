"""Detects objects in single images and draws them, for `landmarks detect`.

As in the original program, detections have scores of at least 0.1, of boxes of one class with an IoU above 0.5 only
the best is kept, an image has at most 100 boxes, and these are in the format of COCO
(https://cocodataset.org/#format-data). The network contains these settings.

Images are read upright, as viewers show them, and boxes refer to the upright image. An evaluation on Open Images
ignores EXIF orientations instead, because boxes there refer to the pixels as they are stored.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from landmarks.detection.detect import TrainedDetector, find_objects
from landmarks.detection.drawing import DrawnBoxes, draw_on
from landmarks.detection.openimages import DetectionResize
from landmarks.errors import LandmarksError, shown
from landmarks.interop import AnyImage, idle_cores, pixels_of, threads_for
from landmarks.recognition import DetectionClasses
from landmarks.report import CLASS_COLOURS

SMALLEST, LARGEST = 800, 8000  # pixels of the longer side of a single image; JPEG ends at 65,500
TEXT_SHARE = 0.018  # height of letters as a share of the longer side
MOST_TEXT = 0.12  # maximal height of letters as a share of the shorter side
LEAST_TEXT = 12  # pixels
QUALITY = 92
LONGEST_NAME = 200  # bytes; file systems allow 255


@dataclass(frozen=True, eq=False)
class ImageObjects:
    """The objects in one image, by falling score.

    Attributes:
        boxes: Left, top, width and height in pixels of the upright image, float64 [n, 4].
        labels: Rows of the detector's classes, int32 [n].
        scores: float64 [n].
        image: The upright image, RGB, uint8 [H, W, 3].
    """

    boxes: NDArray[np.float64]
    labels: NDArray[np.int32]
    scores: NDArray[np.float64]
    image: NDArray[np.uint8]


def detect_objects(
    detector: TrainedDetector, images: Iterable[AnyImage], min_score: float = 0.1
) -> Iterator[ImageObjects]:
    """Detect objects in images, one image at a time, so that only one is in memory.

    Args:
        detector: See `load_detector`; its score threshold is changed.
        images: Files, Pillow images or arrays of any size; `check_images` finds all files that cannot be used.
        min_score: Minimal score, in [0, 1]; it replaces the network's own threshold.

    Yields:
        The objects in each image.

    Raises:
        LandmarksError: An image cannot be used (the message names it), or `min_score` is out of range.
    """
    if not 0.0 <= min_score <= 1.0:
        raise LandmarksError(f"--min-score {min_score}: it must be between 0 and 1")
    model, classes = detector.model, detector.classes
    # torchvision keeps scores above the threshold, this detector also those equal to it
    model.roi_heads.score_thresh = float(np.nextafter(np.float32(min_score), np.float32(-1)))
    device = next(model.parameters()).device
    resize = DetectionResize.of(detector.preprocessing)
    idle = idle_cores()
    for image in images:
        shown = pixels_of(image)
        pixels = torch.from_numpy(resize(shown)).permute(2, 0, 1).contiguous().to(device)
        with torch.inference_mode(), threads_for(pixels[0].numel(), idle):
            found = find_objects(model, [pixels], np.zeros(1, np.uint64), classes.names)
        height, width = shown.shape[:2]
        corners = found.boxes * (width, height, width, height)
        corners[:, 2:] -= corners[:, :2]
        yield ImageObjects(corners, found.labels, found.scores, shown)


def make_folder(folder: Path) -> None:
    """Create the folder for drawn images, before any work. Raises LandmarksError if it cannot be created."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LandmarksError(f"--draw {shown(folder)}: the folder cannot be created ({error.strerror})") from None


def draw_objects(found: ImageObjects, classes: DetectionClasses, path: Path, folder: Path) -> Path:
    """Draw the objects on an image and write it as JPEG; existing files are not overwritten.

    Lines and letters are proportional to the image, so that they look equally large on all images, and small images
    are enlarged until the names are readable.

    Args:
        found: See `detect_objects`.
        classes: Classes of the detector.
        path: File of the original image, which determines the new name: `tower.jpg` gives `tower_boxes.jpg`, or if
            that exists, `tower_boxes_2.jpg` and so on.
        folder: Existing folder for the new file.

    Returns:
        The file that was written.

    Raises:
        LandmarksError: The file cannot be written.
    """
    height, width = found.image.shape[:2]
    longer = min(max(height, width, SMALLEST), LARGEST)
    scale = longer / max(height, width)
    size = max(round(width * scale), 1), max(round(height * scale), 1)
    image = Image.fromarray(found.image)
    if size != image.size:
        image = image.resize(size, Image.Resampling.LANCZOS)
    corners = found.boxes.copy()
    corners[:, 2:] += corners[:, :2]
    titles = classes.titles[found.labels]
    colours = {
        str(title): CLASS_COLOURS[label % len(CLASS_COLOURS)] for title, label in zip(titles, found.labels, strict=True)
    }
    text = max(round(min(TEXT_SHARE * longer, MOST_TEXT * min(size))), LEAST_TEXT)
    boxes = DrawnBoxes(corners / (width, height, width, height), titles, found.scores)
    draw_on(image, boxes, colours, text)
    return _write(image, path, folder)


def _write(image: Image.Image, path: Path, folder: Path) -> Path:
    stem = path.stem.encode(errors="ignore")[:LONGEST_NAME].decode(errors="ignore")
    number = 1
    while True:
        out = folder / f"{stem}_boxes{'' if number == 1 else f'_{number}'}.jpg"
        try:
            with out.open("xb") as file:
                try:
                    image.save(file, "JPEG", quality=QUALITY)
                except BaseException:
                    out.unlink()
                    raise
            return out
        except FileExistsError:
            number += 1
        except OSError as error:
            raise LandmarksError(f"{shown(out)}: cannot be written ({error.strerror or error})") from None
