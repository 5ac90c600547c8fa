"""Matches runs with published metrics, lists those that are not comparable, and gives the commands to measure a row."""

import shlex
from collections.abc import Iterable, Mapping
from datetime import datetime

from landmarks.leaderboard.comparable import obstacles, other_data
from landmarks.leaderboard.rows import Row
from landmarks.leaderboard.runs import SPLITS, Evaluated, FoundRuns, Run
from landmarks.models import PUBLISHED_MODELS
from landmarks.report import Apart, Board, BoardRow, Figures, Measured

FROM_WEIGHTS = "from published weights"  # kind of the commands that measure a row with published weights
FROM_TRAINING = "from training"  # kind of the commands that train a row's network and measure it
WEIGHTS, LABELS = "PUBLISHED", "LABELS"  # placeholders in commands
SHOWN = ("map@100", "gap", "classifier_gap", "map@0.5")


def build_board(rows: Mapping[str, Row], found: FoundRuns, only: Row | None = None) -> Board:
    """Match runs with rows.

    A run belongs to a row if it was made by exactly the row's models, according to the names that it records. Of
    several runs the newest comes first, by the modification time of `metrics.json`.

    Args:
        rows: All rows, by name.
        found: The runs.
        only: The row to show; None shows all.
    """
    newest = sorted(found.runs, key=lambda run: run.written, reverse=True)
    compared: dict[str, list[Measured]] = {name: [] for name in rows}
    apart: list[Apart] = []
    for run in newest:
        reasons: list[list[str]] = []
        for row in rows.values():
            if not row.models or sorted(run.models) != sorted(row.models) or not _has(run, row.metric):
                continue
            reasons.append(obstacles(run, row))
            if not reasons[-1]:
                compared[row.name].append(_measured(run, row))
        if all(reasons):  # comparable with no row
            fewest = min(reasons, key=len) if reasons else _of_no_row(run)
            apart.append(_apart(run, fewest))
    shown = [row for row in rows.values() if only is None or row.name == only.name]
    return Board(
        tuple(_row(row, rows, compared[row.name]) for row in shown),
        tuple(apart),
        tuple(str(path) for path in found.unstamped),
        tuple(found.notes),
    )


def _row(row: Row, rows: Mapping[str, Row], measured: Iterable[Measured]) -> BoardRow:
    published = {"public": row.public, "private": row.private}
    return BoardRow(row.name, row.metric, published, row.source, row.note, tuple(measured), commands(row, rows))


def _measured(run: Run, row: Row) -> Measured:
    figures = _figures(run, row.metric)
    published = {"public": row.public, "private": row.private}
    differences = {
        split: None if value is None or (there := published[split]) is None else value - there
        for split, value in figures.items()
    }
    return Measured(str(run.folder), _when(run), figures, differences, _protocol(run))


def _apart(run: Run, reasons: list[str]) -> Apart:
    names = [name for name in SHOWN if _has(run, name)]
    figures = {name: _figures(run, name) for name in names}
    models = ", ".join(dict.fromkeys(run.models))
    return Apart(str(run.folder), _when(run), models, _data(run.stamp.data), figures, _protocol(run), tuple(reasons))


def _of_no_row(run: Run) -> list[str]:
    metric = next((name for name in SHOWN if _has(run, name)), SHOWN[0])
    return [*other_data(run.stamp.data, metric), f"no row of {' and '.join(dict.fromkeys(run.models))}"]


def _has(run: Run, metric: str) -> bool:
    return any(metric in figures for figures in run.scores.values())


def _figures(run: Run, metric: str) -> Figures:
    """Return a metric of the public and private queries, or of other splits if the run has neither."""
    splits = SPLITS if any(split in run.scores for split in SPLITS) else tuple(run.scores)
    return {split: run.scores.get(split, {}).get(metric) for split in splits}


def _data(data: Evaluated) -> str:
    counts = [f"{number:,} {name}" for name, number in data.embedded.items()]
    if data.images is not None:
        counts.append(f"{data.images:,} images")
    name = " ".join(filter(None, (data.source or "files", data.split)))
    return f"{name}: {', '.join(counts)}" if counts else name


def _protocol(run: Run) -> str:
    """Summarize image size, views, precision and weights; the weights of several models are only counted."""
    known = [one for one in run.stamp.protocol if one]
    if not known:
        return "plain files"
    words = [
        f"{'/'.join(map(str, sorted({one.input_size for one in known})))} px",
        "several views" if any(one.flip or one.scales != [1.0] for one in known) else "",
        "/".join(sorted({one.precision for one in known})),
        f"weights {known[0].weights}" if len(known) == 1 else f"{len(known)} models",
        "end of training" if run.trained else "",
    ]
    return ", ".join(filter(None, words))


def _when(run: Run) -> str:
    return datetime.fromtimestamp(run.written).isoformat(sep=" ", timespec="minutes")


def commands(row: Row, rows: Mapping[str, Row]) -> dict[str, list[str]]:
    """Return the commands that measure a row.

    Published weights are expected in folders `PUBLISHED/<row>`. A trained model is then evaluated on the whole test
    set, since training evaluates it on a sample.

    Args:
        row: The row.
        rows: All rows, by name.

    Returns:
        Commands in the order in which to run them, by `FROM_WEIGHTS` and `FROM_TRAINING`; empty for a row that cannot
        be run here.
    """
    if not row.models:
        return {}
    found: dict[str, list[str]] = {}
    if row.experiment is None or row.name in PUBLISHED_MODELS:
        published = [part for part in row.parts if part in PUBLISHED_MODELS]
        files = {part: f"{part}.safetensors" if part in published else _checkpoint(part) for part in row.parts}
        found[FROM_WEIGHTS] = [*map(_import, published), _run(row, files)]
    if row.experiment:
        found[FROM_TRAINING] = [_train(row, rows), _run(row, {row.name: _checkpoint(row.name)})]
    return found


def _import(part: str) -> str:
    # The published files do not contain the labels.
    labels = ["--labels", LABELS] if PUBLISHED_MODELS[part].classifier is not None else []
    return shlex.join(["landmarks", "import-paddle", part, f"{WEIGHTS}/{part}", f"{part}.safetensors", *labels])


def _checkpoint(part: str) -> str:
    return f"runs/{part}/checkpoints/best.ckpt"


def _train(row: Row, rows: Mapping[str, Row]) -> str:
    first = [f"model.pretrained={_checkpoint(row.begins_with)}"] if row.begins_with in rows and row.begins_with else []
    words = [f"experiments={row.experiment}", f"data.root={row.root_word}", *first, f"hydra.run.dir=runs/{row.name}"]
    return shlex.join(["python", "train.py", *words])


def _run(row: Row, weights: Mapping[str, str]) -> str:
    head = ["landmarks", "leaderboard", "--run", row.name, "--root", row.root_word]
    if len(weights) == 1:
        return shlex.join([*head, "--weights", *weights.values()])
    lines = [shlex.join(head), *(shlex.join(["--weights", f"{part}={path}"]) for part, path in weights.items())]
    return " \\\n  ".join(lines)
