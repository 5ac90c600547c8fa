"""Predictions come back from disk as they were, or with the name of what is wrong."""

import errno
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from landmarks.errors import LandmarksError
from landmarks.recognition import Predictions, predictions, read_predictions, write_predictions
from landmarks.retrieval.descriptors import ExtractionProtocol

PROTOCOL = ExtractionProtocol(model="m", weights="w", input_size=64, resize="square")
PREDICTIONS = Predictions(
    np.array([5, 2**64 - 1], np.uint64),
    np.array([[2, 0], [1, -1]], np.int32),
    np.array([[0.75, 0.125], [1.0, 0.0]], np.float32),
    np.array(["1501", "index:3", "Tour Eiffel é"]),
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of predictions."""
    write_predictions(tmp_path / "queries_predictions", PREDICTIONS, PROTOCOL)
    return tmp_path / "queries_predictions"


def test_they_come_back(folder: Path) -> None:
    found = read_predictions(folder)
    for name in ("ids", "landmarks", "probabilities", "landmark_names"):
        assert np.array_equal(getattr(found, name), getattr(PREDICTIONS, name)), name
    assert found.name == str(folder) and [path.name for path in folder.parent.iterdir()] == [folder.name]


def test_new_ones_replace_old_ones_and_nothing_else(folder: Path, tmp_path: Path) -> None:
    write_predictions(folder, replace(PREDICTIONS, ids=np.array([1, 2], np.uint64)), PROTOCOL)
    assert read_predictions(folder).ids.tolist() == [1, 2]
    (folder / "notes.txt").write_text("mine")
    for path in (folder, folder / "notes.txt"):
        with pytest.raises(LandmarksError, match="holds other files"):
            write_predictions(path, PREDICTIONS, PROTOCOL)
    assert read_predictions(folder).ids.tolist() == [1, 2]


def test_a_full_disk_leaves_the_ones_before(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(ExtractionProtocol, "write", full)
    with pytest.raises(LandmarksError, match=r"cannot be written \(No space"):
        write_predictions(folder, replace(PREDICTIONS, ids=np.array([1, 2], np.uint64)), PROTOCOL)
    assert read_predictions(folder).ids.tolist() == PREDICTIONS.ids.tolist()
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


def test_a_name_with_a_line_break_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LandmarksError, match=r"'a\\nb' has a line break"):
        write_predictions(tmp_path / "p", replace(PREDICTIONS, landmark_names=np.array(["x", "a\nb", "c"])), PROTOCOL)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-3])


def saved(*shape: int, dtype: str = "i4") -> Callable[[Path], None]:
    return lambda path: np.save(path, np.zeros(shape, dtype))


def claiming(path: Path) -> None:
    """A header that promises far more than the file holds."""
    np.save(path, np.zeros((2, 2), np.int32))
    path.write_bytes(path.read_bytes().replace(b"(2, 2), }      ", b"(9999999999, 2)}"[:15]))


@pytest.mark.parametrize(
    ("name", "harm", "words"),
    [
        *((name, Path.unlink, name.split(".")[0]) for name in sorted(predictions.FILES)),
        *((f"{name}.npy", cut, "its header needs|corrupt") for name in ("ids", "landmarks", "probabilities")),
        ("landmarks.npy", claiming, "corrupt or not predictions"),
        ("landmarks.npy", lambda path: np.save(path, np.array([[print]], object), allow_pickle=True), "Python objects"),
        ("landmarks.npy", saved(2), "expected an array .images, landmarks."),
        ("landmarks.npy", saved(0, 2), "expected an array .images, landmarks."),
        ("landmarks.npy", saved(2, 2, dtype="i8"), "int64"),
        ("probabilities.npy", saved(2, 3, dtype="f4"), r"\(2, 3\)"),
        ("ids.npy", saved(2, dtype="u8"), "image 0000000000000000 occurs twice"),
        ("probabilities.npy", lambda path: np.save(path, np.full((2, 2), np.nan, np.float32)), r"outside \[0, 1\]"),
        ("landmark_names.txt", lambda path: path.write_text("a\n"), "not a row of the 1 names"),
        ("landmark_names.txt", lambda path: path.write_text("a\na\nb\n"), "has duplicates"),
        ("landmark_names.txt", lambda path: path.write_text("a\nb\nc"), "is truncated"),
        ("landmark_names.txt", lambda path: path.write_text(""), "is truncated"),
        ("landmark_names.txt", lambda path: path.write_bytes(b"\xff\n"), "names cannot be read"),
        ("landmark_names.txt", lambda path: path.write_text("a\n" * 10_000 + "b" * 10_000 + "\n"), "too long"),
        ("protocol.json", lambda path: path.write_text("[]"), "should be an object"),
    ],
)
def test_damage_is_named(folder: Path, name: str, harm: Callable[[Path], None], words: str) -> None:
    harm(folder / name)
    with pytest.raises(LandmarksError, match=words) as error:
        read_predictions(folder)
    assert str(folder) in str(error.value)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(LandmarksError, match="nowhere: there is no folder of predictions"):
        read_predictions(tmp_path / "nowhere")
