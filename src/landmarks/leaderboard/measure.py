"""What `landmarks leaderboard --run` does for a row: it prints and runs a few commands, which all go on after a kill.

A single model and a system of six go the same way: `landmarks extract` makes the descriptors of each model, then
`landmarks evaluate` searches, re-ranks and scores them. Classifiers and detectors are evaluated at once.
"""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal

from hydra.utils import instantiate
from omegaconf import DictConfig

from landmarks.config import EvaluateSettings, ExtractSettings, check_config, quoted
from landmarks.errors import LandmarksError
from landmarks.evaluation import used_part
from landmarks.extraction import PREDICTIONS
from landmarks.leaderboard.rows import Row
from landmarks.leaderboard.weights import composed, parse_weights, require_weights
from landmarks.recognition import DETECTIONS, RecognitionPipeline
from landmarks.retrieval import Need, Pipeline

SETS = "descriptors"  # the folder of a row's sets, where an evaluation keeps them, too
PREDICTED = 10  # landmarks of each image, as `conf/extract.yaml` advises
CLASSIFIER_GALLERY = 1000  # its figure needs no neighbours
OURS = ("checkpoint", "descriptors", "run_dir", "splits", "predictions", "detections", "hydra")


@dataclass(frozen=True)
class Command:
    """A run of `landmarks extract` or `landmarks evaluate`."""

    name: Literal["extract", "evaluate"]  # which of them
    overrides: tuple[str, ...]  # its arguments

    def __str__(self) -> str:
        return shlex.join(["landmarks", self.name, *self.overrides])


def prepare(
    row: Row,
    rows: Mapping[str, Row],
    root: str | None,
    weights: Sequence[str],
    out: Path,
    extra: Sequence[str],
    trust: Sequence[str] = (),
) -> list[Command]:
    """Hold everything that is given for a row against it, and find the commands that measure it.

    `weights` are as of `--weights`, `extra` the overrides of the user, `trust`
    is as of `open_model`; a row's own folder is `out/<row>`.
    """
    if not row.models:
        raise LandmarksError(f"{row.name} is a figure of others ({row.source}): there is nothing here to run")
    if root is None:
        raise LandmarksError(f"--run needs the data set: --root {row.root_word}")
    if "://" not in root and not Path(root).expanduser().is_dir():
        raise LandmarksError(f"--root {root}: there is no such folder")
    paths = parse_weights(weights, row, rows)
    if len(row.parts) == 1 and not paths:
        raise LandmarksError(f"--run {row.name} needs --weights PATH: a model file or a checkpoint")
    for part, path in paths.items():
        require_weights(rows[part], path, trust)
    named = [f"trust=[{','.join(trust)}]"] if trust else []
    found = measuring(row, root, paths, out, [*extra, *named])
    if len(found) > 1:  # a single one checks itself before it begins
        check_commands(found)
    return found


def measuring(row: Row, root: str, weights: Mapping[str, Path], out: Path, extra: Sequence[str] = ()) -> list[Command]:
    """Find the commands that measure a row, given the weights of each part that is to be made."""
    for override in extra:
        if override.startswith("-") or _top(override) in OURS:
            raise LandmarksError(f"{override}: is set by `leaderboard --run` itself; give --weights, --root and --out")
    if "recognition.stages.classifier=null" in extra:
        row = replace(row, classifier=None)
    if "recognition.stages.filter=null" in extra:
        row = replace(row, detector=None)
    if row.of_classifier or row.task == "detection":
        return [_of_weights(row, root, weights[row.name], out / row.name, extra)]
    splits = ["queries", "index"] + (["gallery"] if row.pipeline or row.metric == "gap" else [])
    made = {part: [out / part / SETS / name for name in _made(row, part, splits)] for part in row.parts}
    missing = [part for part in made if part not in weights and not all(folder.is_dir() for folder in made[part])]
    if missing:
        where = "".join(f"\n  {folder}" for part in missing for folder in made[part] if not folder.is_dir())
        give = " ".join(f"--weights {part}=PATH" for part in missing)
        raise LandmarksError(f"{row.name} needs what is not there yet:{where}\nIt is made with its weights: {give}")
    extractions = [_extraction(row, part, root, weights[part], out, splits, extra) for part in made if part in weights]
    return [*extractions, _of_descriptors(row, root, out, splits, extra)]


def check_commands(commands: Sequence[Command]) -> None:
    """Check extractions and the evaluation after them, so that a slip does not show after hours of work."""
    for command in commands:
        config = composed(command.name, [one for one in command.overrides if not one.startswith("hydra.")])
        if command.name == "extract":
            check_config(config, ExtractSettings)
        else:
            used = used_part(config)
            check_config(used, EvaluateSettings)
            _check_needs(used)


def _check_needs(config: DictConfig) -> None:
    """Refuse stages that need what the extractions will not make."""
    gallery = bool(config.descriptors.gallery)
    pipeline: Pipeline = instantiate(config.pipeline)
    pipeline.require(["images", "gallery"] if gallery else ["images"])
    if gallery:
        recognition: RecognitionPipeline = instantiate(config.recognition)
        given: dict[Need, Any] = {"predictions": config.predictions, "detections": config.detections}
        recognition.require(["images", *(need for need, folder in given.items() if folder)])


def _made(row: Row, part: str, splits: Sequence[str]) -> list[str]:
    """Name the folders that an extraction with a part of the row makes."""
    if part in row.models:
        return list(splits)
    return [f"queries{PREDICTIONS if part == row.classifier else DETECTIONS}"]


def _extraction(
    row: Row, part: str, root: str, weights: Path, out: Path, splits: Sequence[str], extra: Sequence[str]
) -> Command:
    of_part = splits if part in row.models else ["queries"]
    mine = [f"checkpoint={quoted(weights)}", "data=gldv2", f"data.root={quoted(root)}"]
    mine += [f"splits=[{','.join(of_part)}]", f"hydra.run.dir={quoted(out / part / SETS)}"]
    mine += [f"predictions={PREDICTED}"] if part == row.classifier else []
    return Command("extract", (*mine, *_meant_for(ExtractSettings, EvaluateSettings, extra)))


def _of_weights(row: Row, root: str, weights: Path, here: Path, extra: Sequence[str]) -> Command:
    """Evaluate a detector or a classifier, which needs no neighbours: the smallest index and gallery do."""
    mine = [f"checkpoint={quoted(weights)}", f"data.root={quoted(root)}"]
    mine += [f"name={row.name}", f"hydra.run.dir={quoted(here)}"]
    if row.task == "detection":
        return Command("evaluate", ("data=openimages", *mine, *extra))
    few = ["data.validation.index_distractors=0", f"data.validation.gallery_images={CLASSIFIER_GALLERY}"]
    return Command("evaluate", ("data=gldv2", *mine, *few, f"monitor=private/{row.metric}", *extra))


def _of_descriptors(row: Row, root: str, out: Path, splits: Sequence[str], extra: Sequence[str]) -> Command:
    mine = []
    for split in splits:
        sets = [quoted(out / part / SETS / split) for part in row.models]
        mine.append(f"descriptors.{split}={sets[0] if len(sets) == 1 else '[' + ','.join(sets) + ']'}")
    mine += ["descriptors.use_data=true", "data=gldv2", f"data.root={quoted(root)}"]
    mine += [f"{'recognition' if row.task == 'recognition' else 'pipeline'}={row.pipeline}"] if row.pipeline else []
    for key, part, suffix in (("predictions", row.classifier, PREDICTIONS), ("detections", row.detector, DETECTIONS)):
        mine += [f"{key}={quoted(out / part / SETS / f'queries{suffix}')}"] if part else []
    mine += [f"name={row.name}", f"monitor=private/{row.metric}", f"hydra.run.dir={quoted(out / row.name)}"]
    return Command("evaluate", (*mine, *_meant_for(EvaluateSettings, ExtractSettings, extra)))


def _meant_for(settings: type, other: type, extra: Sequence[str]) -> list[str]:
    """Leave out what only the other command has a use for."""
    mine, others = ({field.name for field in fields(one)} for one in (settings, other))
    return [one for one in extra if _top(one) in mine or _top(one) not in others]


def _top(override: str) -> str:
    """The key at the top: `pipeline` of `pipeline.stages.qe.k=3`, `index` of `index@neighbours=…`."""
    return override.lstrip("+~").partition("=")[0].partition(".")[0].partition("@")[0]
