"""What made a descriptor set: kept beside it as JSON, so that descriptors of two models are never compared.

Two sets may be searched against each other if network, weights and preparation of the pictures agree; the data
set and split may differ, and library versions and the precision of the arithmetic are recorded without being compared:
queries described in bfloat16 may be searched in an index described in float32. Within one set everything agrees.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from landmarks.errors import LandmarksError
from landmarks.storage import atomic_file

MAX_BYTES = 1 << 20
NOT_COMPARED = frozenset({"data", "split", "precision", "versions"})


@dataclass(frozen=True)
class ExtractionProtocol:
    """How descriptors were made.

    Attributes:
        model: name of the network, such as ``"res152_arcmargin"``.
        weights: hash of the weights file, or of the parameters.
        input_size: short side in pixels.
        resize: how pictures were brought to that size, such as ``"released"``.
        scales: factors of the input size whose descriptors were added up.
        flip: mirrored pictures were described and added too.
        regions: levels of the grid of regions in each row; 0 where a row describes the whole picture.
        data: name of the data set, such as ``"gldv2"``.
        split: ``"index"``, ``"test"``, ``"train"`` …
        precision: of the arithmetic, as the trainer calls it, such as ``"bf16-mixed"``; empty where not recorded.
        versions: library name to version.
    """

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

    def differences(self, other: "ExtractionProtocol", ignore: frozenset[str] = NOT_COMPARED) -> list[str]:
        """One ``"key: mine != theirs"`` for every key that differs, besides those ignored."""
        pairs = ((f.name, getattr(self, f.name), getattr(other, f.name)) for f in fields(self))
        return [f"{key}: {mine!r} != {theirs!r}" for key, mine, theirs in pairs if key not in ignore and mine != theirs]

    def write(self, path: Path) -> None:
        """Write as indented JSON, whole or not at all."""
        with atomic_file(path) as file:
            file.write((json.dumps(asdict(self), indent=2) + "\n").encode())

    @staticmethod
    def read(path: Path) -> "ExtractionProtocol":
        """Read what `write` wrote."""
        try:
            if path.stat().st_size > MAX_BYTES:
                raise LandmarksError(f"{path}: larger than {MAX_BYTES} bytes, so not a protocol")
            values: Any = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            raise LandmarksError(f"{path}: no readable protocol: {error}") from error
        return protocol_from_json(values, path)


def protocol_from_json(values: Any, path: Path) -> ExtractionProtocol:
    """The protocol in what was read as JSON from `path`, which errors name."""
    if not isinstance(values, dict):
        raise LandmarksError(f"{path}: expected a JSON object")
    known = {f.name: f for f in fields(ExtractionProtocol)}
    unknown = sorted(values.keys() - known)
    absent = sorted({"model", "weights", "input_size", "resize"} - values.keys())
    if unknown or absent:
        raise LandmarksError(f"{path}: unknown keys {unknown}, absent keys {absent}; extract the set again")
    scales, versions = values.get("scales", [1.0]), values.get("versions", {})
    texts = [values[key] for key in ("model", "weights", "resize", "data", "split", "precision") if key in values]
    well_typed = (
        all(isinstance(text, str) for text in texts)
        and type(values["input_size"]) is int
        and type(values.get("regions", 0)) is int
        and type(values.get("flip", False)) is bool
        and isinstance(scales, list)
        and all(type(scale) in (int, float) for scale in scales)
        and isinstance(versions, dict)
        and all(isinstance(version, str) for version in versions.values())
    )
    if not well_typed:
        raise LandmarksError(f"{path}: a key has the wrong type; extract the set again")
    return ExtractionProtocol(**values)
