"""One page of a run, ``report.html``, that needs nothing but itself: figures, stages, curves, neighbours, config.

Images are embedded and there is no script, so that the page can be mailed and opened years later.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from landmarks.report.page import write_page
from landmarks.report.table import figures_of

if TYPE_CHECKING:  # brings torch, which takes seconds
    from landmarks.retrieval import StageReport


def write_summary(
    out: str | Path,
    title: str,
    scores: Mapping[str, Mapping[str, float]],
    ablations: "Mapping[str, Sequence[StageReport]] | None" = None,
    pictures: Mapping[str, str | Path] | None = None,
    config: str = "",
    facts: Mapping[str, str] | None = None,
) -> Path:
    """Write the page.

    Args:
        out: HTML file to write.
        title: name of the run.
        scores: figure to split to value.
        ablations: heading to the reports of a pipeline.
        pictures: heading to PNG file, in order.
        config: the resolved configuration as YAML text.
        facts: what the figures are of, name to text.

    Returns:
        `out`.

    Raises:
        LandmarksError: an image that cannot be read, or a page that cannot be written.
    """
    return write_page(
        out,
        "summary.html",
        title=title,
        scores=scores,
        splits=list(dict.fromkeys(split for values in scores.values() for split in values)),
        ablations=ablations or {},
        figures_of=figures_of,
        images=pictures or {},
        config=config,
        facts=facts or {},
    )
