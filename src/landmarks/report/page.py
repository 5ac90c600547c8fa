"""Fills the templates of pages, which need nothing but themselves: one style, images embedded, no script."""

import base64
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from landmarks.errors import LandmarksError
from landmarks.report.palette import css_colours
from landmarks.report.table import change, number


def write_page(out: str | Path, template: str, **values: Any) -> Path:
    """Write a page."""
    out = Path(out)
    try:
        out.write_text(_templates().get_template(template).render(values), encoding="utf-8")
    except OSError as error:
        raise LandmarksError(f"{out}: could not write the page: {error}") from error
    return out


@cache
def _templates() -> Environment:
    templates = Environment(
        loader=FileSystemLoader(Path(__file__).with_name("templates")),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.globals["colour"] = css_colours()
    templates.filters.update(number=number, change=change, embedded=_embedded)
    return templates


def _embedded(path: str | Path) -> str:
    return "data:image/png;base64," + base64.b64encode(Path(path).read_bytes()).decode("ascii")
