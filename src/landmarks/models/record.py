"""Records of models: stored in the metadata of model files and exports, and under a key of their own in checkpoints.

Records are plain values from untrusted files: every field is checked before it is used.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, field
from typing import Any, Literal, TypeVar

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as checked_dataclass

from landmarks import __version__
from landmarks.data import MEAN, STD, Preprocessing, ResizeMode
from landmarks.errors import LandmarksError

FORMAT = 1
KEY = "landmarks"
"""Key of the record in the safetensors metadata; its value is JSON."""

Task = Literal["retrieval", "classification", "detection"]

MOST_VALUES = 1_000_000
"""Most values of a record, twice the names and titles of 203,094 landmarks; nested lists could seem endless."""
DEEPEST = 50
"""Deepest nesting of the values of a record."""
LARGEST = 16_384
"""Largest side of the images that a record may ask for, in pixels."""

LARGEST_NUMBER = 2**63 - 1
"""Largest size that torch accepts."""

_STRICT = ConfigDict(extra="forbid", strict=False)
_LOOSE = ConfigDict(extra="ignore", strict=False)
_Record = TypeVar("_Record")


def _checked(adapter: TypeAdapter[_Record], values: Any) -> _Record:
    """Convert plain values to a record; raises LandmarksError, which names the invalid fields."""
    left, most = [(values, 0)], MOST_VALUES
    while left:
        value, depth = left.pop()
        most -= 1
        if most < 0 or depth > DEEPEST:
            raise LandmarksError("its record is invalid: it has too many values or levels")
        if isinstance(value, Mapping):
            left += [(one, depth + 1) for one in value.values()]
            if odd := [key for key in value if not isinstance(key, str)]:
                raise LandmarksError(f"its record is invalid: the key {odd[0]!r:.40} is not a text")
        elif isinstance(value, (list, tuple)):
            left += [(one, depth + 1) for one in value]
        elif isinstance(value, int) and abs(value) > LARGEST_NUMBER:
            raise LandmarksError("its record is invalid: it holds a number that is too large")
        elif not isinstance(value, (str, int, float, bool, type(None))):
            raise LandmarksError(f"its record is invalid: it holds a {type(value).__name__}")
    try:
        return adapter.validate_python(values)
    except ValidationError as error:
        problems = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}".removeprefix(": ") for one in error.errors()[:3]]
        raise LandmarksError(f"its record is invalid: {'; '.join(problems)}") from None


@checked_dataclass(frozen=True, config=_STRICT)
class ModelRecord:
    """Record of a model file.

    Attributes:
        name: Name of the model, such as "res152_arcmargin", or of the run that trained it.
        task: "retrieval" gives descriptors, "classification" logits, "detection" boxes.
        architecture: Plain values of the network, see `models.architecture.build_network`.
        preprocessing: The preprocessing of images.
        head: Plain values of the head that turns descriptors into logits, see `models.architecture.build_loss`; None
            if the file has none.
        classes: Number of classes of a classifier or a detector; 0 for retrieval.
        labels: Name of each class: of a landmark (its landmark_id in Google Landmarks v2), or the machine name of a
            class of Open Images. Empty if unknown.
        titles: Title of each class for display; empty if unknown.
        origin: Origin of the weights for display, texts by key, such as "source" and "trained_on".
    """

    name: str
    task: Task
    architecture: dict[str, Any]
    preprocessing: Preprocessing
    head: dict[str, Any] | None = None
    classes: int = 0
    labels: tuple[str, ...] = ()
    titles: tuple[str, ...] = ()
    origin: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for kind, names in (("labels", self.labels), ("titles", self.titles)):
            if names and len(names) != self.classes:
                raise ValueError(f"{len(names)} {kind} for {self.classes} classes; there must be one for each or none")
        if (self.task == "retrieval") != (self.classes == 0) or self.classes < 0:
            raise ValueError(f"{self.classes} classes for {self.task}")
        if (self.task == "classification") != (self.head is not None):
            raise ValueError("a classification model must have a head, and other models must not have one")
        if (self.preprocessing.mean, self.preprocessing.std) != (MEAN, STD):
            raise ValueError("mean and std of the images differ from those that all models share")
        if max(self.preprocessing.short_side, self.preprocessing.long_side or 1, self.preprocessing.patch) > LARGEST:
            raise ValueError(f"images of more than {LARGEST} pixels a side")
        if self.task == "detection" and not self.labels:
            raise ValueError("a detector without labels")
        if (self.task == "detection") != (self.preprocessing.mode == "detection"):
            raise ValueError(f"a model for {self.task} with images prepared for {self.preprocessing.mode}")

    def to_metadata(self) -> dict[str, str]:
        """Return the record as safetensors metadata."""
        values = {"format": FORMAT, "landmarks_version": __version__, **asdict(self)}
        return {KEY: json.dumps(values, ensure_ascii=False)}

    @staticmethod
    def from_metadata(metadata: Mapping[str, str] | None) -> "ModelRecord":
        """Read a record from metadata; raises LandmarksError if there is none or it is invalid."""
        text = (metadata or {}).get(KEY)
        if text is None:
            raise LandmarksError("it has no record of its network, because another program wrote it")
        try:
            values = json.loads(text)
            found = values.pop("format")
            values.pop("landmarks_version")
        except (ValueError, RecursionError, KeyError, AttributeError, TypeError) as error:
            raise LandmarksError(f"its record is corrupt ({error})") from None
        if found is True or found != FORMAT:  # in Python, True == 1
            raise LandmarksError(f"it has format {found!r}; this version of landmarks ({__version__}) reads {FORMAT}")
        return ModelRecord.from_values(values)

    @staticmethod
    def from_values(values: Any) -> "ModelRecord":
        """Read a record from the plain values of its fields; raises LandmarksError, which names the invalid field."""
        return _checked(_RECORD, values)


@checked_dataclass(frozen=True, config=_LOOSE)
class _Resize:
    mode: ResizeMode | None = None
    short_side: int | None = None


@checked_dataclass(frozen=True, config=_LOOSE)
class _Data:
    source: dict[str, Any] | str | None = None
    image_size: int | None = None
    resize: _Resize | None = None


@checked_dataclass(frozen=True, config=_LOOSE)
class _Config:
    """The part of a run's configuration that is needed to open its checkpoint."""

    name: str
    model: dict[str, Any]
    data: _Data
    loss: dict[str, Any] | None = None


@checked_dataclass(frozen=True, config=_LOOSE)
class CheckpointRecord:
    """Record of a checkpoint, as `checkpoint_record` writes it.

    Attributes:
        config: Configuration of the run.
        preprocessing: The preprocessing of images.
        task: "detection" for a detector.
        landmark_names: Names of the classes of its loss; None for a detector.
        class_names: Names of the classes of a detector.
        class_titles: Their titles for display.
    """

    config: _Config
    preprocessing: Preprocessing
    task: Literal["landmarks", "detection"] = "landmarks"
    landmark_names: tuple[str, ...] | None = None
    class_names: tuple[str, ...] = ()
    class_titles: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.task == "landmarks" and (self.config.loss is None or self.landmark_names is None):
            raise ValueError(f"{'config.loss' if self.config.loss is None else 'landmark_names'}: Field required")

    @staticmethod
    def from_values(values: Any) -> "CheckpointRecord":
        """Read a record from a checkpoint's plain values; raises LandmarksError, which names the invalid field."""
        return _checked(_CHECKPOINT, values)


_RECORD = TypeAdapter(ModelRecord)
_CHECKPOINT = TypeAdapter(CheckpointRecord)
