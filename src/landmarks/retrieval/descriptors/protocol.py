"""The protocol of a set: how it was made, in a JSON file beside it, so that results of two models are never mixed."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import ClassVar, Self

from pydantic import ConfigDict, TypeAdapter, ValidationError

from landmarks.errors import LandmarksError
from landmarks.storage import atomic_file

MAX_BYTES = 1 << 20  # largest file of a protocol that is read
NOT_COMPARED = frozenset({"data", "split", "precision", "versions"})  # keys in which sets to compare may differ


@dataclass(frozen=True)
class Protocol:
    """How a set was made; subclasses are dataclasses whose fields are the recorded values.

    Attributes:
        remedy: advice in errors about an invalid file.
        not_compared: keys that may differ between two sets that are used together.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True)
    remedy: ClassVar[str]
    not_compared: ClassVar[frozenset[str]] = frozenset()

    def differences(self, other: Self, ignore: frozenset[str] | None = None) -> list[str]:
        """Return a ``"key: mine != theirs"`` for every key that differs.

        Args:
            other: protocol to compare with.
            ignore: keys that may differ; `not_compared` by default.
        """
        ignore = self.not_compared if ignore is None else ignore
        pairs = ((f.name, getattr(self, f.name), getattr(other, f.name)) for f in fields(self))
        return [f"{key}: {mine!r} != {theirs!r}" for key, mine, theirs in pairs if key not in ignore and mine != theirs]

    def write(self, path: Path) -> None:
        """Write as indented JSON, atomically."""
        with atomic_file(path) as file:
            file.write((json.dumps(asdict(self), indent=2) + "\n").encode())

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a file that `write` wrote.

        Raises:
            LandmarksError: the file is missing or oversized, or a key is unknown, absent or of the wrong type.
        """
        try:
            if path.stat().st_size > MAX_BYTES:
                raise LandmarksError(f"{path}: not a protocol: larger than {MAX_BYTES} bytes; {cls.remedy}")
            return cls.from_json(path.read_bytes(), path)
        except OSError as error:
            raise LandmarksError(f"{path}: cannot be read ({error.strerror}); {cls.remedy}") from error

    @classmethod
    def from_json(cls, text: str | bytes, path: Path) -> Self:
        """Parse the JSON that was read from `path`, which errors name."""
        try:
            return TypeAdapter(cls).validate_json(text)
        except ValidationError as error:
            reasons = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}".lstrip(": ") for e in error.errors())
            raise LandmarksError(f"{path}: not a valid protocol ({reasons}); {cls.remedy}") from error


@dataclass(frozen=True)
class ExtractionProtocol(Protocol):
    """How descriptors were extracted.

    Two sets may be searched against each other if network, weights and preprocessing agree. The data set, the split,
    the library versions and the precision of the arithmetic may differ: queries embedded in bfloat16 may be searched
    in an index embedded in float32. Within one set everything agrees.

    Attributes:
        model: name of the network, such as ``"res152_arcmargin"``.
        weights: hash of the weights file, or of the parameters.
        input_size: short side of the images in pixels.
        resize: how images were resized to it, such as ``"aspect"``.
        scales: factors of the input size whose descriptors were added up.
        flip: whether descriptors of mirrored images were added too.
        regions: levels of the grid of regions in each row; 0 where a row embeds the whole image.
        data: name of the data set, such as ``"gldv2"``.
        split: ``"index"``, ``"test"``, ``"train"`` …
        precision: precision of the arithmetic in the trainer's notation, such as ``"bf16-mixed"``; empty if unknown.
        versions: library name to version.
    """

    remedy: ClassVar[str] = "extract the set again"
    not_compared: ClassVar[frozenset[str]] = NOT_COMPARED

    model: str
    weights: str
    input_size: int
    resize: str
    scales: tuple[float, ...] = (1.0,)
    flip: bool = False
    regions: int = 0
    data: str = ""
    split: str = ""
    precision: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # JSON knows only lists and plain dictionaries: equality must survive a round trip.
        object.__setattr__(self, "scales", tuple(float(scale) for scale in self.scales))
        object.__setattr__(self, "versions", dict(self.versions))
