"""What made a set of detections: kept beside it as JSON, so that boxes of two detectors are never mixed."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import ClassVar

from pydantic import ConfigDict, TypeAdapter, ValidationError

from landmarks.errors import LandmarksError
from landmarks.storage import atomic_file

MAX_BYTES = 1 << 20


@dataclass(frozen=True)
class DetectionProtocol:
    """How objects were looked for. Within one set everything agrees.

    Attributes:
        model: name of the network, such as ``"faster_rcnn_resnet50_fpn"``.
        weights: hash of its parameters.
        input_size: short side in pixels.
        max_size: limit of the long side in pixels.
        score_threshold: boxes of lower scores are left out.
        nms_threshold: of boxes of one class that overlap more, the best is kept.
        max_boxes: the most boxes of a picture.
        data: name of the data set, such as ``"gldv2"``.
        split: ``"queries"`` …
        precision: of the arithmetic, as the trainer calls it, such as ``"bf16-mixed"``.
        versions: library name to version.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True)

    model: str
    weights: str
    input_size: int
    max_size: int
    score_threshold: float
    nms_threshold: float
    max_boxes: int
    data: str = ""
    split: str = ""
    precision: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # JSON knows only plain dictionaries: equality must survive a round trip.
        object.__setattr__(self, "versions", dict(self.versions))

    def differences(self, other: "DetectionProtocol") -> list[str]:
        """One ``"key: mine != theirs"`` for every key that differs."""
        pairs = ((f.name, getattr(self, f.name), getattr(other, f.name)) for f in fields(self))
        return [f"{key}: {mine!r} != {theirs!r}" for key, mine, theirs in pairs if mine != theirs]

    def write(self, path: Path) -> None:
        """Write as indented JSON, whole or not at all."""
        with atomic_file(path) as file:
            file.write((json.dumps(asdict(self), indent=2) + "\n").encode())

    @staticmethod
    def read(path: Path) -> "DetectionProtocol":
        """Read what `write` wrote. Raises LandmarksError for a file that is missing, oversized or malformed."""
        try:
            if path.stat().st_size > MAX_BYTES:
                raise LandmarksError(f"{path}: larger than {MAX_BYTES} bytes, so not a protocol")
            return TypeAdapter(DetectionProtocol).validate_json(path.read_bytes())
        except OSError as error:
            raise LandmarksError(f"{path}: cannot be read ({error.strerror}); detect again") from error
        except ValidationError as error:
            reasons = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}".lstrip(": ") for e in error.errors())
            raise LandmarksError(f"{path}: no protocol of a detection ({reasons}); detect again") from error
