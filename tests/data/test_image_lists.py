from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from landmarks.data import ImageTable, listed_rows, read_image_list
from landmarks.errors import LandmarksError
from landmarks.ids import parse_ids

A, B, C, D = (f"{number:016x}" for number in (10, 11, 12, 13))
TABLE = ImageTable(parse_ids([B, A, D, C]), np.array([0, 1, 1, -1], np.int32), np.array(["7", "index:7"]))
KNOWN: list[tuple[str, Callable[[], ImageTable]]] = [("train_clean", lambda: TABLE)]


def listed(folder: Path, text: str, name: str = "list.txt") -> Path:
    path = folder / name
    path.write_bytes(text.encode())
    return path


@pytest.mark.parametrize(
    ("text", "ids", "landmarks"),
    [
        (f"# Oxford\n{B}\n\n7 # All Souls\r\nindex:07\n{A}", [B, A], {"7": 4, "index:7": 5}),
        (f"\ufeff{A}\n{A}\n0\n7\n7\n", [A, A], {"0": 3, "7": 4}),
        ("1234567890123456\n123456789\n", ["1234567890123456"], {"123456789": 2}),
        (f'id,url,landmark_id\n{A},"x,y",7\n{B},,8\n', [A, B], {}),
        (f"landmark_id,images\n7,{A} {C}\n8,{B}\n", [A, C, B], {}),
        ('landmark_id,category\n7,"Category:A, B"\nindex:8,é\n7,\n', [], {"7": 2, "index:8": 3}),
        (f'"id"\r\n{D}\r\n', [D], {}),
        ("id,kind\n", [], {}),
    ],
)
def test_every_format_is_read(tmp_path: Path, text: str, ids: list[str], landmarks: dict[str, int]) -> None:
    found = read_image_list(listed(tmp_path, text))
    assert found.ids.tolist() == parse_ids(ids).tolist()
    assert dict(found.landmarks) == landmarks
    assert len(found) == len(ids) + len(landmarks)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the list is empty"),
        ("# nothing\n\n", "the list is empty"),
        (f"{A}\n{A[:-1]}\n", f"line 2: '{A[:-1]}' is neither an image"),
        (f"{A}\n{A.upper()}\n", "line 2: '000000000000000A' is neither"),
        ("7\nTower Bridge\n", "line 2: 'Tower Bridge' is neither"),
        ("7\nindex: 7\n", "line 2: 'index: 7' is neither"),
        (f"{A},{B}\n", "line 1: '000000000000000a,000000000000000b' is neither"),
        (f"id\n{A}\nno\n", "line 3, field 'id': 'no' is not an image id"),
        ("landmark_id\n7\n-1\nno\n", "line 3: '-1' is neither"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, message: str) -> None:
    path = listed(tmp_path, text)
    with pytest.raises(LandmarksError) as caught:
        read_image_list(path)
    assert str(path) in str(caught.value) and message in str(caught.value)


def test_a_missing_list_is_named(tmp_path: Path) -> None:
    with pytest.raises(LandmarksError, match=r"nothing\.txt: the list cannot be read \(No such file"):
        read_image_list(tmp_path / "nothing.txt")


@pytest.mark.parametrize(
    ("include", "exclude", "expected"),
    [
        (None, None, [B, A, D, C]),
        ("7", None, [B]),
        (f"index:7\n{C}", None, [A, D, C]),
        (None, f"7\n{D}", [A, C]),
        (f"7\nindex:7\n{C}", A, [B, D, C]),
    ],
)
def test_both_lists_select_by_image_and_by_landmark(
    tmp_path: Path, include: str | None, exclude: str | None, expected: list[str]
) -> None:
    paths = [None if text is None else listed(tmp_path, text, f"{n}.txt") for n, text in enumerate((include, exclude))]
    rows = listed_rows(TABLE, paths[0], paths[1], KNOWN)
    assert TABLE.ids[rows].tolist() == parse_ids(expected).tolist()


def test_entries_of_other_tables_change_nothing(tmp_path: Path) -> None:
    opened = []

    def whole() -> ImageTable:
        opened.append("train.csv")
        return ImageTable(parse_ids(["00000000000000ff"]), np.zeros(1, np.int32), np.array(["99"]))

    path = listed(tmp_path, f"{A}\n00000000000000ff\n99\n")
    assert listed_rows(TABLE, None, path, [*KNOWN, ("train.csv", whole)]).tolist() == [True, False, True, True]
    listed_rows(TABLE, None, listed(tmp_path, A, "known.txt"), [*KNOWN, ("train.csv", whole)])
    assert opened == ["train.csv"]  # only where it was needed: it takes seconds


def test_unknown_entries_are_counted_and_the_first_is_named(tmp_path: Path) -> None:
    path = listed(tmp_path, f"{A}\n8\n00000000000000fe\nindex:9\n7\n")
    with pytest.raises(LandmarksError) as caught:
        listed_rows(TABLE, path, None, KNOWN)
    assert f"{path}, line 2: landmark 8 is not in train_clean; 3 of the 5 entries are unknown" in str(caught.value)
    path = listed(tmp_path, "00000000000000fe\n8\n")
    with pytest.raises(LandmarksError, match="line 1: image 00000000000000fe is not in train_clean"):
        listed_rows(TABLE, path, None, KNOWN)


def test_nothing_left_is_an_error(tmp_path: Path) -> None:
    one, other = listed(tmp_path, "7", "one.txt"), listed(tmp_path, B, "other.txt")
    nothing = listed(tmp_path, "id\n", "nothing.csv")
    assert listed_rows(TABLE, None, nothing, KNOWN).all()
    with pytest.raises(LandmarksError, match=r"nothing\.csv: none of the .* remains"):
        listed_rows(TABLE, nothing, None, KNOWN)
    with pytest.raises(LandmarksError, match=r"one\.txt and .*other\.txt: none of the 4 images of train_clean remains"):
        listed_rows(TABLE, one, other, KNOWN)
