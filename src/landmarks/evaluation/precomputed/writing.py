"""What an evaluation of given descriptors leaves in the run folder."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from landmarks.config.record import write_json
from landmarks.data.source import GroundTruth
from landmarks.evaluation.outputs import PICTURES, Ablations, plain, stage_lists
from landmarks.evaluation.precomputed.inputs import Inputs
from landmarks.evaluation.recognise import Recognised
from landmarks.evaluation.sample_sheet import picture_reader, recognition_sheet, sample_sheet
from landmarks.metrics.submissions import RetrievalSubmission, write_retrieval_submission
from landmarks.report.neighbours import draw_neighbours
from landmarks.report.recognition_sheet import draw_recognition
from landmarks.report.summary import write_summary
from landmarks.report.table import write_stages
from landmarks.retrieval.pipeline import PipelineResult


def write_found(
    run_dir: Path,
    title: str,
    inputs: Inputs,
    found: PipelineResult,
    ablations: Ablations,
    figures: Mapping[str, Any],
) -> None:
    """Write everything that can be had.

    Args:
        run_dir: gets `ranking.npz`, `stages.csv`, `metrics.json` and `report.html`; with ids
            `submissions/retrieval.csv`; with pictures and their ground truth `neighbours.png`.
        title: of the page.
        inputs: what was searched.
        found: what was found.
        ablations: the stages of all pipelines.
        figures: plain values for `metrics.json`, `scores` among them; sizes and stages are added.
    """
    found.ranking.save(run_dir / "ranking.npz")
    write_stages(run_dir / "stages.csv", found.stages)
    _write_submission(run_dir / "submissions" / "retrieval.csv", inputs, found)
    _draw(run_dir / "neighbours.png", inputs, found)
    sizes = {
        "queries": len(inputs.queries),
        "index": len(inputs.index),
        "dimensions": found.state.queries.shape[1],
        "depth": found.ranking.depth,
    }
    write_json(run_dir / "metrics.json", plain({**figures, "sizes": sizes, **stage_lists(ablations)}))
    scores = figures["scores"]
    names = list(dict.fromkeys(name for values in scores.values() for name in values))
    write_summary(
        run_dir / "report.html",
        title,
        {name: {split: values[name] for split, values in scores.items() if name in values} for name in names},
        ablations,
        {heading: run_dir / name for heading, name in PICTURES.items() if (run_dir / name).is_file()},
        (run_dir / "config.yaml").read_text(encoding="utf-8"),
        _facts(inputs),
    )


def draw_recognised(path: Path, inputs: Inputs, recognised: Recognised, truth: GroundTruth) -> None:
    """Draw the queries and what was recognised in them, where pictures were opened for a stage anyway."""
    if inputs.source is None or inputs.query_pictures is None:
        return
    sheet = recognition_sheet(recognised, truth, inputs.source)
    if sheet is not None:
        draw_recognition(sheet, picture_reader(inputs.query_pictures, inputs.query_pictures), path)


def _write_submission(path: Path, inputs: Inputs, found: PipelineResult) -> None:
    if inputs.queries.ids is None or inputs.index.ids is None:
        return
    path.parent.mkdir(exist_ok=True)
    submission = RetrievalSubmission.from_ranking(inputs.queries.ids, inputs.index.ids, found.ranking.indices)
    write_retrieval_submission(path, submission)


def _draw(path: Path, inputs: Inputs, found: PipelineResult) -> None:
    """Sample queries with their results, where pictures were opened for a stage anyway."""
    if inputs.source is None or inputs.query_pictures is None or inputs.index_pictures is None:
        return
    sheet = sample_sheet(
        found.ranking,
        inputs.queries.known_ids,
        inputs.index.known_ids,
        inputs.solutions,
        inputs.index_pictures.table,
        inputs.source,
    )
    if sheet is not None:
        draw_neighbours(sheet, picture_reader(inputs.query_pictures, inputs.index_pictures), path)


def _facts(inputs: Inputs) -> dict[str, str]:
    facts = {
        given.key.removeprefix("descriptors."): ", ".join(
            f"{name} ({' x '.join(map(str, part.shape))}, {part.dtype})"
            for name, part in zip(given.names, given.parts, strict=True)
        )
        for given in (inputs.queries, inputs.index, inputs.gallery)
        if given is not None
    }
    if inputs.truth is not None:
        summary = inputs.truth.summary()
        counts = [f"{count} {what}" for what, count in summary.items() if what != "from" and count]
        facts["truth"] = f"{summary['from']}: {', '.join(counts)}"
    return facts
