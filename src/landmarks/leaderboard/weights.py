"""Checks the weights given for a row before any work.

A row stands for a run and a network. Weights of another network or another run would give a metric of something else
under the row's name, so they are refused, according to the name and the architecture recorded in the file.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from landmarks.config import compose_config
from landmarks.errors import LandmarksError
from landmarks.leaderboard.rows import Row
from landmarks.models import (
    IN_TRAINING_ONLY,
    PUBLISHED_MODELS,
    SUFFIX,
    OpenedModel,
    all_options,
    open_model,
    plain_network,
    trusting,
)

NO_MATTER = {*IN_TRAINING_ONLY, "pretrained", "dropout"}  # options that do not affect evaluation


def parse_weights(given: Sequence[str], row: Row, rows: Mapping[str, Row]) -> dict[str, Path]:
    """Parse the values of `--weights`, each PATH or NAME=PATH.

    Args:
        given: The values.
        row: The row to measure.
        rows: All rows, by name.

    Returns:
        Paths by the name of the part of the row.

    Raises:
        LandmarksError: A name or path is wrong, ambiguous or given twice.
    """
    found: dict[str, Path] = {}
    for text in given:
        name, separator, path = text.partition("=")
        if not separator or name not in rows:
            name, path = row.parts[0], text
            if len(row.parts) > 1:
                raise LandmarksError(
                    f"--weights {text}: {row.name} has several models; write --weights NAME=PATH, where NAME is one of "
                    f"{', '.join(row.parts)}"
                )
        if name not in row.parts:
            raise LandmarksError(f"--weights {text}: {row.name} has no part {name}; it has {', '.join(row.parts)}")
        if name in found:
            raise LandmarksError(f"--weights: weights of {name} are given twice")
        found[name] = Path(path).expanduser()
        if not found[name].exists():
            raise LandmarksError(f"--weights {text}: {found[name]} does not exist")
    return found


def require_weights(row: Row, path: Path, trust: Sequence[str] = ()) -> None:
    """Check that a model file or a checkpoint is that of a row.

    Args:
        row: The row of a single model.
        path: The file.
        trust: Modules whose classes may be instantiated, see `open_model`.

    Raises:
        LandmarksError: The file is of another network or run, or lacks something that the metric needs.
    """
    if path.is_dir():
        if row.name not in PUBLISHED_MODELS:
            raise LandmarksError(f"{path} is a folder, and no weights were published for {row.name}: give a checkpoint")
        labels = " --labels FILE" if row.of_classifier else ""
        raise LandmarksError(
            f"{path} is a folder: import it with `landmarks import-paddle {row.name} {path} "
            f"{row.name}{SUFFIX}{labels}` and give that file"
        )
    model = open_model(path, trust=trust)
    with trusting(trust):
        _require_row(row, path, model)
    if row.of_classifier and model.head is None:
        raise LandmarksError(
            f"{path}: has no class weights (loss: {model.loss}), so {row.metric} cannot be measured; give a classifier"
        )
    if row.of_classifier and not model.record.labels:
        raise LandmarksError(f"{path}: does not record the landmark of each class; import it again with --labels FILE")


def composed(name: str, overrides: list[str]) -> DictConfig:
    """Compose `conf/<name>.yaml` as a command would, with placeholders for the name and the run folder.

    Args:
        name: Name of the file.
        overrides: Overrides as on the command line.
    """
    return compose_config(name, [*overrides, "name=leaderboard", "run_dir=leaderboard"])


def _require_row(row: Row, path: Path, model: OpenedModel) -> None:
    node = composed("train", [f"experiments={row.experiment}", "data.root=ROOT"]).model
    wanted, there = _options(plain_network(node)), _options(model.record.architecture)
    if wanted != there:
        raise LandmarksError(
            f"{path}: has another network than {row.name}: {_described(there, wanted)} instead of "
            f"{_described(wanted, there)}; give the weights of that network"
        )
    if model.name != row.name:
        raise LandmarksError(
            f"{path}: its name is {model.name}, not {row.name}; runs of `experiments={row.experiment}` or "
            f"`name={row.name}` and imports as {row.name} have that name"
        )


def _options(network: Mapping[str, Any]) -> dict[str, Any]:
    """Return all options of a network that affect evaluation, including defaults."""
    return {key: value for key, value in all_options(network).items() if key not in NO_MATTER}


def _described(mine: Mapping[str, Any], other: Mapping[str, Any]) -> str:
    """Return the options that differ, or only the name of the network if it differs."""
    if mine.get("network") != other.get("network"):
        known = [str(mine[key]) for key in ("network", "backbone", "name") if key in mine]
        return " ".join(known) or "a network of its own"
    return ", ".join(f"{key}={value}" for key, value in mine.items() if value != other.get(key))
