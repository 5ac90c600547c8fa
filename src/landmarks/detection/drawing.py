"""Writes pictures with the objects found in them: boxes, names and scores.

Lines and letters grow with the picture, so that they are as large on the screen as on any other, and small pictures
are enlarged until their names can be read. Nothing that exists is overwritten.
"""

from pathlib import Path

from PIL import Image

from landmarks.detection.box_drawing import COLOURS, DrawnBoxes, draw_on
from landmarks.detection.single_images import PictureObjects
from landmarks.errors import LandmarksError
from landmarks.interop.images.names import shown
from landmarks.recognition.detections.classes import DetectionClasses

SMALLEST, LARGEST = 800, 8000  # pixels of the longer side of what is written; JPEG ends at 65,500
TEXT = 0.018  # height of letters as a share of the longer side
MOST_TEXT = 0.12  # and of the shorter side at most
LEAST_TEXT = 12  # pixels
QUALITY = 92
LONGEST_NAME = 200  # bytes; file systems end at 255


def make_folder(folder: Path) -> None:
    """Make the folder for drawn pictures, before any work. Raises LandmarksError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LandmarksError(f"--draw {shown(folder)}: cannot be made a folder ({error.strerror})") from None


def draw_objects(found: PictureObjects, classes: DetectionClasses, path: Path, folder: Path) -> Path:
    """Write a picture with what was found in it, as JPEG.

    Args:
        found: see `landmarks.detection.single_images`.
        classes: of the detector.
        path: where the picture came from, which names the new one: `tower.jpg` gives `tower_boxes.jpg`, or where that
            exists already, `tower_boxes_2.jpg` and so on.
        folder: for the new file; exists.

    Returns:
        The file that was written.

    Raises:
        LandmarksError: it cannot be written.
    """
    height, width = found.picture.shape[:2]
    longer = min(max(height, width, SMALLEST), LARGEST)
    scale = longer / max(height, width)
    size = max(round(width * scale), 1), max(round(height * scale), 1)
    image = Image.fromarray(found.picture)
    if size != image.size:
        image = image.resize(size, Image.Resampling.LANCZOS)
    corners = found.boxes.copy()
    corners[:, 2:] += corners[:, :2]
    titles = classes.titles[found.labels]
    colours = {str(title): COLOURS[label % len(COLOURS)] for title, label in zip(titles, found.labels, strict=True)}
    text = max(round(min(TEXT * longer, MOST_TEXT * min(size))), LEAST_TEXT)
    draw_on(image, DrawnBoxes(corners / (width, height, width, height), titles, found.scores), colours, text)
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
