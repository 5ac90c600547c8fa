"""A page of search results: each query and what was found, as small images that are part of the page."""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from landmarks.data import decode
from landmarks.errors import LandmarksError
from landmarks.report.page import write_page

SIDE = 320  # pixels of the longer side, twice what is shown
QUALITY = 80


@dataclass(frozen=True)
class Shown:
    """An image on the page: what it is called, the line below, and where it lies, if anywhere."""

    name: str
    note: str
    file: Path | None


def write_search_page(
    out: str | Path,
    title: str,
    results: Sequence[tuple[Shown, Sequence[Shown]]],
    facts: Mapping[str, str],
    unreadable: Mapping[str, str],
) -> Path:
    """Write the page.

    Args:
        out: HTML file to write.
        title: Of the page.
        results: Each query and what it found, best first.
        facts: What was searched and how, name to text.
        unreadable: Why images were passed over, by path.

    Raises:
        LandmarksError: The file cannot be written.
    """
    return write_page(
        out,
        "search.html",
        title=title,
        results=results,
        facts=facts,
        unreadable=unreadable,
        thumbnail=thumbnail,
        address=address,
    )


def thumbnail(file: Path) -> str | None:
    """Give an image, made small, as an address that holds it; None where it cannot be read."""
    try:
        image = Image.fromarray(decode(file.read_bytes(), SIDE))
    except (LandmarksError, OSError):
        return None
    image.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    content = io.BytesIO()
    image.save(content, "JPEG", quality=QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(content.getvalue()).decode("ascii")


def address(file: Path) -> str:
    """Give the address of a file, which a click opens."""
    return file.absolute().as_uri()
