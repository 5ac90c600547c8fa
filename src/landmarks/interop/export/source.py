"""What is exported: a checkpoint of ours or a model file, opened and described."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from omegaconf import DictConfig, OmegaConf
from torch import Tensor, nn

from landmarks.data.gldv2.categories import read_categories, titles_of
from landmarks.errors import LandmarksError
from landmarks.models.checkpoints import TrainedModel, load_trained, weights_hash
from landmarks.models.classifier import Classifier
from landmarks.models.descriptor import DescriptorNet
from landmarks.models.model_file import SUFFIX, read_record
from landmarks.models.record import ModelRecord, Task

Asked = Literal["retrieval", "classification"]


@dataclass(frozen=True)
class Exportable:
    """A model on its way out.

    Attributes:
        net: in eval mode, on the CPU; what `landmarks.load_model` gives for its file.
        record: what the file will say of itself.
        weights: the network's tensors by name.
        head_weights: those of its classifier, None without one.
    """

    net: nn.Module
    record: ModelRecord
    weights: Mapping[str, Tensor]
    head_weights: Mapping[str, Tensor] | None = None


def open_source(
    path: Path, task: Asked | None = None, name: str | None = None, categories: Path | None = None
) -> Exportable:
    """Open a model for export.

    Args:
        path: of a checkpoint of ours or a model file.
        task: by default that of a model file, else what the loss says, see `ClassHead.exports_as`.
        name: by default that of the file, or of the run.
        categories: `train_label_to_category.csv`, which gives classes titles for people.

    Raises:
        LandmarksError: the file cannot be opened, or has no head for the task, or its network is none of ours.
    """
    return described(_landmarks(path, task), path, name, categories)


def described(found: Exportable, path: Path, name: str | None = None, categories: Path | None = None) -> Exportable:
    """Add the name and the titles of classes that a person gives. Raises LandmarksError for titles of no landmarks."""
    if name is not None:
        found = replace(found, record=replace(found.record, name=name))
    return found if categories is None else replace(found, record=_titled(found.record, path, categories))


def _landmarks(path: Path, asked: Asked | None) -> Exportable:
    trained = load_trained(path)
    if trained.network is None:
        raise LandmarksError(
            f"{path}: its network is your own ({type(trained.model).__name__}), and files can only name those of this "
            "program (model=res152, model=timm and so on)"
        )
    known = read_record(path) if path.suffix == SUFFIX else None
    task: Task = asked or _usual_task(trained, known)
    classifies = task == "classification"
    if classifies and (trained.head is None or trained.head_network is None):
        raise LandmarksError(f"{path} has no classifier (loss: {trained.loss}): export it with --task retrieval")
    labels: tuple[str, ...] = trained.landmark_names if known is None else known.labels
    record = ModelRecord(
        name=trained.name,
        task=task,
        architecture=dict(trained.network),
        preprocessing=trained.preprocessing,
        head=dict(trained.head_network or {}) if classifies else None,
        classes=trained.head.num_landmarks if classifies and trained.head is not None else 0,
        labels=labels if classifies else (),
        titles=known.titles if classifies and known is not None else (),
        origin=known.origin if known is not None else origin_of(trained.trained_on, trained.model, trained.loss),
    )
    weights = trained.model.state_dict()
    if not classifies:
        return Exportable(trained.model, record, weights)
    assert trained.head is not None and isinstance(trained.model, DescriptorNet)
    head_weights = trained.head.state_dict()
    return Exportable(Classifier(trained.model, trained.head).eval(), record, weights, head_weights)


def _usual_task(trained: TrainedModel, known: ModelRecord | None) -> Task:
    if known is not None:
        return known.task
    return "retrieval" if trained.head is None else trained.head.exports_as


def _titled(record: ModelRecord, path: Path, categories: Path) -> ModelRecord:
    if record.task != "classification":
        raise LandmarksError(f"--categories names landmarks, and {path} is exported for {record.task}")
    return replace(record, titles=titles_of(record.labels, read_categories(categories), categories))


def origin_of(trained_on: Any, net: nn.Module, loss: str | None = None) -> dict[str, str]:
    """Where weights come from, for people."""
    about = {"source": "trained with landmarks", "trained_on": _short(trained_on), "weights": weights_hash(net)}
    return about if loss is None else {**about, "loss": loss}


def _short(trained_on: object) -> str:
    """A `data.source` node in words, such as "GLDv2, train_split=train_clean"; paths and lists of files stay here.

    A set that is only in the layout of another one has a name in its node, which then takes the place of the class's.
    """
    values = OmegaConf.to_container(trained_on) if isinstance(trained_on, DictConfig) else trained_on
    if not isinstance(values, Mapping):
        return values if isinstance(values, str) else repr(values)
    name = str(values.get("name") or values.get("_target_", "unknown")).rsplit(".", 1)[-1]
    splits = [f"{key}={value}" for key, value in values.items() if str(key).endswith("split") and value is not None]
    return ", ".join([name, *splits])
