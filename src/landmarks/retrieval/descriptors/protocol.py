"""What made a set: kept beside it as JSON, so that descriptors or boxes of two models are never compared or mixed."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import ClassVar, Self

from pydantic import ConfigDict, TypeAdapter, ValidationError

from landmarks.errors import LandmarksError
from landmarks.storage import atomic_file

MAX_BYTES = 1 << 20
NOT_COMPARED = frozenset({"data", "split", "precision", "versions"})


@dataclass(frozen=True)
class Protocol:
    """How a set was made; a dataclass that inherits it says which values that are."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True)
    remedy: ClassVar[str]  # what to do about a file that is no protocol
    not_compared: ClassVar[frozenset[str]] = frozenset()  # keys that may differ between two sets that are used together

    def differences(self, other: Self, ignore: frozenset[str] | None = None) -> list[str]:
        """One ``"key: mine != theirs"`` for every key that differs, but those of `ignore` or `not_compared`."""
        ignore = self.not_compared if ignore is None else ignore
        pairs = ((f.name, getattr(self, f.name), getattr(other, f.name)) for f in fields(self))
        return [f"{key}: {mine!r} != {theirs!r}" for key, mine, theirs in pairs if key not in ignore and mine != theirs]

    def write(self, path: Path) -> None:
        """Write as indented JSON, whole or not at all."""
        with atomic_file(path) as file:
            file.write((json.dumps(asdict(self), indent=2) + "\n").encode())

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read what `write` wrote.

        Raises:
            LandmarksError: the file is missing or oversized, or a key is unknown, absent or of the wrong type.
        """
        try:
            if path.stat().st_size > MAX_BYTES:
                raise LandmarksError(f"{path}: larger than {MAX_BYTES} bytes, so not a protocol")
            return cls.from_json(path.read_bytes(), path)
        except OSError as error:
            raise LandmarksError(f"{path}: cannot be read ({error.strerror}); {cls.remedy}") from error

    @classmethod
    def from_json(cls, text: str | bytes, path: Path) -> Self:
        """The protocol in what was read from `path`, which errors name."""
        try:
            return TypeAdapter(cls).validate_json(text)
        except ValidationError as error:
            reasons = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}".lstrip(": ") for e in error.errors())
            raise LandmarksError(f"{path}: no protocol ({reasons}); {cls.remedy}") from error


@dataclass(frozen=True)
class ExtractionProtocol(Protocol):
    """How descriptors were made.

    Two sets may be searched against each other if network, weights and preparation of the images agree; the data set
    and split may differ, and library versions and the precision of the arithmetic are recorded without being compared:
    queries embedded in bfloat16 may be searched in an index embedded in float32. Within one set everything agrees.
    """

    remedy: ClassVar[str] = "extract the set again"
    not_compared: ClassVar[frozenset[str]] = NOT_COMPARED

    model: str  # name of the network, such as ``"res152_arcmargin"``
    weights: str  # hash of the weights file, or of the parameters
    input_size: int  # short side in pixels
    resize: str  # how images were brought to that size, such as ``"aspect"``
    scales: tuple[float, ...] = (1.0,)  # factors of the input size whose descriptors were added up
    flip: bool = False  # mirrored images were embedded and added too
    regions: int = 0  # levels of the grid of regions in each row; 0 where a row embeds the whole image
    data: str = ""  # name of the data set, such as ``"gldv2"``
    split: str = ""  # ``"index"``, ``"test"``, ``"train"`` …
    # of the arithmetic, as the trainer calls it, such as ``"bf16-mixed"``; empty where not recorded
    precision: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)  # library name to version

    def __post_init__(self) -> None:
        # JSON knows only lists and plain dictionaries: equality must survive a round trip.
        object.__setattr__(self, "scales", tuple(float(scale) for scale in self.scales))
        object.__setattr__(self, "versions", dict(self.versions))
