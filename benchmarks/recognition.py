"""What each stage of the recognition pipelines gives: GAP after it, by several models, on embedded images.

    python evaluate.py checkpoint=A.ckpt data=gldv2 data.root=GLDV2_MINI hydra.run.dir=RUN_A
    python benchmarks/recognition.py A=RUN_A B=RUN_B --predictions DIR --detections DIR

RUN is the folder of an evaluation: its descriptors, its data and its gallery are taken. A stage for which nothing is
given (predictions, detections) is left out, and the row of its pipeline says so. Local features that lie in the cache
already cost only their reading. Writes benchmarks/results/recognition_ablation.csv.
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from machine import machine, write_csv
from omegaconf import OmegaConf

from landmarks.config import config_root, register_resolvers, register_search_path
from landmarks.data import GLDv2
from landmarks.metrics import RecognitionSolution, RecognitionSubmission, score_recognition
from landmarks.recognition import RecognitionState, read_detections, read_predictions
from landmarks.retrieval import DescriptorSet, Gallery, Pipeline, Ranking

RESULTS = Path(__file__).parent / "results" / "recognition_ablation.csv"
# What is also asked of a pipeline: name of the row, and overrides.
VARIANTS = {
    "classifier": {"": (), "calibration=null": ("recognition.stages.calibration=null",)},
    "first_place_2019": {
        "": (),
        "per_gallery_image=1": ("recognition.stages.distractors.per_gallery_image=1",),
    },
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", metavar="NAME=RUN", help="folders of evaluations")
    parser.add_argument("--predictions", type=Path, help="folder of a classifier's predictions about the queries")
    parser.add_argument("--detections", type=Path, help="folder of a detector's findings in the queries")
    parser.add_argument("--only", nargs="+", help="these pipelines")
    arguments = parser.parse_args()
    register_search_path()
    register_resolvers()
    there = sorted(path.stem for path in (config_root() / "conf" / "recognition").glob("*.yaml"))
    rows: list[dict[str, object]] = []
    for run in arguments.runs:
        name, _, folder = run.partition("=")
        source, split, state = opened(Path(folder))
        state = replace(
            state,
            predictions=read_predictions(arguments.predictions) if arguments.predictions else None,
            detections=read_detections(arguments.detections) if arguments.detections else None,
        )
        truth = source.truth().recognition
        assert truth is not None, f"{folder}: the data have no truth for recognition"
        for pipeline in arguments.only or there:
            for variant, overrides in VARIANTS.get(pipeline, {"": ()}).items():
                for row in measured(pipeline, overrides, source, state, truth):
                    about = {"model": name, "gallery": split, "pipeline": f"{pipeline} {variant}".strip()}
                    rows.append({**about, **row, **machine()})
                    print(json.dumps(rows[-1]), flush=True)
    write_csv(RESULTS, rows)


def opened(run: Path) -> tuple[GLDv2, str, RecognitionState]:
    """Data, gallery split and embedded images of an evaluation."""
    data = OmegaConf.load(run / "config.yaml").data
    source = GLDv2(data.root, gallery_split=data.source.gallery_split)
    sets = {name: DescriptorSet.open(run / "descriptors" / name) for name in ("queries", "gallery")}
    images = {"queries": source.queries(), "gallery": source.gallery()}
    shown = {name: images[name].take(images[name].table.find(found.ids)) for name, found in sets.items()}
    table = shown["gallery"].table
    state = RecognitionState.begin(
        sets["queries"].ids,
        sets["queries"].descriptors,
        Gallery(sets["gallery"].descriptors, table.landmarks, table.num_landmarks),
        table.landmark_names,
        query_images=shown["queries"],
        index_images=shown["gallery"],
    )
    return source, data.source.gallery_split, state


def measured(
    name: str, overrides: tuple[str, ...], source: GLDv2, state: RecognitionState, truth: RecognitionSolution
) -> list[dict[str, object]]:
    """One row for each stage that leaves candidates."""
    composed = ["checkpoint=x", "data.image_size=1", "run_dir=x", "name=x", f"recognition={name}", *overrides]
    with initialize_config_dir(str(config_root() / "conf"), version_base="1.3"):
        config = compose("evaluate", composed)
    pipeline: Pipeline = instantiate(config.recognition)
    out = [
        stage
        for stage, work in pipeline.stages.items()
        if not all(state.has(need) for need in getattr(work, "needs", frozenset()))
    ]
    pipeline.stages = {stage: work for stage, work in pipeline.stages.items() if stage not in out}

    def score(after: RecognitionState, candidates: Ranking) -> dict[str, float]:
        numbers = source.submission_landmark(candidates.first, after.landmark_names)
        submission = RecognitionSubmission(after.query_ids, numbers, candidates.confidence.astype(np.float64))
        figures = score_recognition(truth, submission)
        return {f"{figure}_{split}": figures[split][figure] for figure in ("gap", "top1") for split in figures}

    reports = pipeline.run(state, score).stages
    return [
        {
            "stage": report.stage,
            **{figure: round(value, 4) for figure, value in report.scores.items()},
            "seconds": round(report.seconds, 2),
            "left_out": " ".join(out),
        }
        for report in reports
        if report.scores
    ]


if __name__ == "__main__":
    main()
