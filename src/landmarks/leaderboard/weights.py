"""Weights for a row: found, and held against the row before any work.

A row is a name and a network. Weights of another network, or those of another run, would give a figure of something
else under the row's name, so they are refused: by the name and the architecture that the file itself records.
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

NO_MATTER = {*IN_TRAINING_ONLY, "pretrained", "dropout"}  # options that evaluation has no use for


def parse_weights(given: Sequence[str], row: Row, rows: Mapping[str, Row]) -> dict[str, Path]:
    """Understand `--weights PATH` and `--weights NAME=PATH`: name of a part of the row to path."""
    found: dict[str, Path] = {}
    for text in given:
        name, separator, path = text.partition("=")
        if not separator or name not in rows:
            name, path = row.parts[0], text
            if len(row.parts) > 1:
                raise LandmarksError(
                    f"--weights {text}: {row.name} joins several models; say whose these are: --weights NAME=PATH with "
                    f"NAME of {', '.join(row.parts)}"
                )
        if name not in row.parts:
            raise LandmarksError(f"--weights {text}: {row.name} has no part {name}; it has {', '.join(row.parts)}")
        if name in found:
            raise LandmarksError(f"--weights: weights of {name} are given twice")
        found[name] = Path(path).expanduser()
        if not found[name].exists():
            raise LandmarksError(f"--weights {text}: {found[name]} is not there")
    return found


def require_weights(row: Row, path: Path, trust: Sequence[str] = ()) -> None:
    """Refuse a model file or a checkpoint that is not the one of a row of a single model."""
    if path.is_dir():
        if row.name not in PUBLISHED_MODELS:
            raise LandmarksError(f"{path} is a folder, and nothing was published for {row.name}: give a checkpoint")
        labels = " --labels FILE" if row.of_classifier else ""
        raise LandmarksError(
            f"{path} is a folder: import it with `landmarks import-paddle {row.name} {path} "
            f"{row.name}{SUFFIX}{labels}` and give that file"
        )
    model = open_model(path, trust=trust)
    with trusting(trust):
        _require_row(row, path, model)
    if row.of_classifier and model.head is None:
        raise LandmarksError(f"{path}: has no class weights (loss: {model.loss}), so there is no {row.metric}")
    if row.of_classifier and not model.record.labels:
        raise LandmarksError(f"{path}: does not say which landmark each class is; import it again with --labels FILE")


def composed(name: str, overrides: list[str]) -> DictConfig:
    """Compose `conf/<name>.yaml` as a command would, but for what only a running job knows."""
    return compose_config(name, [*overrides, "name=leaderboard", "run_dir=leaderboard"])


def _require_row(row: Row, path: Path, model: OpenedModel) -> None:
    node = composed("train", [f"experiments={row.experiment}", "data.root=ROOT"]).model
    wanted, there = _options(plain_network(node)), _options(model.record.architecture)
    if wanted != there:
        raise LandmarksError(
            f"{path}: is of another network than {row.name}: {_described(there, wanted)} instead of "
            f"{_described(wanted, there)}"
        )
    if model.name != row.name:
        raise LandmarksError(
            f"{path}: calls itself {model.name}, and the row is {row.name}; a run of `experiments={row.experiment}` or "
            f"`name={row.name}` and an import as {row.name} bear that name"
        )


def _options(network: Mapping[str, Any]) -> dict[str, Any]:
    """All options of a network that matter, those left at their defaults too."""
    return {key: value for key, value in all_options(network).items() if key not in NO_MATTER}


def _described(mine: Mapping[str, Any], other: Mapping[str, Any]) -> str:
    """The options that differ; the builder's name alone if that differs."""
    if mine.get("network") != other.get("network"):
        known = [str(mine[key]) for key in ("network", "backbone", "name") if key in mine]
        return " ".join(known) or "a network of its own"
    return ", ".join(f"{key}={value}" for key, value in mine.items() if value != other.get(key))
