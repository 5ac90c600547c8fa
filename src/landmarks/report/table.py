"""A table for the terminal: what each stage of a pipeline gave and cost."""

from collections.abc import Sequence

from rich import box
from rich.table import Table
from rich.text import Text

from landmarks.retrieval.pipeline import StageReport

# Changes below this are shown as none: four digits are printed.
VISIBLE_CHANGE = 5e-5
MISSING = "\N{EN DASH}"


def ablation_table(stages: Sequence[StageReport], title: str = "Stages") -> Table:
    """One row a stage: each figure with its change against the stage before, seconds, and peak memory.

    The memory columns appear where the system told them; the caption says what they count.
    """
    figures = list(dict.fromkeys(name for stage in stages for name in stage.scores))
    has_memory = any(stage.peak_mb is not None for stage in stages)
    has_gpu = any(stage.gpu_peak_mb is not None for stage in stages)
    table = _table(title, "stage")
    for figure in figures:
        table.add_column(figure, justify="right", no_wrap=True)
        table.add_column("change", justify="right", no_wrap=True)
    table.add_column("seconds", justify="right", no_wrap=True)
    if has_memory:
        table.add_column("peak MiB", justify="right", no_wrap=True)
        table.add_column("rise MiB", justify="right", no_wrap=True)
        table.caption = "memory: anonymous pages of this process, sampled; mapped files not counted"
    if has_gpu:
        table.add_column("GPU MiB", justify="right", no_wrap=True)
    for stage in stages:
        cells: list[str | Text] = [stage.stage]
        for figure in figures:
            cells += [_number(stage.scores.get(figure)), _change(stage.changes.get(figure))]
        cells.append(f"{stage.seconds:.2f}")
        if has_memory:
            cells += [_number(stage.peak_mb, 0), _number(stage.rise_mb, 0)]
        if has_gpu:
            cells.append(_number(stage.gpu_peak_mb, 0))
        table.add_row(*cells)
    return table


def _table(title: str, first: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, caption_justify="left")
    table.add_column(first, no_wrap=True)
    return table


def _number(value: float | None, digits: int = 4) -> str:
    return MISSING if value is None or value != value else f"{value:.{digits}f}"


def _change(value: float | None) -> Text:
    if value is None or value != value or abs(value) < VISIBLE_CHANGE:
        return Text("" if value is None else "±0", style="dim")
    return Text(f"{value:+.4f}", style="green" if value > 0 else "red")
