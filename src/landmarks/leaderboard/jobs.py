"""What `landmarks leaderboard --run` does for a row: a few jobs of ours, planned and checked before the first begins.

A single model and a system of six go the same way: `landmarks extract` describes the pictures with each model, then
`landmarks evaluate` searches, re-ranks and scores the descriptors. Classifiers and detectors are evaluated at once.
Each job goes on where a killed one stopped, and extraction leaves alone what is described already, so the same command
again goes on.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal

from hydra.utils import instantiate
from omegaconf import DictConfig

from landmarks.config.check import check_config
from landmarks.config.settings import EvaluateSettings, ExtractSettings, Task
from landmarks.errors import LandmarksError
from landmarks.evaluation.precomputed.keys import used_part
from landmarks.extraction.predict import PREDICTIONS
from landmarks.leaderboard.rows import Row
from landmarks.leaderboard.weights import RowWeights, composed
from landmarks.recognition.detections.tables import DETECTIONS
from landmarks.recognition.state import RecognitionPipeline
from landmarks.retrieval.descriptors.descriptor_set import DescriptorSet
from landmarks.retrieval.pipeline import Pipeline
from landmarks.retrieval.state import Need

PLAIN = re.compile(r"[./]*[A-Za-z_][\w.-]*/[\w./-]*", re.ASCII)  # nothing that Hydra reads as anything else
SETS = "descriptors"  # the folder of a row's sets, where an evaluation keeps them, too
PREDICTED = 10  # landmarks of each picture, as `conf/extract.yaml` advises
CLASSIFIER_GALLERY = 1000  # its figure needs no neighbours
CROPPED = ("data.resize.mode=crop",)  # as the released classifiers got their pictures
OURS = ("checkpoint", "descriptors", "run_dir", "splits", "predictions", "detections", "hydra")


@dataclass(frozen=True)
class Job:
    """A run of one of our commands.

    Attributes:
        command: "extract" or "evaluate".
        overrides: what its configuration is composed of.
        what: it does, for people.
        task: of the run.
    """

    command: Literal["extract", "evaluate"]
    overrides: tuple[str, ...]
    what: str
    task: Task = "landmarks"


def plan(row: Row, root: str, weights: Mapping[str, RowWeights], out: Path, extra: Sequence[str] = ()) -> list[Job]:
    """The jobs that measure a row.

    Args:
        row: which can be run.
        root: of the data set.
        weights: of each part whose descriptors or predictions are to be made.
        out: folder of all rows; a row's own is `out/<row>`.
        extra: overrides of the user.

    Raises:
        LandmarksError: a part has neither weights nor what they would make, or an override that is not the user's to
            give.
    """
    for override in extra:
        if override.startswith("-") or _top(override) in OURS:
            raise LandmarksError(f"{override}: is set by `leaderboard --run` itself; give --weights, --root and --out")
    if "recognition.stages.classifier=null" in extra:
        row = replace(row, classifier=None)
    if "recognition.stages.filter=null" in extra:
        row = replace(row, detector=None)
    here = out / row.name
    if row.of_classifier or row.task == "detection":
        return [_whole_evaluation(row, root, weights[row.name], here, extra)]
    splits = ["queries", "index"] + (["gallery"] if row.pipeline or row.metric == "gap" else [])
    _require_parts(row, weights, out, splits)
    jobs = []
    for part in row.parts:
        if part in weights:
            of_set = splits if part in row.models else ["queries"]
            predict = [f"predictions={PREDICTED}"] if part == row.classifier else []
            jobs.append(
                _extraction(weights[part], root, out / part / SETS, of_set, [*predict, *_for_extraction(extra)])
            )
    return [*jobs, _evaluation(row, root, out, splits, _for_evaluation(extra))]


def check_jobs(jobs: Sequence[Job]) -> None:
    """Compose every job and check its configuration, so that a slip does not show after hours of work.

    Raises:
        LandmarksError: lists what is wrong; errors of Hydra name overrides that it cannot understand.
    """
    for job in jobs:
        mine = [one for one in job.overrides if not one.startswith("hydra.")]
        config = composed(job.command, mine)
        if job.command == "extract":
            check_config(config, ExtractSettings)
        elif config.checkpoint is None:
            used = used_part(config)
            check_config(used, EvaluateSettings)
            _check_needs(used)
        elif job.task == "landmarks":  # a detector's is checked when its checkpoint is open
            check_config(config, EvaluateSettings)


def _check_needs(config: DictConfig) -> None:
    """Refuse stages that need what the jobs before will not make."""
    gallery = bool(config.descriptors.gallery)
    pipeline: Pipeline = instantiate(config.pipeline)
    pipeline.require(["pictures", "gallery"] if gallery else ["pictures"])
    if gallery:
        recognition: RecognitionPipeline = instantiate(config.recognition)
        given: dict[Need, Any] = {"predictions": config.predictions, "detections": config.detections}
        recognition.require(["pictures", *(need for need, folder in given.items() if folder)])


def quoted(value: str | Path) -> str:
    """A text as Hydra's grammar of overrides takes any text; plain paths are left as they are."""
    if PLAIN.fullmatch(str(value)):
        return str(value)
    # backslashes count double only before a quote
    escaped = re.sub(r"(\\*)('|\Z)", lambda found: found[1] * 2 + ("\\'" if found[2] else ""), str(value))
    return f"'{escaped}'"


def _extraction(weights: RowWeights, root: str, folder: Path, splits: Sequence[str], more: Sequence[str]) -> Job:
    name = weights.row.name
    mine = [
        *_of_data("gldv2", root, weights),
        *(CROPPED if weights.row.of_classifier else ()),
        f"splits=[{','.join(splits)}]",
        f"hydra.run.dir={quoted(folder)}",
    ]
    return Job("extract", (*mine, *more), f"describe {', '.join(splits)} with {name}")


def _whole_evaluation(row: Row, root: str, weights: RowWeights, here: Path, extra: Sequence[str]) -> Job:
    mine = [f"name={row.name}", f"hydra.run.dir={quoted(here)}"]
    if row.task == "detection":
        data = ["data=openimages", f"data.root={quoted(root)}", f"checkpoint={quoted(weights.path)}"]
    else:  # no neighbours are needed: the smallest index and gallery do
        data = _of_data("gldv2", root, weights)
        data += [*CROPPED, "data.validation.index_distractors=0"]
        data += [f"data.validation.gallery_images={CLASSIFIER_GALLERY}", f"monitor=private/{row.metric}"]
    task: Task = "detection" if row.task == "detection" else "landmarks"
    return Job("evaluate", (*data, *mine, *extra), f"evaluate {row.name}", task)


def _evaluation(row: Row, root: str, out: Path, splits: Sequence[str], more: Sequence[str]) -> Job:
    single = len(row.models) == 1
    sets = {split: [quoted(out / part / SETS / split) for part in row.models] for split in splits}
    given = [f"descriptors.{split}={paths[0] if single else _listed(paths)}" for split, paths in sets.items()]
    data = ["data=gldv2", f"data.root={quoted(root)}", "descriptors.use_data=true"]
    group = "recognition" if row.task == "recognition" else "pipeline"
    chosen = [f"{group}={row.pipeline}"] if row.pipeline else []
    if row.classifier:
        chosen.append(f"predictions={quoted(out / row.classifier / SETS / f'queries{PREDICTIONS}')}")
    if row.detector:
        chosen.append(f"detections={quoted(out / row.detector / SETS / f'queries{DETECTIONS}')}")
    where = [f"name={row.name}", f"monitor=private/{row.metric}", f"hydra.run.dir={quoted(out / row.name)}"]
    return Job("evaluate", (*given, *data, *chosen, *where, *more), f"search and score {row.name}")


def _of_data(data: str, root: str, weights: RowWeights) -> list[str]:
    return [
        f"checkpoint={quoted(weights.path)}",
        f"data={data}",
        f"data.root={quoted(root)}",
        f"data.image_size={weights.image_size}",
    ]


def _require_parts(row: Row, weights: Mapping[str, RowWeights], out: Path, splits: Sequence[str]) -> None:
    """Refuse to begin without something that none of the jobs will make."""
    missing = []
    for part in row.parts:
        if part in weights:
            continue
        folder = out / part / SETS
        if part in row.models:
            missing += [f"{folder / split}" for split in splits if not _is_set(folder / split)]
        elif not (made := folder / f"queries{PREDICTIONS if part == row.classifier else DETECTIONS}").is_dir():
            missing.append(str(made))
    if missing:
        parts = [part for part in row.parts if part not in weights]
        lines = "\n  ".join(missing)
        give = " ".join(f"--weights {part}=PATH" for part in parts if any(f"/{part}/" in one for one in missing))
        raise LandmarksError(
            f"{row.name} needs what is not there yet:\n  {lines}\nIt is made where the weights are given: {give}"
        )


def _is_set(folder: Path) -> bool:
    try:
        DescriptorSet.open(folder)
    except LandmarksError:
        return False
    return True


def _for_extraction(extra: Sequence[str]) -> list[str]:
    """Without what only a search has a use for."""
    return [one for one in extra if _top(one) in _keys(ExtractSettings) or _top(one) not in _keys(EvaluateSettings)]


def _for_evaluation(extra: Sequence[str]) -> list[str]:
    """Without what only an extraction has a use for."""
    return [one for one in extra if _top(one) in _keys(EvaluateSettings) or _top(one) not in _keys(ExtractSettings)]


def _keys(settings: type) -> set[str]:
    return {field.name for field in fields(settings)}


def _top(override: str) -> str:
    """The key at the top: `pipeline` of `pipeline.stages.qe.k=3`, `index` of `index@neighbours=…`."""
    return override.lstrip("+~").partition("=")[0].partition(".")[0].partition("@")[0]


def _listed(values: Sequence[str]) -> str:
    return f"[{','.join(values)}]"
