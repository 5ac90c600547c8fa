"""Reads and writes the official solution files.

retrieval:   id,images,Usage     images are ids, or None for an ignored query
recognition: id,landmarks,Usage  landmarks are numbers, or empty if the image shows none
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from landmarks.errors import FormatError
from landmarks.ids import format_id
from landmarks.metrics.groups import GroupedValues
from landmarks.metrics.official_csv import read_official, refuse_repeats
from landmarks.metrics.solutions import RecognitionSolution, RetrievalSolution
from landmarks.storage import Rows, atomic_file, shorten

_USAGES = ("Ignored", "Private", "Public")
_IGNORED, _PRIVATE, _PUBLIC = range(3)


def read_retrieval_solution(path: str | Path) -> RetrievalSolution:
    """Read a retrieval solution file.

    Raises:
        FormatError: the file is invalid; names the line and the field.
    """
    path = Path(path)
    parts = []
    for rows in read_official(path, ("id", "images", "Usage")):
        usage = _read_usage(rows)
        # The images of ignored queries are not parsed, as they are `None` or empty in most files.
        scored = rows.take(usage != _IGNORED)
        positives, offsets = scored.id_lists("images")
        counts = np.diff(offsets)
        if len(counts) and counts.min() == 0:
            remedy = "name one, or set Usage to Ignored"
            raise scored.error(int(np.argmin(counts)), "images", "a scored query has no correct image", remedy)
        parts.append((rows.ids("id"), rows.lines, usage, counts, positives))
    query_ids, lines, usage, counts, positives = _joined(path, parts)
    scored_rows = usage != _IGNORED
    solution = {
        "query_ids": query_ids[scored_rows],
        "public": usage[scored_rows] == _PUBLIC,
        "positives_start": np.concatenate([[0], np.cumsum(counts)]),
        "positives": positives,
        "ignored_ids": query_ids[~scored_rows],
    }
    try:
        return RetrievalSolution(**solution)
    except FormatError:
        # All else is checked above. The class checks for repeated images, which takes as long as the rest; only if it
        # finds one, look for the line.
        grouped = GroupedValues(positives, solution["positives_start"])
        if not len(grouped.repeated):
            raise
        row = int(grouped.repeated.min())
        problem = f"image {format_id(positives[row])} occurs twice"
        line = int(lines[scored_rows][grouped.groups[row]])
        raise FormatError.at(path, problem, "name it once", line=line, field="images") from None


def read_recognition_solution(path: str | Path) -> RecognitionSolution:
    """Read a recognition solution file.

    Raises:
        FormatError: the file is invalid; names the line and the field.
    """
    path = Path(path)
    parts = []
    for rows in read_official(path, ("id", "landmarks", "Usage")):
        usage = _read_usage(rows)
        words, offsets = rows.take(usage != _IGNORED).words("landmarks")
        numbers = words.whole_numbers("landmarks")
        remedy = "write whole numbers, 0 or more, with one space between them"
        words.refuse(numbers < 0, "landmarks", "is not a landmark", remedy)
        parts.append((rows.ids("id"), rows.lines, usage, np.diff(offsets), numbers))
    image_ids, _, usage, counts, landmarks = _joined(path, parts)
    scored_rows = usage != _IGNORED
    return RecognitionSolution(
        image_ids=image_ids[scored_rows],
        public=usage[scored_rows] == _PUBLIC,
        landmarks_start=np.concatenate([[0], np.cumsum(counts)]),
        landmarks=landmarks,
        ignored_ids=image_ids[~scored_rows],
    )


def write_retrieval_solution(path: str | Path, solution: RetrievalSolution) -> None:
    """Write a retrieval solution file: scored queries in their order, then the ignored ones."""
    with atomic_file(Path(path)) as file:
        file.write(b"id,images,Usage\n")
        for row, (query_id, public) in enumerate(zip(solution.query_ids.tolist(), solution.public, strict=True)):
            start, end = solution.positives_start[row : row + 2]
            images = " ".join(map(format_id, solution.positives[start:end].tolist()))
            file.write(f"{format_id(query_id)},{images},{_USAGES[_PUBLIC if public else _PRIVATE]}\n".encode())
        file.writelines(f"{format_id(query_id)},None,Ignored\n".encode() for query_id in solution.ignored_ids.tolist())


def write_recognition_solution(path: str | Path, solution: RecognitionSolution) -> None:
    """Write a recognition solution file: scored images in their order, then the ignored ones."""
    with atomic_file(Path(path)) as file:
        file.write(b"id,landmarks,Usage\n")
        for row, (image_id, public) in enumerate(zip(solution.image_ids.tolist(), solution.public, strict=True)):
            start, end = solution.landmarks_start[row : row + 2]
            landmarks = " ".join(map(str, solution.landmarks[start:end].tolist()))
            file.write(f"{format_id(image_id)},{landmarks},{_USAGES[_PUBLIC if public else _PRIVATE]}\n".encode())
        file.writelines(f"{format_id(image_id)},,Ignored\n".encode() for image_id in solution.ignored_ids.tolist())


def _read_usage(rows: Rows) -> NDArray[np.int64]:
    numbers = rows.fields["Usage"].replace_strict(_USAGES, range(len(_USAGES)), default=-1, return_dtype=pl.Int64)
    usage: NDArray[np.int64] = numbers.to_numpy()
    wrong = usage < 0
    if wrong.any():
        shown = shorten(rows.fields["Usage"][int(np.argmax(wrong))])
        remedy = f"write one of {', '.join(_USAGES)}"
        raise rows.error(int(np.argmax(wrong)), "Usage", f"unknown Usage {shown}", remedy)
    return usage


def _joined(path: Path, parts: Sequence[tuple[NDArray[Any], ...]]) -> tuple[NDArray[Any], ...]:
    """Join the blocks; raise a FormatError for a solution without rows or with a repeated id."""
    if not parts:
        raise FormatError.at(path, "there is no line below the header", "give a complete solution file")
    ids, lines, *others = (np.concatenate(values) for values in zip(*parts, strict=True))
    refuse_repeats(path, ids, lines)
    return ids, lines, *others
