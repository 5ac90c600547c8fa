"""One page of a run, ``report.html``, that needs nothing but itself: figures, stages, curves, neighbours, config.

Pictures are embedded and there is no script, so that the page can be mailed and opened years later.
"""

import base64
import html
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from landmarks.errors import LandmarksError

if TYPE_CHECKING:  # brings torch, which takes seconds
    from landmarks.retrieval.ablation import StageReport

MISSING = "\N{EN DASH}"
STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #2b2f36; max-width: 1180px; margin: 40px auto; padding: 0 20px }
h1 { font-size: 24px } h2 { font-size: 17px; margin-top: 36px }
table { border-collapse: collapse } th { font-weight: 600; color: #6a707b }
th, td { padding: 4px 18px 4px 0; text-align: right; border-bottom: 1px solid #e4e6ea }
th:first-child, td:first-child { text-align: left }
dl { display: grid; grid-template-columns: max-content auto; gap: 4px 18px } dt { color: #6a707b }
dd { margin: 0; overflow-wrap: anywhere }
img { max-width: 100% } .up { color: #20804a } .down { color: #c03232 } .note { color: #6a707b; font-size: 13px }
pre { background: #f4f5f7; padding: 14px; overflow-x: auto; font-size: 13px }
"""


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
        LandmarksError: a picture that cannot be read, or a page that cannot be written.
    """
    out = Path(out)
    parts = [f"<h1>{html.escape(title)}</h1>"]
    if facts:
        parts += ["<h2>Inputs</h2>", _facts(facts)]
    if scores:
        parts += ["<h2>Scores</h2>", _scores(scores)]
    for heading, stages in (ablations or {}).items():
        parts += [f"<h2>{html.escape(heading)}</h2>", _stages(stages)]
    try:
        for heading, path in (pictures or {}).items():
            data = base64.b64encode(Path(path).read_bytes()).decode("ascii")
            label = html.escape(heading)
            parts += [f"<h2>{label}</h2>", f'<img alt="{label}" src="data:image/png;base64,{data}">']
        if config:
            parts += ["<h2>Configuration</h2>", f"<pre>{html.escape(config)}</pre>"]
        head = f'<meta charset="utf-8"><title>{html.escape(title)}</title><style>{STYLE}</style>'
        body = "\n".join(parts)
        out.write_text(
            f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body>\n{body}\n</body></html>\n', encoding="utf-8"
        )
    except OSError as error:
        raise LandmarksError(f"{out}: could not write the page: {error}") from error
    return out


def _facts(facts: Mapping[str, str]) -> str:
    rows = [f"<dt>{html.escape(name)}</dt><dd>{html.escape(text)}</dd>" for name, text in facts.items()]
    return "<dl>" + "\n".join(rows) + "</dl>"


def _scores(scores: Mapping[str, Mapping[str, float]]) -> str:
    splits = list(dict.fromkeys(split for values in scores.values() for split in values))
    rows = [[html.escape(name), *(_number(values.get(split)) for split in splits)] for name, values in scores.items()]
    return _table(["figure", *map(html.escape, splits)], rows)


def _stages(stages: "Sequence[StageReport]") -> str:
    figures = list(dict.fromkeys(name for stage in stages for name in stage.scores))
    header = [
        "stage",
        *(cell for name in figures for cell in (html.escape(name), "change")),
        "seconds",
        "peak MiB",
        "rise MiB",
    ]
    rows = []
    for stage in stages:
        cells = [html.escape(stage.stage)]
        for name in figures:
            cells += [_number(stage.scores.get(name)), _change(stage.changes.get(name))]
        rows.append([*cells, f"{stage.seconds:.2f}", _number(stage.peak_mb, 0), _number(stage.rise_mb, 0)])
    note = "MiB: anonymous pages of the process, sampled, and their rise; memory-mapped files are not counted."
    return _table(header, rows) + f'<p class="note">{note}</p>'


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of cells that are HTML already."""
    lines = ["<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows]
    return "<table><tr>" + "".join(f"<th>{cell}</th>" for cell in header) + "</tr>" + "\n".join(lines) + "</table>"


def _number(value: float | None, digits: int = 4) -> str:
    return MISSING if value is None or value != value else f"{value:.{digits}f}"


def _change(value: float | None) -> str:
    if value is None or value != value:
        return ""
    return f'<span class="{"up" if value > 0 else "down" if value < 0 else "note"}">{value:+.4f}</span>'
