from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from landmarks.data import read_image_list
from landmarks.data.gldv2 import (
    category_name,
    read_categories,
    read_clean,
    read_ids,
    read_labels,
    refuse_unknown,
    titles_of,
    write_clean,
)
from landmarks.data.gldv2 import tables as module
from landmarks.errors import LandmarksError
from landmarks.ids import parse_ids

A, B, C = "000000000000000a", "000000000000000b", "000000000000000c"


def csv(folder: Path, text: str) -> Path:
    path = folder / "train.csv"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    return path


def test_quotes_commas_and_odd_bytes_in_urls(tmp_path: Path) -> None:
    text = f'id,url,landmark_id\n{A},"http://x/a,b ""c"".jpg",9\n{B},,10\n{C},http://x/\udcff\udce9.jpg,9\n'
    images = read_labels(csv(tmp_path, text), prefix="index:")
    assert images.ids.tolist() == [10, 11, 12]
    assert images.landmarks.tolist() == [0, 1, 0]
    assert images.landmark_names.tolist() == ["index:9", "index:10"]  # by number, not by text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"id,url,landmark_id\n{A},,1\n{B},,None\n", "line 3, field 'landmark_id': 'None' is not a landmark number"),
        (
            f"id,url,landmark_id\n{A},,1000000000\n",
            "line 2, field 'landmark_id': '1000000000' is not a landmark number",
        ),
        (f"id,url,landmark_id\n{A},,1\n{B},,2\n{A},,1\n", f"1 image ids occur more than once, first {A}; remove"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(LandmarksError) as caught:
        read_labels(csv(tmp_path, text))
    assert "train.csv" in str(caught.value)
    assert message in str(caught.value)


def test_header_alone_is_an_empty_table(tmp_path: Path) -> None:
    images = read_labels(csv(tmp_path, "id,url,landmark_id\n"))
    assert (len(images), images.num_landmarks) == (0, 0)


def test_clean_lists_many_images_a_line(tmp_path: Path) -> None:
    images = read_clean(csv(tmp_path, f"landmark_id,images\n70,{B} {A} \n8,{C}\n9,\n"))
    assert images.ids.tolist() == [11, 10, 12]
    assert images.landmark_names[images.landmarks].tolist() == ["70", "70", "8"]


def test_clean_names_the_line_of_a_bad_image(tmp_path: Path) -> None:
    with pytest.raises(LandmarksError, match="line 3, field 'images': 'oops'"):
        read_clean(csv(tmp_path, f"landmark_id,images\n70,{A} {B}\n8,{C} oops\n"))
    with pytest.raises(LandmarksError, match=rf"train\.csv: 1 image ids occur more than once, first {B}"):
        read_clean(csv(tmp_path, f"landmark_id,images\n70,{A} {B}\n8,{B}\n"))
    with pytest.raises(LandmarksError, match=rf"train\.csv: 1 image ids occur more than once, first {B}"):
        read_ids(csv(tmp_path, f"id\n{A}\n{B}\n{B}\n"))


def test_numbers_far_apart_and_numbers_close_by_give_the_same_labels(tmp_path: Path) -> None:
    for numbers in ([7, 3, 7, 0], [999999999, 3, 999999999, 0]):
        lines = "".join(f"{row:016x},{number}\n" for row, number in enumerate(numbers))
        images = read_labels(csv(tmp_path, "id,landmark_id\n" + lines))
        assert images.landmark_names.tolist() == ["0", "3", str(numbers[0])]
        assert images.landmarks.tolist() == [2, 1, 2, 0]


def test_unknown_images_are_counted_and_named() -> None:
    with pytest.raises(LandmarksError, match=rf"a\.csv: 2 images are not in b\.csv, first {B}, {C};"):
        refuse_unknown(Path("a.csv"), parse_ids([B, A, C]), parse_ids([A]), Path("b.csv"))
    refuse_unknown(Path("a.csv"), np.empty(0, np.uint64), np.empty(0, np.uint64), Path("b.csv"))


@settings(max_examples=15)
@given(counts=st.lists(st.integers(1, 9), min_size=1, max_size=12), seed=st.integers(0, 9))
def test_what_is_written_is_read_again(tmp_path_factory: pytest.TempPathFactory, counts: list[int], seed: int) -> None:
    path = tmp_path_factory.mktemp("clean") / "train_clean.csv"
    ids = np.random.default_rng(seed).choice(1 << 60, sum(counts), replace=False).astype(np.uint64)
    numbers = np.repeat(np.arange(len(counts)) * 7, counts)
    write_clean(path, ids, numbers.astype(str))
    table = read_clean(path)
    assert (table.ids == ids).all() and (table.landmark_names[table.landmarks].astype(int) == numbers).all()
    assert (read_image_list(path).ids == ids).all()  # data.source.include takes it as it is


def test_the_bytes_are_the_official_ones(tmp_path: Path) -> None:
    path = tmp_path / "new" / "clean.csv"
    write_clean(path, np.array([10, 11, 255], np.uint64), np.array(["1", "1", "203093"]))
    lines = ["landmark_id,images", "1,000000000000000a 000000000000000b", "203093,00000000000000ff", ""]
    assert path.read_bytes().decode() == "\n".join(lines)


def test_a_failure_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "clean.csv"
    path.write_text("before")

    def full(ids: np.ndarray) -> list[str]:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "format_ids", full)
    with pytest.raises(LandmarksError, match=r"clean\.csv: cannot be written \(No space left on device\)"):
        write_clean(path, np.array([10], np.uint64), np.array(["1"]))
    assert path.read_text() == "before" and list(tmp_path.iterdir()) == [path]


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
def test_landmarks_have_titles(value: str, name: str) -> None:
    assert category_name(value) == name


def test_names_of_all_landmarks(tmp_path: Path) -> None:
    path = tmp_path / "train_label_to_category.csv"
    quoted = f'"{COMMONS}:A_""B"",_C"'
    path.write_text(f"landmark_id,category\n7,Category:Tower\n203093,{quoted}\n1,\n5,Category:Île\n", encoding="utf-8")
    assert read_categories(path) == {7: "Tower", 203093: 'A "B", C', 1: "", 5: "Île"}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("landmark_id,category\n7,a\n7,b\n", "landmark 7 occurs more than once"),
        ("landmark_id,category\nseven,a\n", "line 2, field 'landmark_id'.*'seven'"),
    ],
)
def test_wrong_categories_are_named(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / "categories.csv"
    path.write_text(text)
    with pytest.raises(LandmarksError, match=rf"categories\.csv.*{problem}"):
        read_categories(path)


def test_classes_are_named_by_their_landmarks() -> None:
    names = {7: "Tower", 8: "Bridge"}
    assert titles_of(("8", "index:7", "Dom", "7", "\u0667"), names, Path("c.csv")) == ("Bridge", "", "", "Tower", "")
    with pytest.raises(LandmarksError, match=r"c\.csv: has a name for none of the 2 classes"):
        titles_of(("1", "2"), names, Path("c.csv"))
