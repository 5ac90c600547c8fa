"""The rows of the leaderboard: published metrics, and what is needed to measure them here.

Single models are the files in `experiments/`, of the package and the working directory, that have a node `published`.
Systems of several models, and results that cannot be reproduced here, are in `systems.yaml` beside this file.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic import TypeAdapter, ValidationError
from yaml import YAMLError  # type: ignore[import-untyped]

from landmarks.config import Published, config_root, suggest
from landmarks.errors import LandmarksError

Task = Literal["retrieval", "recognition", "detection"]

_SYSTEMS = Path(__file__).with_name("systems.yaml")
OF_RECOGNITION = ("gap", "gap_ignoring_non_landmark", "top1")


@dataclass(frozen=True)
class Row:
    """A row of the leaderboard.

    Attributes:
        name: Its name, which is also the name of the model in the protocol of descriptor sets.
        metric: The metric, as in `metrics.json`, such as "map@100".
        public: Published value for the public queries; None if there is none.
        private: Published value for the private queries; None if there is none.
        source: Who published the values, and for which model.
        note: Remarks on the values.
        models: Rows of the models that embed images; empty for a row that cannot be run here.
        pipeline: Name of the retrieval or recognition pipeline; None for plain search or votes.
        stages: Stages of that pipeline; empty if the metric depends on none.
        sizes: Allowed short sides of images in pixels, for each model; empty for any.
        classifier: Row of the model whose predictions recognition uses.
        detector: Row of the model whose detections recognition uses.
        experiment: Name of its file in `experiments/`; None for a system.
        begins_with: Row of the model from whose checkpoint its training starts.
    """

    name: str
    metric: str
    public: float | None
    private: float | None
    source: str
    note: str = ""
    models: tuple[str, ...] = ()
    pipeline: str | None = None
    stages: tuple[str, ...] = ()
    sizes: Mapping[str, frozenset[int]] = field(default_factory=dict)
    classifier: str | None = None
    detector: str | None = None
    experiment: str | None = None
    begins_with: str | None = None

    @property
    def task(self) -> Task:
        """The task of the metric."""
        return task_of(self.metric)

    @property
    def root_word(self) -> str:
        """Placeholder in commands for the root of the data set."""
        return "OPENIMAGES" if self.task == "detection" else "GLDV2"

    @property
    def of_classifier(self) -> bool:
        """Whether the metric is that of a classifier alone."""
        return self.metric.startswith("classifier_")

    @property
    def parts(self) -> tuple[str, ...]:
        """Rows of all models that are needed."""
        return (*self.models, *(name for name in (self.classifier, self.detector) if name))


def task_of(metric: str) -> Task:
    """Return the task of a metric, by its name in `metrics.json`."""
    if metric.endswith("map@0.5"):
        return "detection"
    return "recognition" if metric.startswith("classifier_") or metric in OF_RECOGNITION else "retrieval"


def read_rows() -> dict[str, Row]:
    """Read all rows by name: those of the package, those of the working directory, then systems.

    Raises:
        LandmarksError: A file is invalid; the message names it.
    """
    extras = _load(_SYSTEMS)
    rows: dict[str, Row] = {}
    for folder in dict.fromkeys((config_root() / "experiments", Path.cwd() / "experiments")):
        for path in sorted(folder.glob("*.yaml")):
            row = _of_experiment(path, extras["begins_with"])
            if row is not None:
                rows.setdefault(row.name, row)  # Hydra also uses the first of two files with one name
    for name, system in extras["systems"].items():
        values: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in system.items()
        }
        sizes = {model: rows[model].sizes[model] for model in values.get("models", ())}
        rows.setdefault(name, Row(name=name, sizes=sizes, **values))
    return rows


def find_row(rows: Mapping[str, Row], name: str) -> Row:
    """Return the row with this name. Raises LandmarksError with a suggestion if there is none."""
    if name not in rows:
        raise LandmarksError(
            f"there is no row {name}{suggest(name, list(rows))}\nRows that can be run: "
            + ", ".join(row.name for row in rows.values() if row.models)
        )
    return rows[name]


def _of_experiment(path: Path, begins_with: Mapping[str, str]) -> Row | None:
    content = _load(path)
    if content.get("published") is None:
        return None
    published = _published(content["published"], path)
    name = content.get("name")
    if not isinstance(name, str) or "${" in name:
        raise LandmarksError(f"{path}: an experiment with published metrics needs a name: add name: {path.stem}")
    data = _mapping(content.get("data"), path, "data")
    size = _mapping(data.get("resize"), path, "data.resize").get("short_side") or data.get("image_size")
    plain = {"retrieval": ("search",), "recognition": ("search", "votes"), "detection": ()}
    alone = published.metric.startswith("classifier_")
    return Row(
        name,
        published.metric,
        published.public,
        published.private,
        published.source,
        models=(name,),
        stages=() if alone else plain[task_of(published.metric)],
        sizes={name: frozenset([size] if isinstance(size, int) else [])},
        experiment=path.stem,
        begins_with=begins_with.get(name),
    )


def _load(path: Path) -> dict[str, Any]:
    try:
        content = OmegaConf.load(path)
    except (OSError, YAMLError, OmegaConfBaseException, UnicodeDecodeError, RecursionError) as error:
        raise LandmarksError(f"{path}: cannot be read: {error}") from None
    if isinstance(content, ListConfig):
        raise LandmarksError(f"{path}: expected keys and values")
    assert isinstance(content, DictConfig)
    plain = OmegaConf.to_container(content)
    assert isinstance(plain, dict)
    return {str(key): value for key, value in plain.items()}


def _mapping(value: Any, path: Path, key: str) -> dict[str, Any]:
    if value is not None and not isinstance(value, dict):
        raise LandmarksError(f"{path}: {key}: expected keys and values")
    return value or {}


def _published(values: Any, path: Path) -> Published:
    try:
        return TypeAdapter(Published).validate_python(values)
    except ValidationError as error:
        reasons = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
        raise LandmarksError(f"{path}: the node `published` is invalid: {reasons}") from None
