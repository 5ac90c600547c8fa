"""Finds the `metrics.json` of runs and reads what the leaderboard needs of them.

Folders of runs hold anything: corrupt files, those of older versions, those of other programs. None stops the
leaderboard; each is named instead.
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
    """How one model embedded images, see `retrieval.ExtractionProtocol`; a detector's has fewer keys."""

    model: str
    weights: str
    input_size: int
    resize: str = ""
    scales: list[float] = Field(default_factory=lambda: [1.0])
    flip: bool = False
    precision: str = ""


@checked_dataclass(frozen=True, config=_STRICT)
class Stages:
    """Names of the stages of both pipelines, and what was chosen by name where that is known."""

    retrieval: list[str] = Field(default_factory=list)
    recognition: list[str] = Field(default_factory=list)
    choices: dict[str, str] = Field(default_factory=dict)


@checked_dataclass(frozen=True, config=_STRICT)
class Solution:
    """How many images a solution scores, and where it comes from."""

    public: int
    private: int
    ignored: int
    where: str = Field(alias="from")
    digest: str = ""


@checked_dataclass(frozen=True, config=_STRICT)
class Evaluated:
    """The data that were evaluated, see `stamp` of evaluation; of a detector only `source` and what follows it."""

    source: str | None = None  # name of the data set; None where nobody knows
    split: str | None = None  # of a detector's images
    images: int | None = None  # of a detector
    release: str | None = None  # of the ground truth
    held_out: bool = False  # of the train images instead of the test set
    embedded: dict[str, int] = Field(default_factory=dict)  # numbers of queries and index images that were searched
    # of each task; None where nobody knows what is right
    truth: dict[str, Solution | None] = Field(default_factory=dict)


@checked_dataclass(frozen=True, config=_STRICT)
class Stamp:
    """What the figures of a run are of. A model that nobody knows is None."""

    protocol: list[Protocol | None]
    data: Evaluated
    job: Literal["train", "evaluate"]
    pipeline: Stages = Field(default_factory=Stages)


@dataclass(frozen=True)
class Run:
    """A run whose figures carry a stamp."""

    folder: Path  # of the run
    written: float  # when, in seconds since 1970
    scores: Mapping[str, Mapping[str, float]]  # split to figure to value
    stamp: Stamp  # what the figures are of

    @property
    def trained(self) -> bool:
        """Whether it is a training run, of whose end the figures are."""
        return self.stamp.job == "train"

    @property
    def models(self) -> list[str]:
        """Names of the models that embedded, in any order; a question mark for one that nobody knows."""
        return [one.model if one else "?" for one in self.stamp.protocol]


@dataclass
class FoundRuns:
    """What lies in a folder."""

    runs: list[Run] = field(default_factory=list)  # with a stamp
    # folders of runs of older versions: nobody can say what their figures are of
    unstamped: list[Path] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)  # files that are not what their name says, and why


def find_runs(folder: str | Path) -> FoundRuns:
    """Read every `metrics.json` in a folder and those below it; links to folders are not followed."""
    folder = Path(folder)
    if not folder.is_dir():
        raise LandmarksError(f"{folder}: there is no such folder; runs are searched in runs/, or in --runs FOLDER")
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
            found.notes.append(f"{path}: a stamp that makes no sense ({key}: {why})")
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
        raise _NoneOfOursError(f"larger than {MAX_BYTES >> 20} MiB, so no file of ours")
    values = json.loads(content, parse_constant=_refuse)
    if not isinstance(values, dict):
        raise _NoneOfOursError("no file of ours: not an object")
    return values


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")


def _scores(values: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """The figures that can be figures at all, numbers from 0 to 1; of a training run those at its end."""
    at_the_end = values.get("trained")
    try:
        scores = _SCORES.validate_python(
            at_the_end if values.get("job") == "train" else values.get("scores", at_the_end)  # older files name no job
        )
    except ValidationError:
        raise _NoneOfOursError("no file of ours: it has no scores") from None
    return {
        split: {name: value for name, value in figures.items() if value is not None and 0 <= value <= 1}
        for split, figures in scores.items()
    }


def _without_unknown(values: Mapping[str, Any]) -> dict[str, Any]:
    """The stamp, with None for models that nobody knows: plain files have an empty protocol."""
    protocol = values["protocol"]
    known = [one or None for one in protocol] if isinstance(protocol, list) else protocol
    return {
        "job": values["job"],
        "protocol": known,
        "data": values.get("data"),
        "pipeline": values.get("pipeline") or {},
    }
