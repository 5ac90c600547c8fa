"""Reads and writes the official solution files.

retrieval:   id,images,Usage     images are ids, or None for an ignored query
recognition: id,landmarks,Usage  landmarks are numbers, or nothing where the image shows none
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from landmarks.metrics.csv_block import Block
from landmarks.metrics.errors import FormatError
from landmarks.metrics.hex_ids import hex_of
from landmarks.metrics.lookup import first_repeat
from landmarks.metrics.official_csv import read_blocks
from landmarks.metrics.solutions import RecognitionSolution, RetrievalSolution
from landmarks.storage.atomic_file import atomic_file

_USAGES = ("Ignored", "Private", "Public")
_IGNORED, _PRIVATE, _PUBLIC = range(3)


def read_retrieval_solution(path: str | Path) -> RetrievalSolution:
    """Read a retrieval solution file.

    Raises:
        FormatError: names the file, the line and the field.
    """
    path = Path(path)
    ids: list[NDArray[np.uint64]] = []
    lines: list[NDArray[np.int64]] = []
    usages: list[NDArray[np.int64]] = []
    counts: list[NDArray[np.int64]] = []
    images: list[NDArray[np.uint64]] = []
    for block in read_blocks(path, ("id", "images", "Usage")):
        usage = _read_usage(block)
        # What an ignored query names is not looked at, as it is `None` or nothing in most files.
        scored = _only_rows(block, usage != _IGNORED)
        positives, offsets = scored.image_ids(1)
        if (np.diff(offsets) == 0).any():
            row = int(np.argmax(np.diff(offsets) == 0))
            raise scored.error(row, 1, "a scored query has no correct image", "name one, or set Usage to Ignored")
        ids.append(block.row_ids())
        lines.append(block.lines)
        usages.append(usage)
        counts.append(np.diff(offsets))
        images.append(positives)
    query_ids, usage = _checked_rows(path, ids, lines, usages)
    scored_rows = usage != _IGNORED
    solution = {
        "query_ids": query_ids[scored_rows],
        "public": usage[scored_rows] == _PUBLIC,
        "positives_start": np.concatenate([[0], np.cumsum(np.concatenate(counts))]),
        "positives": np.concatenate(images),
        "ignored_ids": query_ids[~scored_rows],
    }
    try:
        return RetrievalSolution(**solution)
    except FormatError as error:
        # All else is checked above; this costs a sort of all positives, so it is done once, by the class.
        raise _repeated_positive(path, np.concatenate(lines)[scored_rows], solution) or error from None


def read_recognition_solution(path: str | Path) -> RecognitionSolution:
    """Read a recognition solution file.

    Raises:
        FormatError: names the file, the line and the field.
    """
    path = Path(path)
    ids: list[NDArray[np.uint64]] = []
    lines: list[NDArray[np.int64]] = []
    usages: list[NDArray[np.int64]] = []
    counts: list[NDArray[np.int64]] = []
    landmarks: list[NDArray[np.int64]] = []
    for block in read_blocks(path, ("id", "landmarks", "Usage")):
        usage = _read_usage(block)
        scored = _only_rows(block, usage != _IGNORED)
        words = scored.words(1)
        numbers = scored.landmarks(words.starts, words.ends)
        if (numbers < 0).any():
            word = int(np.argmax(numbers < 0))
            row = int(np.searchsorted(words.offsets, word, side="right")) - 1
            shown = scored.text(words.starts[word], words.ends[word])
            remedy = "write whole numbers of 0 and more, one space between them"
            raise scored.error(row, 1, f"{shown} is not a landmark", remedy)
        ids.append(block.row_ids())
        lines.append(block.lines)
        usages.append(usage)
        counts.append(np.diff(words.offsets))
        landmarks.append(numbers)
    image_ids, usage = _checked_rows(path, ids, lines, usages)
    scored_rows = usage != _IGNORED
    return RecognitionSolution(
        image_ids=image_ids[scored_rows],
        public=usage[scored_rows] == _PUBLIC,
        landmarks_start=np.concatenate([[0], np.cumsum(np.concatenate(counts))]),
        landmarks=np.concatenate(landmarks),
        ignored_ids=image_ids[~scored_rows],
    )


def write_retrieval_solution(path: str | Path, solution: RetrievalSolution) -> None:
    """Write a retrieval solution file: scored queries in their order, then the ignored ones."""
    with atomic_file(Path(path)) as file:
        file.write(b"id,images,Usage\n")
        for row, (query_id, public) in enumerate(zip(solution.query_ids.tolist(), solution.public, strict=True)):
            start, end = solution.positives_start[row : row + 2]
            images = " ".join(map(hex_of, solution.positives[start:end].tolist()))
            file.write(f"{hex_of(query_id)},{images},{_USAGES[_PUBLIC if public else _PRIVATE]}\n".encode())
        file.writelines(f"{hex_of(query_id)},None,Ignored\n".encode() for query_id in solution.ignored_ids.tolist())


def write_recognition_solution(path: str | Path, solution: RecognitionSolution) -> None:
    """Write a recognition solution file: scored images in their order, then the ignored ones."""
    with atomic_file(Path(path)) as file:
        file.write(b"id,landmarks,Usage\n")
        for row, (image_id, public) in enumerate(zip(solution.image_ids.tolist(), solution.public, strict=True)):
            start, end = solution.landmarks_start[row : row + 2]
            landmarks = " ".join(map(str, solution.landmarks[start:end].tolist()))
            file.write(f"{hex_of(image_id)},{landmarks},{_USAGES[_PUBLIC if public else _PRIVATE]}\n".encode())
        file.writelines(f"{hex_of(image_id)},,Ignored\n".encode() for image_id in solution.ignored_ids.tolist())


def _read_usage(block: Block) -> NDArray[np.int64]:
    texts = block.texts(block.starts[:, 2], block.ends[:, 2])
    usage = np.full(len(texts), -1, np.int64)
    for number, name in enumerate(_USAGES):
        usage[texts == name.encode()] = number
    if (usage < 0).any():
        row = int(np.argmax(usage < 0))
        shown = block.text(block.starts[row, 2], block.ends[row, 2])
        raise block.error(row, 2, f"unknown Usage {shown}", f"write one of {', '.join(_USAGES)}")
    return usage


def _only_rows(block: Block, rows: NDArray[np.bool_]) -> Block:
    return Block(block.path, block.columns, block.data, block.lines[rows], block.starts[rows], block.ends[rows])


def _repeated_positive(path: Path, lines: NDArray[np.int64], solution: dict[str, Any]) -> FormatError | None:
    """Find the line that names a correct image twice; slow, for a file that was refused."""
    start, positives = solution["positives_start"], solution["positives"]
    for row, line in enumerate(lines.tolist()):
        images = positives[start[row] : start[row + 1]]
        again = first_repeat(images)
        if again is not None:
            problem = f"image {hex_of(images[again])} is named twice"
            return FormatError.at(path, problem, "name it once", line=line, field="images")
    return None


def _checked_rows(
    path: Path,
    ids: list[NDArray[np.uint64]],
    lines: list[NDArray[np.int64]],
    usages: list[NDArray[np.int64]],
) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Join the blocks; refuse a solution without rows or with a repeated id."""
    if not ids:
        raise FormatError.at(path, "there is no line below the header", "give a complete solution file")
    all_ids, all_lines = np.concatenate(ids), np.concatenate(lines)
    row = first_repeat(all_ids)
    if row is not None:
        problem = f"id {hex_of(all_ids[row])} was there before"
        raise FormatError.at(path, problem, "keep one line an id", line=int(all_lines[row]), field="id")
    return all_ids, np.concatenate(usages)
