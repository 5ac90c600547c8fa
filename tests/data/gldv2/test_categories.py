from pathlib import Path

import pytest

from landmarks.data.gldv2 import category_name, read_categories, titles_of
from landmarks.errors import LandmarksError
from landmarks.storage import csv as csv_reader

COMMONS = "http://commons.wikimedia.org/wiki/Category"


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (f"{COMMONS}:Happy_Valley_Racecourse", "Happy Valley Racecourse"),
        (f"{COMMONS}:Caf%C3%A9_%22Museum%22,_Vienna", 'Café "Museum", Vienna'),
        (f"{COMMONS}%3AEiffel_Tower", "Eiffel Tower"),
        ("Category:Île de la Cité", "Île de la Cité"),
        ("Category:Star Wars Category: the exhibition", "Star Wars Category: the exhibition"),
        ("Tower_Bridge", "Tower Bridge"),
        ("Category:100% wool %FF", "100% wool \N{REPLACEMENT CHARACTER}"),
        (f"{COMMONS}:A%1B%5B31m%0AB", "A[31mB"),
        ("", ""),
    ],
)
def test_what_people_read(value: str, name: str) -> None:
    assert category_name(value) == name


def test_a_file_is_read_in_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "train_label_to_category.csv"
    quoted = f'"{COMMONS}:A_""B"",_C"'
    path.write_text(f"landmark_id,category\n7,Category:Tower\n203093,{quoted}\n1,\n5,Category:Île\n", encoding="utf-8")
    expected = {7: "Tower", 203093: 'A "B", C', 1: "", 5: "Île"}
    assert read_categories(path) == expected
    monkeypatch.setattr(csv_reader, "BLOCK_BYTES", 80)
    assert read_categories(path) == expected


def test_the_miniature_data_set(shared_data: Path) -> None:
    names = read_categories(shared_data / "gldv2_mini" / "metadata" / "train_label_to_category.csv")
    assert names[155357] == "gc arc de triomphe"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("landmark_id,category\n7,a\n7,b\n", "landmark 7 comes more than once"),
        ("landmark_id,category\nseven,a\n", "line 2, field 'landmark_id'.*'seven'"),
        ("landmark_id,name\n7,a\n", "column 'category' is missing"),
        ("landmark_id,category\n7,a,b\n", "line 2: 3 fields instead of 2"),
        ("", "empty"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / "categories.csv"
    path.write_text(text)
    with pytest.raises(LandmarksError, match=rf"categories\.csv.*{problem}"):
        read_categories(path)


def test_classes_are_named_by_their_landmarks() -> None:
    names = {7: "Tower", 8: "Bridge"}
    assert titles_of(("8", "index:7", "Dom", "7", "\u0667"), names, Path("c.csv")) == ("Bridge", "", "", "Tower", "")
    with pytest.raises(LandmarksError, match=r"c\.csv: names none of the 2 classes"):
        titles_of(("1", "2"), names, Path("c.csv"))
