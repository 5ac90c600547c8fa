"""Write the results of an evaluation into the run folder: metrics, ranking, submissions, sample images and a page."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import DictConfig, OmegaConf
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from landmarks.config import recorded, versions, write_json
from landmarks.errors import shown
from landmarks.evaluation.metrics import Scores, choose_monitor, known_scores, metric_value, with_classifiers
from landmarks.evaluation.per_query import write_queries
from landmarks.evaluation.samples import effect_sheet, predicted_names, recognition_sheet, sample_sheet
from landmarks.evaluation.scoring import Result
from landmarks.evaluation.stamp import stamp
from landmarks.ids import format_ids
from landmarks.metrics import (
    RECOGNITION_QUERIES,
    RETRIEVAL_QUERIES,
    write_recognition_submission,
    write_retrieval_submission,
)
from landmarks.report import (
    ablation_table,
    draw_effects,
    draw_neighbours,
    draw_recognition,
    draw_risen,
    reader,
    write_recognition_notes,
    write_stage_queries,
    write_stages,
    write_summary,
)
from landmarks.retrieval import StageReport
from landmarks.terminal import Console

SHOWN = ("map@100", "gap", "top1")
# Files that an evaluation writes into its folder.
OUTPUTS = (
    "metrics.json",
    "ranking.npz",
    "stages.csv",
    "stage_queries.csv",
    RETRIEVAL_QUERIES,
    RECOGNITION_QUERIES,
    "recognition_stages.csv",
    "submissions/retrieval.csv",
    "submissions/recognition.csv",
    "recognition_evidence.csv",
    "recognition.csv",  # an earlier name of recognition_evidence.csv
    "neighbours.png",
    "recognition.png",
    "report.html",
)

STAGES = "stages"  # folder of the images of each stage
NO_WORD = re.compile(r"[^\w-]")  # characters of a stage's name that a file's name does not get

IMAGES = {"Curves": "curves.png", "Sample queries": "neighbours.png", "Landmarks recognised": "recognition.png"}

Ablations = Mapping[str, Sequence[StageReport]]  # the reports of a pipeline's stages by heading


def remove_outputs(run_dir: Path) -> None:
    """Remove the outputs of an earlier evaluation from the run folder, so that old and new results are never mixed."""
    for path in (*(run_dir / name for name in OUTPUTS), *(run_dir / STAGES).glob("*.png")):
        path.unlink(missing_ok=True)


def write_evaluation(
    run_dir: Path,
    config: DictConfig,
    result: Result,
    label: str,
    title: str,
    figures: Mapping[str, Any],
    facts: Mapping[str, str] | None = None,
) -> float | None:
    """Choose the monitored metric, write and print the evaluation (see `write_result`), and return the metric."""
    scores = known_scores(result.scores)
    monitor = choose_monitor(config.monitor, scores)
    value = metric_value(scores, monitor)
    kind = {"job": config.job, "task": "landmarks", "name": config.name}
    figures = {**kind, "monitor": {"name": monitor, "value": value}, "scores": scores, **figures}
    write_result(run_dir, config, result, {label: scores}, title, figures, facts)
    return value


def write_result(
    run_dir: Path,
    config: DictConfig,
    result: Result,
    results: Mapping[str, Scores],
    title: str,
    figures: Mapping[str, Any],
    facts: Mapping[str, str] | None = None,
) -> None:
    """Write and print the results of an evaluation.

    Args:
        run_dir: Gets `metrics.json`, `ranking.npz`, `stages.csv` and `report.html`; if ids are known
            `submissions/*.csv`; if landmarks were recognised `recognition_stages.csv` and `recognition_evidence.csv`;
            with ground truth `queries/*.csv` and `stage_queries.csv`; if images are available, too, `neighbours.png`,
            `recognition.png` and `stages/*.png`. All replace those of an earlier evaluation. The page shows
            `curves.png` if it is there.
        config: Configuration of the run.
        result: The result of the evaluation.
        results: Scores to print and to put on the page, by label.
        title: Title of the page.
        figures: Plain values for `metrics.json`; stamp, stages, sizes, versions, seed and configuration are added.
        facts: Texts for the page that say what was evaluated, by heading.
    """
    remove_outputs(run_dir)
    run_dir.mkdir(parents=True, exist_ok=True)
    result.ranking.save(run_dir / "ranking.npz")
    write_stages(run_dir / "stages.csv", result.stages)
    if result.effects:
        rows, query_ids = result.effects[0].queries, result.inputs.queries.ids
        called = rows.tolist() if query_ids is None else format_ids(query_ids[rows])
        precisions = {effect.stage: (effect.before, effect.after) for effect in result.effects}
        write_stage_queries(run_dir / "stage_queries.csv", called, precisions)
    write_queries(run_dir, result)
    _write_submissions(run_dir, result)
    of_stages = _draw(run_dir, result)
    stages = {"Retrieval": "stages", "Recognition": "recognition_stages"}
    content = {
        **figures,
        **stamp(result),
        "sizes": {
            "queries": len(result.inputs.queries),
            "index": len(result.inputs.index),
            "dimensions": result.dimensions,
            "depth": result.ranking.depth,
        },
        "seed": config.seed,
        "versions": versions(),
        "config": recorded(config),
        **{stages[heading]: [asdict(one) for one in reports] for heading, reports in result.ablations.items()},
    }
    write_json(run_dir / "metrics.json", plain(content))
    write_summary(
        run_dir / "report.html",
        title,
        _by_figure(results),
        result.ablations,
        {heading: run_dir / name for heading, name in IMAGES.items() if (run_dir / name).is_file()} | of_stages,
        OmegaConf.to_yaml(recorded(config)),
        facts,
    )
    print_scores(run_dir, results, result.ablations)


def _by_figure(results: Mapping[str, Scores]) -> dict[str, dict[str, float]]:
    """Regroup scores by metric, then split; if there are several labels, each gets a row with its label in the name."""
    by_figure: dict[str, dict[str, float]] = {}
    names = dict.fromkeys(name for found in results.values() for values in found.values() for name in values)
    for name in names:
        for label, found in results.items():
            values = {split: values[name] for split, values in found.items() if name in values}
            if values:
                by_figure[f"{name} ({label})" if len(results) > 1 else name] = values
    return by_figure


def _write_submissions(run_dir: Path, result: Result) -> None:
    submissions = run_dir / "submissions"
    if (retrieval := result.retrieval) is not None:
        submissions.mkdir(exist_ok=True)
        write_retrieval_submission(submissions / "retrieval.csv", retrieval)
    if (found := result.recognised) is not None:
        submissions.mkdir(exist_ok=True)
        write_recognition_submission(submissions / "recognition.csv", found.submission)
        write_stages(run_dir / "recognition_stages.csv", found.result.stages)
        words = {"name": predicted_names(found, result.inputs.source)}
        images = result.inputs.queries.images
        if images is not None and images.has_paths:
            words["path"] = np.array([shown(images.path(row)) for row in range(len(images))], dtype=np.str_)
        notes = found.result.state.notes
        write_recognition_notes(run_dir / "recognition_evidence.csv", found.submission, {**words, **notes})


def _draw(run_dir: Path, result: Result) -> dict[str, Path]:
    """Draw sample queries, recognised landmarks and the effects of stages, if the images are available.

    Returns:
        The images of the stages by heading.
    """
    inputs, source = result.inputs, result.inputs.source
    queries, index = inputs.queries, inputs.index
    drawn: dict[str, Path] = {}
    if source is None or queries.images is None or queries.ids is None:
        return drawn
    sets = (queries.images, *([index.images] if index.images is not None else ()))
    read = reader(*sets)
    if index.images is not None and index.ids is not None:
        about_index = index.ids, inputs.truth, index.images.table, source
        sheet = sample_sheet(result.ranking, queries.ids, *about_index)
        if sheet is not None:
            draw_neighbours(sheet, read, run_dir / "neighbours.png")
        for number, effect in enumerate(result.effects, start=1):
            of_stage = effect_sheet(effect, queries.ids, *about_index)
            if of_stage is None:
                continue
            file = run_dir / STAGES / f"{number}_{NO_WORD.sub('_', effect.stage)}.png"
            drawn[f"Queries that {effect.stage} helped and harmed most"] = draw_effects(of_stage, read, file)
            if effect.features is not None:
                matches = file.with_name(f"{file.stem}_matches.png")
                whole = reader(*sets, short_side=None)
                if draw_risen(of_stage, whole, effect.features, matches, effect.seed) is not None:
                    drawn[f"Matches of {effect.stage} in images that rose"] = matches
    if result.recognised is not None:
        of_recognition = recognition_sheet(result.recognised, inputs.truth, source)
        if of_recognition is not None:
            draw_recognition(of_recognition, read, run_dir / "recognition.png")
    return drawn


def print_scores(run_dir: Path, results: Mapping[str, Scores], ablations: Ablations) -> None:
    """Print the ablation tables, the main metrics with a row for each label, and the run folder.

    Args:
        run_dir: The run folder.
        results: Scores by label.
        ablations: Reports of the stages of each pipeline, by heading.
    """
    console = Console()
    for heading, stages in ablations.items():
        console.print(ablation_table(stages, heading))
    table = Table("", title="Results", title_justify="left")
    splits = list(dict.fromkeys(split for scores in results.values() for split in scores))
    first = next(iter(results.values()))
    columns = [(split, name) for name in SHOWN for split in splits if name in first.get(split, {})]
    for split, name in columns:
        table.add_column(f"{name}\n{split}", justify="right")
    for label, scores in with_classifiers(results).items():
        table.add_row(
            Text(shown(label)),
            *(f"{scores[split][name]:.4f}" if name in scores.get(split, {}) else "" for split, name in columns),
        )
    if not columns:
        console.print("There is no ground truth, so there are no figures; the ranking is written.")
    elif len(results) > 1 or {name for _, name in columns} != {"map@100"}:  # else the stages say it already
        console.print(table)
    console.print(f"Metrics, images and the page report.html are in [bold]{escape(str(run_dir))}[/]", soft_wrap=True)


def plain(value: Any) -> Any:
    """Convert a value to what JSON can hold: mappings, lists and scalars; numbers that are not finite become None."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
