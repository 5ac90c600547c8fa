"""What an evaluation leaves in the run folder: figures, ranking, both submissions, and pictures to look at."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from landmarks.data.module import LandmarkDataModule
from landmarks.metrics.submissions import write_recognition_submission, write_retrieval_submission
from landmarks.report.neighbours import draw_neighbours
from landmarks.report.summary import write_summary
from landmarks.report.table import ablation_table
from landmarks.training.record import write_json
from landmarks.training.sample_sheet import picture_reader, sample_sheet
from landmarks.training.scoring import Outcome, Scores

SHOWN = ("map@100", "gap", "top1")


def write_outcome(run_dir: Path, data: LandmarkDataModule, outcome: Outcome, figures: Mapping[str, Any]) -> None:
    """Write everything that can be had from an evaluation.

    Args:
        run_dir: gets `metrics.json`, `ranking.npz`, `submissions/*.csv` and `neighbours.png`.
        data: the evaluated sets.
        outcome: what the evaluation found.
        figures: plain values for `metrics.json`; the sizes of the sets and the stages are added.
    """
    submissions = run_dir / "submissions"
    submissions.mkdir(parents=True, exist_ok=True)
    write_retrieval_submission(submissions / "retrieval.csv", outcome.retrieval)
    write_recognition_submission(submissions / "recognition.csv", outcome.recognition)
    outcome.ranking.save(run_dir / "ranking.npz")
    sheet = sample_sheet(data, outcome)
    if sheet is not None:
        draw_neighbours(sheet, picture_reader(data), run_dir / "neighbours.png")
    sizes = {
        "source": data.source.name,
        "train": len(data.train_set),
        "landmarks": data.num_landmarks,
        "queries": len(data.query_set),
        "index": len(data.index_set),
        "gallery": len(data.gallery_set),
        "validation": str(data.validation),
    }
    stages = [stage.to_dict() for stage in outcome.stages]
    write_json(run_dir / "metrics.json", plain({**figures, "data": sizes, "stages": stages}))


def write_report(run_dir: Path, title: str, results: Mapping[str, Scores], outcome: Outcome) -> None:
    """Write `report.html`, one page with the figures, stages, pictures and the configuration of a run."""
    pictures = {"Curves": run_dir / "curves.png", "Sample queries": run_dir / "neighbours.png"}
    scores = {
        f"{name} ({label})": {split: values[name] for split, values in found.items() if name in values}
        for name in SHOWN
        for label, found in results.items()
    }
    write_summary(
        run_dir / "report.html",
        title,
        {name: values for name, values in scores.items() if values},
        outcome.stages,
        {heading: path for heading, path in pictures.items() if path.is_file()},
        (run_dir / "config.yaml").read_text() if (run_dir / "config.yaml").is_file() else "",
    )


def print_scores(run_dir: Path, results: Mapping[str, Scores], outcome: Outcome) -> None:
    """Print the figures that people compare, one row an evaluation, and where everything lies."""
    console = Console()
    if len(outcome.stages) > 1:
        console.print(ablation_table(outcome.stages))
    table = Table("", title="Results", title_justify="left")
    splits = list(dict.fromkeys(split for scores in results.values() for split in scores))
    shown = [(split, name) for name in SHOWN for split in splits if name in next(iter(results.values()))[split]]
    for split, name in shown:
        table.add_column(f"{name}\n{split}", justify="right")
    for label, scores in results.items():
        table.add_row(label, *(f"{scores[split][name]:.4f}" for split, name in shown))
    if shown:
        console.print(table)
    else:
        console.print("There is no ground truth, so there are no figures; the submissions are written.")
    console.print(f"Figures, pictures and a page to read, report.html, are in [bold]{run_dir}[/]", soft_wrap=True)


def plain(value: Any) -> Any:
    """Turn figures into what JSON can hold; a figure that is not a number becomes null."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
