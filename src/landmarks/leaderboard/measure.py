"""Finds the commands that `landmarks leaderboard --run` runs for a row, all of which can be resumed.

Single models and systems of several are measured in the same way: `landmarks extract` makes the descriptors of each
model, then `landmarks evaluate` searches, re-ranks and scores. Classifiers and detectors are evaluated directly.
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

SETS = "descriptors"  # the folder of a row's descriptor sets, as in an evaluation
PREDICTED = 10  # predicted landmarks per image, as recommended in `conf/extract.yaml`
CLASSIFIER_GALLERY = 1000  # small, because metrics of classifiers need no neighbours
OURS = ("checkpoint", "descriptors", "run_dir", "splits", "predictions", "detections", "hydra")


@dataclass(frozen=True)
class Command:
    """A run of `landmarks extract` or `landmarks evaluate`.

    Attributes:
        name: The command.
        overrides: Its arguments.
    """

    name: Literal["extract", "evaluate"]
    overrides: tuple[str, ...]

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
    """Check the arguments of `landmarks leaderboard --run`, and find the commands that measure the row.

    Args:
        row: The row to measure.
        rows: All rows, by name.
        root: Folder or address of the data set.
        weights: Values of `--weights`.
        out: Folder of all runs; results are written to `out/<row>`.
        extra: Further overrides by the user.
        trust: Modules whose classes may be instantiated, see `open_model`.

    Returns:
        The commands, in order.

    Raises:
        LandmarksError: An argument is missing or invalid, or the weights are not those of the row.
    """
    if not row.models:
        raise LandmarksError(f"{row.name} was only published ({row.source}) and cannot be run here")
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
    if len(found) > 1:  # a single command checks its configuration before it starts
        check_commands(found)
    return found


def measuring(row: Row, root: str, weights: Mapping[str, Path], out: Path, extra: Sequence[str] = ()) -> list[Command]:
    """Find the commands that measure a row.

    Args:
        row: The row.
        root: Folder or address of the data set.
        weights: Weights by the name of the part; parts whose descriptors already exist need none.
        out: Folder of all runs.
        extra: Further overrides by the user.

    Raises:
        LandmarksError: An override is not allowed, or weights of a part are missing.
    """
    for override in extra:
        if override.startswith("-") or _top(override) in OURS:
            raise LandmarksError(f"{override}: `leaderboard --run` sets this itself; use --weights, --root and --out")
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
        raise LandmarksError(f"{row.name} needs these folders, which do not exist yet:{where}\nMake them with {give}")
    extractions = [_extraction(row, part, root, weights[part], out, splits, extra) for part in made if part in weights]
    return [*extractions, _of_descriptors(row, root, out, splits, extra)]


def check_commands(commands: Sequence[Command]) -> None:
    """Check the configurations of all commands before the first one starts.

    Args:
        commands: Extractions, then the evaluation.

    Raises:
        LandmarksError: A configuration is invalid, or a stage needs something that the extractions do not make.
    """
    for command in commands:
        config = composed(command.name, [one for one in command.overrides if not one.startswith("hydra.")])
        if command.name == "extract":
            check_config(config, ExtractSettings)
        else:
            used = used_part(config)
            check_config(used, EvaluateSettings)
            _check_needs(used)


def _check_needs(config: DictConfig) -> None:
    """Raise LandmarksError for stages that need something that the extractions do not make."""
    gallery = bool(config.descriptors.gallery)
    pipeline: Pipeline = instantiate(config.pipeline)
    pipeline.require(["images", "gallery"] if gallery else ["images"])
    if gallery:
        recognition: RecognitionPipeline = instantiate(config.recognition)
        given: dict[Need, Any] = {"predictions": config.predictions, "detections": config.detections}
        recognition.require(["images", *(need for need, folder in given.items() if folder)])


def _made(row: Row, part: str, splits: Sequence[str]) -> list[str]:
    """Return the names of the folders that an extraction with a part of the row makes."""
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
    """Evaluate a detector or a classifier; it needs no neighbours, so index and gallery are as small as possible."""
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
    """Leave out overrides that only the other command has."""
    mine, others = ({field.name for field in fields(one)} for one in (settings, other))
    return [one for one in extra if _top(one) in mine or _top(one) not in others]


def _top(override: str) -> str:
    """Return the top-level key: `pipeline` of `pipeline.stages.qe.k=3`, `index` of `index@neighbours=…`."""
    return override.lstrip("+~").partition("=")[0].partition(".")[0].partition("@")[0]
