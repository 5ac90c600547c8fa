"""What models say of themselves: model files and exports in their metadata, checkpoints in an entry of their own.

Both are plain values that somebody else may have written: each is checked field by field before anything is made of it.
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
"""Of the safetensors metadata; its value is JSON."""

Task = Literal["retrieval", "classification", "detection"]

MOST_VALUES = 1_000_000
"""Of a record: names and titles of 203,094 landmarks are half of it, and lists within lists can look endless."""
DEEPEST = 50
LARGEST = 16_384
"""Side of the images that a record may ask for, pixels."""

LARGEST_NUMBER = 2**63 - 1
"""What torch takes for a size."""

_STRICT = ConfigDict(extra="forbid", strict=False)
_LOOSE = ConfigDict(extra="ignore", strict=False)
_Record = TypeVar("_Record")


def _checked(adapter: TypeAdapter[_Record], values: Any) -> _Record:
    """Read plain values by a type. Raises LandmarksError, which names the fields that are wrong."""
    left, most = [(values, 0)], MOST_VALUES
    while left:
        value, depth = left.pop()
        most -= 1
        if most < 0 or depth > DEEPEST:
            raise LandmarksError("its description of itself is wrong: it has no end")
        if isinstance(value, Mapping):
            left += [(one, depth + 1) for one in value.values()]
            if odd := [key for key in value if not isinstance(key, str)]:
                raise LandmarksError(f"its description of itself is wrong: the key {odd[0]!r:.40} is no text")
        elif isinstance(value, (list, tuple)):
            left += [(one, depth + 1) for one in value]
        elif isinstance(value, int) and abs(value) > LARGEST_NUMBER:
            raise LandmarksError("its description of itself is wrong: it holds a number that no value of ours can be")
        elif not isinstance(value, (str, int, float, bool, type(None))):
            raise LandmarksError(f"its description of itself is wrong: it holds a {type(value).__name__}")
    try:
        return adapter.validate_python(values)
    except ValidationError as error:
        problems = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}".removeprefix(": ") for one in error.errors()[:3]]
        raise LandmarksError(f"its description of itself is wrong: {'; '.join(problems)}") from None


@checked_dataclass(frozen=True, config=_STRICT)
class ModelRecord:
    """A model file's description of itself.

    Attributes:
        name: Such as "res152_arcmargin", or the name of the run that trained it.
        task: "retrieval" gives descriptors, "classification" logits, "detection" boxes.
        architecture: The network, see `models.architecture.build_network`.
        preprocessing: What happens to images before.
        head: What makes logits of descriptors, see `models.architecture.build_loss`; None where the file has none.
        classes: How many a classifier or a detector tells apart; 0 for retrieval.
        labels: Of each class: the name of a landmark (its landmark_id in Google Landmarks v2), or the machine name of
            a class of Open Images. Empty where unknown.
        titles: Of each class, for people; empty where unknown.
        origin: Where the weights come from, for people: "source", "trained_on" and the like.
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
            raise ValueError("a classification model has a head, and no other has one")
        if (self.preprocessing.mean, self.preprocessing.std) != (MEAN, STD):
            raise ValueError("mean and std of the images are not those that all models share")
        if max(self.preprocessing.short_side, self.preprocessing.long_side or 1, self.preprocessing.patch) > LARGEST:
            raise ValueError(f"images of more than {LARGEST} pixels a side")
        if self.task == "detection" and not self.labels:
            raise ValueError("a detector without labels")
        if (self.task == "detection") != (self.preprocessing.mode == "detection"):
            raise ValueError(f"a model for {self.task} with images prepared for {self.preprocessing.mode}")

    def to_metadata(self) -> dict[str, str]:
        """As safetensors wants it."""
        values = {"format": FORMAT, "landmarks_version": __version__, **asdict(self)}
        return {KEY: json.dumps(values, ensure_ascii=False)}

    @staticmethod
    def from_metadata(metadata: Mapping[str, str] | None) -> "ModelRecord":
        """Read what `to_metadata` gave."""
        text = (metadata or {}).get(KEY)
        if text is None:
            raise LandmarksError("it does not say which network it is of; it was not written by this program")
        try:
            values = json.loads(text)
            found = values.pop("format")
            values.pop("landmarks_version")
        except (ValueError, RecursionError, KeyError, AttributeError, TypeError) as error:
            raise LandmarksError(f"its description of itself is corrupt ({error})") from None
        if found is True or found != FORMAT:  # in Python true is 1
            raise LandmarksError(f"it has format {found!r}; this version of landmarks ({__version__}) reads {FORMAT}")
        return ModelRecord.from_values(values)

    @staticmethod
    def from_values(values: Any) -> "ModelRecord":
        """Read plain values, those of the fields. Raises LandmarksError, which names the field."""
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
    """What a checkpoint needs of the configuration of its run."""

    name: str
    model: dict[str, Any]
    data: _Data
    loss: dict[str, Any] | None = None


@checked_dataclass(frozen=True, config=_LOOSE)
class CheckpointRecord:
    """What a checkpoint says of itself, as `checkpoint_record` writes it.

    Attributes:
        config: Of the run.
        preprocessing: What happened to its images.
        task: "detection" for a detector.
        landmark_names: Of the classes of its loss; None for a detector.
        class_names: Of the classes of a detector, as `class_titles`.
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
        """Read what stands in a checkpoint. Raises LandmarksError, which names the field."""
        return _checked(_CHECKPOINT, values)


_RECORD = TypeAdapter(ModelRecord)
_CHECKPOINT = TypeAdapter(CheckpointRecord)
