"""Finds the `metrics.json` files of runs and reads what the leaderboard needs.

Run folders may contain anything: corrupt files, files of older versions or of other programs. They do not stop the
leaderboard but are listed in it.
"""

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NoReturn

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as checked_dataclass

from landmarks.errors import LandmarksError

METRICS_FILE = "metrics.json"
MAX_BYTES = 16 << 20
SPLITS = ("public", "private")

_STRICT = ConfigDict(strict=True)


@checked_dataclass(frozen=True, config=_STRICT)
class Protocol:
    """How a model embedded images, see `retrieval.ExtractionProtocol`; that of a detector has fewer keys."""

    model: str
    weights: str
    input_size: int
    resize: str = ""
    scales: list[float] = Field(default_factory=lambda: [1.0])
    flip: bool = False
    precision: str = ""


@checked_dataclass(frozen=True, config=_STRICT)
class Stages:
    """Names of the stages of both pipelines, and known choices of configuration groups."""

    retrieval: list[str] = Field(default_factory=list)
    recognition: list[str] = Field(default_factory=list)
    choices: dict[str, str] = Field(default_factory=dict)


@checked_dataclass(frozen=True, config=_STRICT)
class Solution:
    """The numbers of images in a ground truth, and its origin.

    Attributes:
        public: Number of public images.
        private: Number of private images.
        ignored: Number of images that are not scored.
        where: Data set or file that it comes from.
        digest: Hash of its content.
    """

    public: int
    private: int
    ignored: int
    where: str = Field(alias="from")
    digest: str = ""


@checked_dataclass(frozen=True, config=_STRICT)
class Evaluated:
    """The data that were evaluated, as recorded by the evaluation.

    Attributes:
        source: Name of the data set; None if unknown.
        split: Split of the images; for detectors only.
        images: Number of images; for detectors only.
        release: Version of the ground truth.
        held_out: Whether the images are held out of training instead of the test set.
        embedded: Numbers of queries and index images.
        truth: Ground truth of each task; None if there is none.
    """

    source: str | None = None
    split: str | None = None
    images: int | None = None
    release: str | None = None
    held_out: bool = False
    embedded: dict[str, int] = Field(default_factory=dict)
    truth: dict[str, Solution | None] = Field(default_factory=dict)


@checked_dataclass(frozen=True, config=_STRICT)
class Stamp:
    """What a run records about its metrics; the protocol of an unknown model is None."""

    protocol: list[Protocol | None]
    data: Evaluated
    job: Literal["train", "evaluate"]
    pipeline: Stages = Field(default_factory=Stages)


@dataclass(frozen=True)
class Run:
    """A run that records how its metrics were measured.

    Attributes:
        folder: The run folder.
        written: When `metrics.json` was written, seconds since 1970.
        scores: Metrics of each split: split -> metric -> value.
        stamp: What the metrics were measured with.
    """

    folder: Path
    written: float
    scores: Mapping[str, Mapping[str, float]]
    stamp: Stamp

    @property
    def trained(self) -> bool:
        """Whether it is a training run, whose metrics are those at the end of training."""
        return self.stamp.job == "train"

    @property
    def models(self) -> list[str]:
        """Names of the models that embedded images, in any order; a question mark for an unknown one."""
        return [one.model if one else "?" for one in self.stamp.protocol]


@dataclass
class FoundRuns:
    """The runs in a folder.

    Attributes:
        runs: Runs that record how their metrics were measured.
        unstamped: Folders of runs of older versions, which do not record it.
        notes: Messages about invalid or unreadable files.
    """

    runs: list[Run] = field(default_factory=list)
    unstamped: list[Path] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def find_runs(folder: str | Path) -> FoundRuns:
    """Read every `metrics.json` in a folder and its subfolders, without following links to folders.

    Args:
        folder: The folder.

    Raises:
        LandmarksError: There is no such folder.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise LandmarksError(f"{folder}: there is no such folder; give the folder of your runs with --runs FOLDER")
    found = FoundRuns()
    for path in _files(folder, found.notes):
        try:
            values = _read(path)
            scores = _scores(values)
            if not {"job", "protocol"} <= values.keys():
                found.unstamped.append(path.parent)
                continue
            stamp = _STAMP.validate_json(json.dumps(_without_unknown(values)))
            found.runs.append(Run(path.parent, path.stat().st_mtime, scores, stamp))
        except ValidationError as error:
            key, why = ".".join(map(str, error.errors()[0]["loc"])), error.errors()[0]["msg"]
            found.notes.append(f"{path}: the record of the evaluation is invalid ({key}: {why})")
        except (OSError, ValueError, RecursionError) as error:
            found.notes.append(f"{path}: {error if isinstance(error, _NoneOfOursError) else f'not readable ({error})'}")
    return found


class _NoneOfOursError(ValueError):
    pass


_STAMP = TypeAdapter(Stamp)
_SCORES = TypeAdapter(dict[str, dict[str, float | None]])


def _files(folder: Path, notes: list[str]) -> Iterator[Path]:
    def note(error: OSError) -> None:
        notes.append(f"{error.filename}: not readable ({error.strerror})")

    for root, folders, files in os.walk(folder, onerror=note):
        folders.sort()
        if METRICS_FILE in files:
            yield Path(root) / METRICS_FILE


def _read(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise _NoneOfOursError(f"not the metrics of a run: larger than {MAX_BYTES >> 20} MiB")
    values = json.loads(content, parse_constant=_refuse)
    if not isinstance(values, dict):
        raise _NoneOfOursError("not the metrics of a run: not an object")
    return values


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not valid JSON")


def _scores(values: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """Return the metrics with valid values, from 0 to 1; of a training run those at its end."""
    at_the_end = values.get("trained")
    try:
        scores = _SCORES.validate_python(
            at_the_end if values.get("job") == "train" else values.get("scores", at_the_end)  # older files have no job
        )
    except ValidationError:
        raise _NoneOfOursError("not the metrics of a run: it has no scores") from None
    return {
        split: {name: value for name, value in figures.items() if value is not None and 0 <= value <= 1}
        for split, figures in scores.items()
    }


def _without_unknown(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the stamp, with None for unknown models: descriptors in plain files have an empty protocol."""
    protocol = values["protocol"]
    known = [one or None for one in protocol] if isinstance(protocol, list) else protocol
    return {
        "job": values["job"],
        "protocol": known,
        "data": values.get("data"),
        "pipeline": values.get("pipeline") or {},
    }
