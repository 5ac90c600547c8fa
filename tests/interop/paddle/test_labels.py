from pathlib import Path

import pytest

from landmarks.errors import LandmarksError
from landmarks.interop.paddle import NO_NAMES, ClassNames, read_class_names, read_labels


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("7\n203093\n1\n", ("7", "203093", "1")),
        ("\ufeff7\r\n\r\n8", ("7", "8")),
        ("landmark_id\n7\n8\n", ("7", "8")),
        ('class,landmark_id\n1,8\n0,"7"\n2,9\n', ("7", "8", "9")),
        ("landmark_id, class\n8, 1\n7, 0\n", ("7", "8")),
        ("Eiffel Tower\nÎle de la Cité\n", ("Eiffel Tower", "Île de la Cité")),
    ],
)
def test_text_and_tables(tmp_path: Path, text: str, labels: tuple[str, ...]) -> None:
    path = tmp_path / "labels"
    path.write_text(text, encoding="utf-8", newline="")
    assert read_labels(path) == labels


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "holds no labels"),
        ("landmark_id\n", "holds no labels"),
        ("class,landmark_id\n", "holds no labels"),
        ("7\n8\n7\n", "line 3: landmark 7 is already in line 1"),
        ("7\n  \n8\n", "line 2: expected one landmark_id"),
        ("7,a\n8,b\n", "line 1: expected one landmark_id, found '7,a'"),
        ("7\x1b\n", "line 1: expected one landmark_id"),
        ("id,landmark_id\n0,7\n", "line 1: the columns must be landmark_id, or class and landmark_id"),
        ("class,landmark_id\n0,7\n2,8\n", "class 1 is missing"),
        ("class,landmark_id\n1,7\n2,8\n", "class 0 is missing"),
        ("class,landmark_id\n0,7\n0,8\n", "line 3, field 'class': class 0 occurs twice"),
        ("class,landmark_id\n0,7\n-1,8\n", "line 3, field 'class': '-1' is not the number of a class"),
        ("class,landmark_id\n0,7\n1\n", "line 3: 1 fields instead of 2"),
        ("class,landmark_id\n0,7\n1,7\n", "line 3: landmark 7 is already in line 2"),
        ('"7\n', "is not a list of labels"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / "labels"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(LandmarksError, match=f"labels.*{problem}"):
        read_labels(path)


def test_files_that_are_no_lists(tmp_path: Path) -> None:
    (tmp_path / "image").write_bytes(b"\xff\xd8\xff\xe0")
    with pytest.raises(LandmarksError, match="image: is not a list of labels in UTF-8"):
        read_labels(tmp_path / "image")
    with (tmp_path / "large").open("wb") as file:
        file.truncate((64 << 20) + 1)
    with pytest.raises(LandmarksError, match="large: larger than"):
        read_labels(tmp_path / "large")
    with pytest.raises(LandmarksError, match="gone: cannot be read"):
        read_labels(tmp_path / "gone")


def test_names_of_classes(tmp_path: Path) -> None:
    labels, categories = tmp_path / "labels.txt", tmp_path / "categories.csv"
    labels.write_text("7\n8\nsomewhere\n")
    categories.write_text("landmark_id,category\n9,Category:Nine\n7,http://x/wiki/Category:Tower_Bridge\n")
    name = "res152_softmax_v1"
    assert read_class_names(name, None, None) == NO_NAMES
    assert read_class_names(name, labels, None) == ClassNames(("7", "8", "somewhere"), ())
    assert read_class_names(name, labels, categories).titles == ("Tower Bridge", "", "")
    with pytest.raises(LandmarksError, match="give both"):
        read_class_names(name, None, categories)
    with pytest.raises(LandmarksError, match="res152_npairs embeds images and has no classes"):
        read_class_names("res152_npairs", labels, None)
