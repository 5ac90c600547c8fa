"""Writes HTML pages from templates: self-contained, with one style, embedded images and no scripts."""

import base64
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from landmarks.errors import LandmarksError
from landmarks.report.palette import css_colours
from landmarks.report.table import change, metrics_of, number

if TYPE_CHECKING:
    from landmarks.retrieval import StageReport


def write_page(out: str | Path, template: str, **values: Any) -> Path:
    """Fill the template with the values and write the page."""
    out = Path(out)
    try:
        page = _templates().get_template(template).render(values)
        out.write_text(page, encoding="utf-8", errors="backslashreplace")  # paths need not be valid UTF-8
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


def write_summary(
    out: str | Path,
    title: str,
    scores: Mapping[str, Mapping[str, float]],
    ablations: "Mapping[str, Sequence[StageReport]] | None" = None,
    images: Mapping[str, str | Path] | None = None,
    config: str = "",
    facts: Mapping[str, str] | None = None,
) -> Path:
    """Write the page of a run.

    Args:
        out: HTML file to write.
        title: name of the run.
        scores: values by metric and split.
        ablations: the stage reports of each pipeline, by heading.
        images: PNG files by heading, in order.
        config: the resolved configuration as YAML text.
        facts: data and protocol of the evaluation, texts by name.
    """
    return write_page(
        out,
        "summary.html",
        title=title,
        scores=scores,
        splits=list(dict.fromkeys(split for values in scores.values() for split in values)),
        ablations=ablations or {},
        metrics_of=metrics_of,
        images=images or {},
        config=config,
        facts=facts or {},
    )
