"""What a model file says of itself: plain values in the metadata of one safetensors file."""

import json
from collections.abc import Mapping
from dataclasses import asdict, field
from typing import Any, Literal

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as checked_dataclass

from landmarks import __version__
from landmarks.data import MEAN, STD, Preprocessing
from landmarks.errors import LandmarksError

FORMAT = 1
KEY = "landmarks"
"""Of the safetensors metadata; its value is JSON."""

Task = Literal["retrieval", "classification", "detection"]

_STRICT = ConfigDict(extra="forbid", strict=False)


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
            a class of Open Images. Empty where nobody said.
        titles: Of each class, for people; empty where nobody said.
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
        if self.task == "detection" and not self.labels:
            raise ValueError("a detector without labels")
        if (self.task == "detection") != (self.preprocessing.mode == "detection"):
            raise ValueError(f"a model for {self.task} with pictures prepared for {self.preprocessing.mode}")

    def to_metadata(self) -> dict[str, str]:
        """As safetensors wants it."""
        values = {"format": FORMAT, "landmarks_version": __version__, **asdict(self)}
        return {KEY: json.dumps(values, ensure_ascii=False)}

    @staticmethod
    def from_metadata(metadata: Mapping[str, str] | None) -> "ModelRecord":
        """Read what `to_metadata` gave.

        Raises:
            LandmarksError: it is none of ours, of another format, or a value is missing, unknown or of another type.
        """
        text = (metadata or {}).get(KEY)
        if text is None:
            raise LandmarksError("it does not say which network it is of; it was not written by this program")
        try:
            values = json.loads(text)
            found = values.pop("format")
            values.pop("landmarks_version")
        except (ValueError, RecursionError, KeyError, AttributeError, TypeError) as error:
            raise LandmarksError(f"its description of itself is damaged ({error})") from None
        if found != FORMAT:
            raise LandmarksError(f"it has format {found!r}; this version of landmarks ({__version__}) reads {FORMAT}")
        try:
            return _RECORD.validate_python(values)
        except ValidationError as error:
            problems = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()[:3]]
            raise LandmarksError(f"its description of itself is wrong: {'; '.join(problems)}") from None


_RECORD = TypeAdapter(ModelRecord)
