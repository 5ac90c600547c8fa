"""Which objects images show, and where, and images with these drawn, as `landmarks detect` does.

As in the original program: scores of 0.1 and more, boxes of one class that overlap by more than half are one, at most
100 of an image, given as COCO does (https://cocodataset.org/#format-data). The network holds these rules.

Images are read upright, as viewers show them, and boxes are those of the upright image. An evaluation on Open
Images passes over EXIF orientations instead, because the boxes there refer to the pixels as they are stored.
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
TEXT_SHARE = 0.018  # height of its letters as a share of the longer side
MOST_TEXT = 0.12  # and of the shorter side at most
LEAST_TEXT = 12  # pixels
QUALITY = 92
LONGEST_NAME = 200  # bytes; file systems end at 255


@dataclass(frozen=True, eq=False)
class ImageObjects:
    """Objects in one upright image, uint8 [H, W, 3] RGB, best first.

    Boxes float64 [n, 4] are left, top, width and height in pixels; labels int32 [n] are rows of the detector's classes.
    """

    boxes: NDArray[np.float64]
    labels: NDArray[np.int32]
    scores: NDArray[np.float64]
    image: NDArray[np.uint8]


def detect_objects(
    detector: TrainedDetector, images: Iterable[AnyImage], min_score: float = 0.1
) -> Iterator[ImageObjects]:
    """Look for objects in images, each when it is asked for, so that one is in memory at a time.

    Args:
        detector: see `load_detector`; its threshold of scores is changed.
        images: files, images of Pillow or arrays of any sizes; `check_images` names all files that cannot be used.
        min_score: least score, in [0, 1]; where it is lower than the network's own, more is found.

    Raises:
        LandmarksError: names the first image that cannot be used; or `min_score` is out of range.
    """
    if not 0.0 <= min_score <= 1.0:
        raise LandmarksError(f"--min-score {min_score}: scores lie between 0 and 1")
    model, classes = detector.model, detector.classes
    # torchvision keeps what lies above, we what is not below
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
    """Make the folder for drawn images, before any work. Raises LandmarksError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LandmarksError(f"--draw {shown(folder)}: cannot be made a folder ({error.strerror})") from None


def draw_objects(found: ImageObjects, classes: DetectionClasses, path: Path, folder: Path) -> Path:
    """Write an image with what was found in it, as JPEG; nothing that exists is overwritten.

    Lines and letters grow with the image, so that they are as large on the screen as on any other, and small images
    are enlarged until their names can be read.

    Args:
        found: see `detect_objects`.
        classes: of the detector.
        path: where the image came from, which names the new one: `tower.jpg` gives `tower_boxes.jpg`, or where that
            exists already, `tower_boxes_2.jpg` and so on.
        folder: for the new file; exists.

    Returns:
        The file that was written.

    Raises:
        LandmarksError: it cannot be written.
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
