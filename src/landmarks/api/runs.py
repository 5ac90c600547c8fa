"""`train`, `evaluate` and `extract` in Python: the commands with keywords as overrides, and the results of a run."""

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
    from landmarks.comparison import Comparison
    from landmarks.models import Device
    from landmarks.recognition import FoundObjects, Predictions
    from landmarks.retrieval import DescriptorSet, Ranking

PREDICTIONS, DETECTIONS = "_predictions", "_detections"


@dataclass(frozen=True)
class Run:
    """A finished run and the results in its folder; files are opened when they are used.

    `Run("runs/RUN")` opens the folder of any run, also of one that was started on the command line.

    Attributes:
        folder: The run folder; its `report.html` shows the results on one page.
        value: The monitored metric, such as the mAP@100 of the public queries; None without ground truth.
    """

    folder: Path
    value: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "folder", Path(self.folder))
        if not (self.folder / "run.json").is_file():
            raise LandmarksError(f"{self.folder}: is not a run folder (there is no run.json)")

    @cached_property
    def metrics(self) -> dict[str, Any]:
        """The content of `metrics.json`: metrics by split, what was evaluated, versions, seed and configuration.

        Raises:
            LandmarksError: The run has not evaluated anything, as an extraction or an interrupted run.
        """
        path = self.folder / "metrics.json"
        if not path.is_file():
            raise LandmarksError(f"{path}: does not exist; this run has not evaluated anything")
        found: dict[str, Any] = json.loads(path.read_text())
        return found

    @property
    def scores(self) -> dict[str, dict[str, float]]:
        """The metrics of the run by split, "public" and "private" or "all", such as ``scores["public"]["map@100"]``.

        For a training run those of the best checkpoint; `metrics["untrained"]` has those before training. Empty without
        ground truth.
        """
        found: dict[str, dict[str, float]] = self.metrics.get("trained") or self.metrics.get("scores") or {}
        return found

    @property
    def checkpoint(self) -> Path:
        """The best checkpoint of a training run, or the last if none was selected as the best.

        Raises:
            LandmarksError: The run has no checkpoint.
        """
        for name in ("best.ckpt", "last.ckpt"):
            if (path := self.folder / "checkpoints" / name).is_file():
                return path
        raise LandmarksError(f"{self.folder}: has no checkpoint; this run has not trained a network")

    @cached_property
    def ranking(self) -> "Ranking":
        """The final ranking of an evaluation: rows of `descriptors["index"]` for each row of `descriptors["queries"]`.

        Raises:
            LandmarksError: The run has no ranking.
        """
        from landmarks.retrieval import Ranking

        path = self.folder / "ranking.npz"
        if not path.is_file():
            raise LandmarksError(f"{path}: does not exist; this run has not searched anything")
        return Ranking.load(path)

    @cached_property
    def descriptors(self) -> "dict[str, DescriptorSet]":
        """The descriptor sets, memory-mapped, by name: "queries", "index", "gallery", "train"; empty if there are none.

        Regions, if they were extracted, have the name of the set with "_regions".
        """
        from landmarks.retrieval import DescriptorSet

        folders = sorted(path.parent for path in self._protocols() if (path.parent / "descriptors.npy").is_file())
        return {folder.name: DescriptorSet.open(folder) for folder in folders}

    @cached_property
    def predictions(self) -> "dict[str, Predictions]":
        """The predictions of a classifier for each set of images, by name, if the run was asked for `predictions`."""
        from landmarks.recognition import read_predictions

        return self._opened(PREDICTIONS, read_predictions)

    @cached_property
    def detections(self) -> "dict[str, FoundObjects]":
        """The objects that a detector found in each set of images, by name."""
        from landmarks.recognition import read_detections

        return self._opened(DETECTIONS, read_detections)

    def model(self, device: "Device" = "auto", trust: str | Iterable[str] = ()) -> "Model":
        """Open the best checkpoint.

        Args:
            device: See `landmarks.load_model`.
            trust: See `landmarks.load_model`.
        """
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
        *overrides: Overrides as on the command line, for those that cannot be keywords, such as
            ``"+stage@pipeline.stages.qe=qe"``.
        run_dir: The run folder; by default a new one below `runs/`. With ``resume="last"`` the run in it is resumed.
        **settings: Choices of groups and values of keys, as listed by `landmarks train --help`. Two underscores stand
            for a dot: ``loss__margin=0.3`` is ``loss.margin=0.3``, as is ``**{"loss.margin": 0.3}``. Values are Python
            values: None, True, numbers, strings, paths, lists, dictionaries.

    Returns:
        The run, with its folder, metrics, checkpoint and `model()`.

    Raises:
        LandmarksError: A key or value is wrong, or a file is missing; raised before the run starts.
    """
    return _run("train", overrides, run_dir, settings, run_train)


def evaluate(*overrides: str, run_dir: str | Path | None = None, **settings: Any) -> Run:
    """Evaluate a model on a data set, or precomputed descriptors, as `landmarks evaluate` does.

        landmarks.evaluate(checkpoint=run.checkpoint, data="gldv2", data__root="GLDV2", pipeline="dba_qe")
        landmarks.evaluate(descriptors={"queries": "Q.npy", "index": "I.npy"}, pipeline="qe")

    Args:
        *overrides: See `train`.
        run_dir: The run folder; by default a new one below `runs/`. Given the folder of an interrupted evaluation, it
            is resumed.
        **settings: See `train`; they are listed by `landmarks evaluate --help`.

    Returns:
        The run, with its folder, metrics, ranking and descriptors.

    Raises:
        LandmarksError: A key or value is wrong, or a file is missing; raised before the run starts.
    """
    return _run("evaluate", overrides, run_dir, settings, run_evaluate)


def extract(*overrides: str, run_dir: str | Path | None = None, **settings: Any) -> Run:
    """Write the descriptors of a data set, or the detections of a detector, as `landmarks extract` does.

        sets = landmarks.extract(checkpoint="model.safetensors", data="gldv2", data__root="GLDV2").descriptors

    For single images use `load_model(…).embed`, and for a folder `search_images`.

    Args:
        *overrides: See `train`.
        run_dir: Folder of the sets; by default a new one below `runs/`. Given the folder of an interrupted extraction,
            it is resumed.
        **settings: See `train`; they are listed by `landmarks extract --help`.

    Returns:
        The run, with `descriptors`, `predictions` and `detections` by name of the split.

    Raises:
        LandmarksError: A key or value is wrong, or a file is missing; raised before the run starts.
    """
    return _run("extract", overrides, run_dir, settings, run_extract)


def compare(*runs: str | Path | Run, seed: int = 0) -> "Comparison":
    """Compare runs with the first one, as `landmarks compare` does.

        found = landmarks.compare("runs/base", "runs/gem", "runs/base_seed1")
        [(one.metric, one.difference, one.interval, one.p) for one in found.differences]

    Args:
        *runs: Runs or their folders. Those of one configuration with different seeds count as one system.
        seed: Seed of the random draws.

    Returns:
        The differences of all metrics with their intervals and tests, and the queries that moved most.

    Raises:
        LandmarksError: See `comparison.compare`.
    """
    from landmarks.comparison import compare as compare_folders

    return compare_folders([run.folder if isinstance(run, Run) else run for run in runs], seed)


def _run(job: str, words: tuple[str, ...], run_dir: str | Path | None, settings: Mapping[str, Any], work: Any) -> Run:
    place = {} if run_dir is None else {"hydra.run.dir": Path(run_dir)}
    folder, value = run_composed(job, [*words, *overrides_of({**_flat(settings), **place})], work)
    return Run(folder, value)


def _flat(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Flatten dictionaries into keys, so that keys that they leave out keep their values."""
    flat: dict[str, Any] = {}
    for key, value in settings.items():
        if isinstance(value, Mapping) and value:
            flat |= _flat({f"{key}__{name}": one for name, one in value.items()})
        else:
            flat[key] = value
    return flat
