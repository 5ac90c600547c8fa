"""What is whole of a set of detections whose writing was cut off at any byte."""

from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from landmarks.detection.metrics.files import DETECTIONS_HEADER
from landmarks.metrics.hex_ids import hex_of
from landmarks.recognition.detections.tables import (
    IMAGE_COLUMNS,
    IMAGES_FILE,
    csv_lines,
    read_images,
)
from landmarks.storage import atomic_file
from landmarks.storage.append_log import write_all

BLOCK_BYTES = 4 << 20


def recover(folder: Path, boxes: BinaryIO) -> NDArray[np.uint64]:
    """Cut both tables to the pictures that are whole, or begin them.

    Boxes are written before their pictures, so what follows the last picture's boxes is dropped. Only a power failure
    leaves fewer boxes than the pictures say; pictures that lack some are dropped then. Pictures that could not be read
    are dropped as well: they are tried again.

    Args:
        folder: of the unfinished set.
        boxes: its ``detections.csv``, opened for appending without a buffer.

    Returns:
        uint64 [N], the pictures kept.

    Raises:
        FormatError: the table of pictures is damaged before its end.
    """
    path = folder / IMAGES_FILE
    written = path.read_bytes() if path.exists() else b""
    whole = written[: written.rfind(b"\n") + 1]
    with atomic_file(path) as file:
        file.write(whole or csv_lines([IMAGE_COLUMNS]))
    images = read_images(path)
    lines, _ = find_line(Path(boxes.name))
    kept = images.readable & (np.cumsum(images.boxes) <= max(lines - 1, 0))
    with atomic_file(path) as file:
        rows = zip(images.ids[kept].tolist(), images.boxes[kept].tolist(), strict=True)
        file.write(csv_lines([IMAGE_COLUMNS]) + csv_lines((hex_of(image), count, "") for image, count in rows))
    if lines:
        boxes.truncate(find_line(Path(boxes.name), 1 + int(images.boxes[kept].sum()))[1])
    else:
        boxes.truncate(0)
        write_all(boxes, DETECTIONS_HEADER.encode())
    return images.ids[kept]


def find_line(path: Path, number: int | None = None) -> tuple[int, int]:
    """Count lines up to `number` (all of them for None), and say where the last one counted ends, in bytes."""
    count, end, position = 0, 0, 0
    with path.open("rb") as file:
        while (block := file.read(BLOCK_BYTES)) and count != number:
            breaks = np.flatnonzero(np.frombuffer(block, np.uint8) == ord("\n"))
            breaks = breaks[: None if number is None else number - count]
            if len(breaks):
                end = position + int(breaks[-1]) + 1
            count += len(breaks)
            position += len(block)
    return count, end
