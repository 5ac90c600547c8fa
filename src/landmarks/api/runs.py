"""`train`, `evaluate` and `extract` in Python: the commands with keywords for overrides, and what a run leaves."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from landmarks.api.dispatch import run_evaluate, run_extract, run_train
from landmarks.config import overrides_of, run_composed
from landmarks.errors import LandmarksError

if TYPE_CHECKING:
    from landmarks.api.model import Model
    from landmarks.models import Device
    from landmarks.recognition import FoundObjects, Predictions
    from landmarks.retrieval import DescriptorSet, Ranking

PREDICTIONS, DETECTIONS = "_predictions", "_detections"


@dataclass(frozen=True)
class Run:
    """A finished run and what it left in its folder; files are opened when they are asked for.

    `Run("runs/RUN")` opens the folder of any run, also of one that a command made.

    Attributes:
        folder: Of the run; `report.html` in it shows all of it on one page.
        value: The monitored figure, such as the mAP@100 of the public queries; None where nobody knows what is right.
    """

    folder: Path
    value: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "folder", Path(self.folder))
        if not (self.folder / "run.json").is_file():
            raise LandmarksError(f"{self.folder}: holds no run (no run.json)")

    @cached_property
    def metrics(self) -> dict[str, Any]:
        """Everything in `metrics.json`: figures by split, what they are of, versions, seed and configuration.

        Raises:
            LandmarksError: The run has none, as an extraction or one that was interrupted.
        """
        path = self.folder / "metrics.json"
        if not path.is_file():
            raise LandmarksError(f"{path}: not there; this run has not evaluated anything")
        found: dict[str, Any] = json.loads(path.read_text())
        return found

    @property
    def scores(self) -> dict[str, dict[str, float]]:
        """The figures of the run by split, "public" and "private" or "all", such as ``scores["public"]["map@100"]``.

        Of a training run those of the best checkpoint; `metrics["untrained"]` are those before. Empty where nobody
        knows what is right.
        """
        found: dict[str, dict[str, float]] = self.metrics.get("trained") or self.metrics.get("scores") or {}
        return found

    @property
    def checkpoint(self) -> Path:
        """The best checkpoint of a training run, or the last where none was chosen.

        Raises:
            LandmarksError: The run has trained nothing.
        """
        for name in ("best.ckpt", "last.ckpt"):
            if (path := self.folder / "checkpoints" / name).is_file():
                return path
        raise LandmarksError(f"{self.folder}: has no checkpoint; this run has trained nothing")

    @cached_property
    def ranking(self) -> "Ranking":
        """The final ranking of an evaluation: rows of `descriptors["index"]` for each row of `descriptors["queries"]`.

        Raises:
            LandmarksError: The run has searched nothing.
        """
        import numpy as np

        from landmarks.retrieval import Ranking

        path = self.folder / "ranking.npz"
        if not path.is_file():
            raise LandmarksError(f"{path}: not there; this run has searched nothing")
        with np.load(path) as arrays:
            return Ranking(arrays["indices"], arrays["scores"])

    @cached_property
    def descriptors(self) -> "dict[str, DescriptorSet]":
        """The descriptor sets, memory-mapped, by name: "queries", "index", "gallery", "train"; empty if there are none.

        Regions, where they were extracted, stand under the name with "_regions".
        """
        from landmarks.retrieval import DescriptorSet

        folders = sorted(path.parent for path in self._protocols() if (path.parent / "descriptors.npy").is_file())
        return {folder.name: DescriptorSet.open(folder) for folder in folders}

    @cached_property
    def predictions(self) -> "dict[str, Predictions]":
        """What a classifier said of each set of images, by name, where `predictions=10` asked for that."""
        from landmarks.recognition import read_predictions

        return self._opened(PREDICTIONS, read_predictions)

    @cached_property
    def detections(self) -> "dict[str, FoundObjects]":
        """What a detector found in each set of images, by name."""
        from landmarks.recognition import read_detections

        return self._opened(DETECTIONS, read_detections)

    def model(self, device: "Device" = "auto", trust: str | Iterable[str] = ()) -> "Model":
        """Open the best checkpoint, see `landmarks.load_model`."""
        from landmarks.api.model import load_model

        return load_model(self.checkpoint, device=device, trust=trust)

    def _protocols(self) -> list[Path]:
        places = (self.folder, self.folder / "descriptors")
        return [path for place in places for path in place.glob("*/protocol.json") if path.parent.suffix != ".partial"]

    def _opened(self, ending: str, read: Any) -> dict[str, Any]:
        folders = sorted(path for path in self.folder.glob(f"*{ending}") if path.is_dir())
        return {folder.name.removesuffix(ending): read(folder) for folder in folders}


def train(*overrides: str, run_dir: str | Path | None = None, **settings: Any) -> Run:
    """Train a network and evaluate it, as `landmarks train` does.

        landmarks.train(data="folder", data__root="photos", model="res18", loss="arcmargin", loss__margin=0.3)

    Args:
        *overrides: Words of the command line, for what no keyword can be: ``"+stage@pipeline.stages.qe=qe"``.
        run_dir: Folder of the run; by default a new one below `runs/`. The run that lies there goes on with
            ``resume="last"``.
        **settings: Choices of groups and values of keys, all that `landmarks train --help` lists. Two underscores
            stand for a dot: ``loss__margin=0.3`` is ``loss.margin=0.3``; ``**{"loss.margin": 0.3}`` says the same.
            Values are Python's: None, True, numbers, text, paths, lists, dictionaries.

    Returns:
        The run: its folder, figures, checkpoint and `model()`.

    Raises:
        LandmarksError: A key or value is wrong, or a file missing; named before any work.
    """
    return _run("train", overrides, run_dir, settings, run_train)


def evaluate(*overrides: str, run_dir: str | Path | None = None, **settings: Any) -> Run:
    """Evaluate a model on a data set, or descriptors of anybody's, as `landmarks evaluate` does.

        landmarks.evaluate(checkpoint=run.checkpoint, data="gldv2", data__root="GLDV2", pipeline="dba_qe")
        landmarks.evaluate(descriptors={"queries": "Q.npy", "index": "I.npy"}, pipeline="qe")

    Args:
        *overrides: See `train`.
        run_dir: Folder of the evaluation; by default a new one below `runs/`. One that was interrupted goes on when it
            is given again.
        **settings: See `train`; those of `landmarks evaluate --help`.

    Returns:
        The run: its folder, figures, ranking and descriptors.

    Raises:
        LandmarksError: A key or value is wrong, or a file missing; named before any work.
    """
    return _run("evaluate", overrides, run_dir, settings, run_evaluate)


def extract(*overrides: str, run_dir: str | Path | None = None, **settings: Any) -> Run:
    """Write the descriptors of a data set, as `landmarks extract` does; of a detector, what it finds.

        sets = landmarks.extract(checkpoint="model.safetensors", data="gldv2", data__root="GLDV2").descriptors

    For images that are in no data set there is `load_model(…).embed`, and for a folder `search_images`.

    Args:
        *overrides: See `train`.
        run_dir: Folder of the sets; by default a new one below `runs/`. An extraction that was interrupted goes on
            when it is given again.
        **settings: See `train`; those of `landmarks extract --help`.

    Returns:
        The run, with `descriptors`, `predictions` and `detections` by name of the split.

    Raises:
        LandmarksError: A key or value is wrong, or a file missing; named before any work.
    """
    return _run("extract", overrides, run_dir, settings, run_extract)


def _run(job: str, words: tuple[str, ...], run_dir: str | Path | None, settings: Mapping[str, Any], work: Any) -> Run:
    place = {} if run_dir is None else {"hydra.run.dir": Path(run_dir)}
    folder, value = run_composed(job, [*words, *overrides_of({**_flat(settings), **place})], work)
    return Run(folder, value)


def _flat(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Spread dictionaries over keys, so that what they leave out stays as it is."""
    flat: dict[str, Any] = {}
    for key, value in settings.items():
        if isinstance(value, Mapping) and value:
            flat |= _flat({f"{key}__{name}": one for name, one in value.items()})
        else:
            flat[key] = value
    return flat
