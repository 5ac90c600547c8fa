"""A picture of what spatial verification saw: two photographs side by side and lines between points that agree.

Agreeing pairs have lines in colours that go round with the place of their point, so that neighbouring lines can be told
apart and a motion that tears the picture up is seen at once. Pairs that do not agree are faint dots.
"""

import colorsys

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from landmarks.errors import LandmarksError
from landmarks.report.tiles import GREY, INK, PAPER, font, shortened

HEIGHT = 420  # of both pictures
MOST_WIDTH = 900  # of one picture; a longer one is shown lower
MARGIN = 16
GAP = 24
CAPTION = 56
FAINT = (150, 156, 166)
OVERSAMPLED = 2  # Pillow's lines have no soft edges


def draw_matches(
    first: NDArray[np.uint8],
    second: NDArray[np.uint8],
    first_points: NDArray[np.float32],
    second_points: NDArray[np.float32],
    inliers: NDArray[np.bool_],
    names: tuple[str, str] = ("", ""),
) -> Image.Image:
    """Draw two pictures and their matched points.

    Args:
        first: uint8 [H, W, 3] RGB, usually the query.
        second: uint8 [H', W', 3] RGB.
        first_points: float32 [m, 2], x and y in pixels of the first picture.
        second_points: float32 [m, 2], their partners in the second one.
        inliers: bool [m], pairs that agree.
        names: captions.

    Returns:
        The drawing, to be saved as PNG.

    Raises:
        LandmarksError: arrays that do not fit together.
    """
    if not first_points.shape == second_points.shape == (len(inliers), 2):
        raise LandmarksError(
            f"matches: points {first_points.shape} and {second_points.shape} and inliers {inliers.shape} do not fit"
        )
    pictures = [_shown(image) for image in (first, second)]
    scales = [shown.width / image.shape[1] for shown, image in zip(pictures, (first, second), strict=True)]
    lefts = (MARGIN, MARGIN + pictures[0].width + GAP)
    tops = [MARGIN + (max(p.height for p in pictures) - picture.height) // 2 for picture in pictures]
    width = lefts[1] + pictures[1].width + MARGIN
    bottom = MARGIN + max(picture.height for picture in pictures)
    canvas = Image.new("RGB", (width, bottom + CAPTION), PAPER)
    for picture, left, top in zip(pictures, lefts, tops, strict=True):
        canvas.paste(picture, (left, top))
    ends = [
        (points + 0.5) * scale + (left, top)
        for points, scale, left, top in zip((first_points, second_points), scales, lefts, tops, strict=True)
    ]
    canvas = _with_lines(canvas, ends[0], ends[1], inliers)
    pen = ImageDraw.Draw(canvas)
    for name, left, picture in zip(names, lefts, pictures, strict=True):
        pen.text((left, bottom + 8), shortened(name, picture.width, font(13)), fill=INK, font=font(13))
    count = f"{int(inliers.sum())} of {len(inliers)} pairs agree on one motion"
    pen.text((MARGIN, bottom + 30), count, fill=GREY, font=font(12))
    return canvas


def _shown(image: NDArray[np.uint8]) -> Image.Image:
    """A picture of the height of the sheet, or lower where it is very wide."""
    height, width = image.shape[:2]
    scale = min(HEIGHT / height, MOST_WIDTH / width)
    size = (max(round(width * scale), 1), max(round(height * scale), 1))
    return Image.fromarray(image).resize(size, Image.Resampling.LANCZOS)


def _with_lines(
    canvas: Image.Image, first: NDArray[np.floating], second: NDArray[np.floating], inliers: NDArray[np.bool_]
) -> Image.Image:
    large = canvas.resize((canvas.width * OVERSAMPLED, canvas.height * OVERSAMPLED))
    pen = ImageDraw.Draw(large)
    ends = np.concatenate([first, second], axis=1) * OVERSAMPLED
    for x, y, other_x, other_y in ends[~inliers].tolist():
        for place in ((x, y), (other_x, other_y)):
            pen.circle(place, 2 * OVERSAMPLED, outline=FAINT, width=OVERSAMPLED)
    agreeing = ends[inliers]
    order = np.argsort(agreeing[:, 1], kind="stable")
    for number, (x, y, other_x, other_y) in enumerate(agreeing[order].tolist()):
        red, green, blue = colorsys.hsv_to_rgb(number / max(len(order), 1), 0.85, 0.85)
        colour = (round(255 * red), round(255 * green), round(255 * blue))
        pen.line((x, y, other_x, other_y), fill=colour, width=OVERSAMPLED)
        for end in ((x, y), (other_x, other_y)):
            pen.circle(end, 3 * OVERSAMPLED, outline=colour, width=OVERSAMPLED)
    return large.resize(canvas.size, Image.Resampling.LANCZOS)
