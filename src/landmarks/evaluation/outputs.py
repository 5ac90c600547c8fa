"""What an evaluation leaves in the run folder: figures, ranking, both submissions, and pictures to look at."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from landmarks.config.record import write_json
from landmarks.evaluation.classifier_metrics import with_classifiers
from landmarks.evaluation.sample_sheet import picture_reader, recognition_sheet, sample_sheet
from landmarks.evaluation.stamp import data_stamp, pipeline_stamp, protocol_stamp, solution_stamp
from landmarks.metrics.submissions import write_recognition_submission, write_retrieval_submission
from landmarks.report.neighbours import draw_neighbours
from landmarks.report.recognition import write_recognition_notes
from landmarks.report.recognition_sheet import draw_recognition
from landmarks.report.summary import write_summary
from landmarks.report.table import ablation_table, write_stages
from landmarks.retrieval.ablation import StageReport

if TYPE_CHECKING:  # Lightning takes seconds to import, and given descriptors are evaluated without it
    from landmarks.data.module import LandmarkDataModule
    from landmarks.evaluation.recognise import Recognised
    from landmarks.evaluation.scoring import Outcome

SHOWN = ("map@100", "gap", "top1")
OUTPUTS = (
    "metrics.json",
    "ranking.npz",
    "stages.csv",
    "recognition_stages.csv",
    "submissions/retrieval.csv",
    "submissions/recognition.csv",
    "recognition.csv",
    "neighbours.png",
    "recognition.png",
    "report.html",
)

Scores = Mapping[str, Mapping[str, float]]  # {"public": {"map@100": …, "gap": …}, "private": …}
PICTURES = {"Curves": "curves.png", "Sample queries": "neighbours.png", "Landmarks recognised": "recognition.png"}

Ablations = Mapping[str, Sequence[StageReport]]  # heading to the reports of a pipeline


def remove_outputs(run_dir: Path) -> None:
    """Remove what an earlier evaluation left in the run folder, so that old and new are never mixed."""
    for name in OUTPUTS:
        (run_dir / name).unlink(missing_ok=True)


def write_outcome(run_dir: Path, data: "LandmarkDataModule", outcome: "Outcome", figures: Mapping[str, Any]) -> None:
    """Write everything that can be had from an evaluation.

    Args:
        run_dir: gets `metrics.json`, `ranking.npz`, `stages.csv`, `recognition_stages.csv`, `recognition.csv`,
            `submissions/*.csv`, `neighbours.png` and `recognition.png` instead of those of an earlier evaluation.
        data: the evaluated sets.
        outcome: what the evaluation found.
        figures: plain values for `metrics.json`; the stages and the stamp are added, see `landmarks.evaluation.stamp`.
    """
    remove_outputs(run_dir)
    submissions = run_dir / "submissions"
    submissions.mkdir(parents=True, exist_ok=True)
    write_retrieval_submission(submissions / "retrieval.csv", outcome.retrieval)
    outcome.ranking.save(run_dir / "ranking.npz")
    write_stages(run_dir / "stages.csv", outcome.stages)
    write_recognised(run_dir, outcome.recognised)
    sheet = sample_sheet(
        outcome.ranking, outcome.query_ids, outcome.index_ids, data.truth, data.index_set.table, data.source
    )
    read = picture_reader(data.query_set, data.index_set)
    if sheet is not None:
        draw_neighbours(sheet, read, run_dir / "neighbours.png")
    of_recognition = recognition_sheet(outcome.recognised, data.truth, data.source)
    if of_recognition is not None:
        draw_recognition(of_recognition, read, run_dir / "recognition.png")
    truth, name = data.truth, data.source.name
    solutions = {
        "retrieval": solution_stamp(truth.retrieval, name),
        "recognition": solution_stamp(truth.recognition, name),
    }
    sizes = {
        "source": name,
        "train": len(data.train_set),
        "landmarks": data.num_landmarks,
        "queries": len(data.query_set),
        "index": len(data.index_set),
        "gallery": len(data.gallery_set),
        "validation": str(data.validation),
        **data_stamp(data.source, len(outcome.query_ids), len(outcome.index_ids), solutions),
    }
    stamp = {
        "protocol": protocol_stamp([outcome.protocol]),
        "pipeline": pipeline_stamp(outcome.stages, outcome.recognised.result.stages),
        "data": sizes,
    }
    write_json(run_dir / "metrics.json", plain({**figures, **stamp, **stage_lists(outcome.ablations)}))


def write_recognised(run_dir: Path, recognised: "Recognised") -> None:
    """Write `submissions/recognition.csv`, `recognition_stages.csv` and `recognition.csv` into the run folder."""
    (run_dir / "submissions").mkdir(parents=True, exist_ok=True)
    write_recognition_submission(run_dir / "submissions" / "recognition.csv", recognised.submission)
    write_stages(run_dir / "recognition_stages.csv", recognised.result.stages)
    write_recognition_notes(run_dir / "recognition.csv", recognised.submission, recognised.result.state.notes)


def write_report(run_dir: Path, title: str, results: Mapping[str, Scores], ablations: Ablations) -> None:
    """Write `report.html`, one page with the figures, stages, pictures and the configuration of a run."""
    pictures = {heading: run_dir / name for heading, name in PICTURES.items()}
    scores = {
        f"{name} ({label})": {split: values[name] for split, values in found.items() if name in values}
        for name in SHOWN
        for label, found in with_classifiers(results).items()
    }
    write_summary(
        run_dir / "report.html",
        title,
        {name: values for name, values in scores.items() if values},
        ablations,
        {heading: path for heading, path in pictures.items() if path.is_file()},
        (run_dir / "config.yaml").read_text() if (run_dir / "config.yaml").is_file() else "",
    )


def print_scores(run_dir: Path, results: Mapping[str, Scores], ablations: Ablations) -> None:
    """Print the stages, the figures that people compare, one row an evaluation, and where everything lies."""
    console = Console()
    for heading, stages in ablations.items():
        console.print(ablation_table(stages, heading))
    table = Table("", title="Results", title_justify="left")
    splits = list(dict.fromkeys(split for scores in results.values() for split in scores))
    first = next(iter(results.values()))
    shown = [(split, name) for name in SHOWN for split in splits if name in first.get(split, {})]
    for split, name in shown:
        table.add_column(f"{name}\n{split}", justify="right")
    for label, scores in with_classifiers(results).items():
        table.add_row(label, *(f"{scores[split][name]:.4f}" if name in scores[split] else "" for split, name in shown))
    if not shown:
        console.print("There is no ground truth, so there are no figures; the ranking is written.")
    elif len(results) > 1 or {name for _, name in shown} != {"map@100"}:  # else the stages say it already
        console.print(table)
    console.print(f"Figures, pictures and a page to read, report.html, are in [bold]{run_dir}[/]", soft_wrap=True)


def stage_lists(ablations: Ablations) -> dict[str, list[dict[str, Any]]]:
    """The reports of pipelines as `metrics.json` holds them: `stages` of retrieval, `recognition_stages`."""
    names = {"Retrieval": "stages", "Recognition": "recognition_stages"}
    return {names[heading]: [stage.to_dict() for stage in stages] for heading, stages in ablations.items()}


def plain(value: Any) -> Any:
    """Turn figures into what JSON can hold; a figure that is not a number becomes null."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
