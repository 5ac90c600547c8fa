"""Writes a page of search results: each query and its results, as small images embedded in the page."""

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
    """An image on the page: its name, the line below it, and its file if it has one."""

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
    """Write the page of search results.

    Args:
        out: HTML file to write.
        title: Title of the page.
        results: Each query with its results, best first.
        facts: What was searched and how, texts by name.
        unreadable: Why images could not be read, by path.

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
    """Return a small version of an image as a `data:` address; None if it cannot be read."""
    try:
        image = Image.fromarray(decode(file.read_bytes(), SIDE))
    except (LandmarksError, OSError):
        return None
    image.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    content = io.BytesIO()
    image.save(content, "JPEG", quality=QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(content.getvalue()).decode("ascii")


def address(file: Path) -> str:
    """Return the address of a file, for links."""
    return file.absolute().as_uri()
