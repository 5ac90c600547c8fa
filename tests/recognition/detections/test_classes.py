import csv
from pathlib import Path

import numpy as np
import pytest

from landmarks.errors import LandmarksError
from landmarks.recognition.detections import DetectionClasses, read_classes


def test_the_challenge_has_the_classes_of_the_published_detector_in_its_order(shared_data: Path) -> None:
    folder = shared_data / "openimages"
    classes = read_classes(folder / "challenge-2018-class-descriptions-500.csv")
    with (folder / "landmark_detector_classes_500.tsv").open(newline="") as file:
        published = list(csv.reader(file, delimiter="\t"))
    assert [int(label) for label, _ in published] == list(range(501)) and published[0][1] == "background"
    titles = [title for _, title in published[1:]]
    assert [t for t, ours in zip(titles, classes.titles, strict=True) if t != ours] == ["studio couch"]
    twice = {title for title in titles if titles.count(title) > 1}
    assert twice == {"Bench", "Mouse"}
    assert all(classes.find(title) == row for row, title in enumerate(titles) if title not in twice)
    with pytest.raises(LandmarksError, match=r"'Mouse' is the title of both /m/.* and /m/.*; give one of these names"):
        classes.find("Mouse")
    boxable = read_classes(folder / "class-descriptions-boxable.csv")
    assert (len(classes), len(boxable)) == (500, 601)
    assert (boxable.rows(classes.names) >= 0).all()


def test_classes_are_found_by_name_and_by_title_in_any_case() -> None:
    classes = DetectionClasses(np.array(["/m/01", "/m/02"]), np.array(["Tower", "Bronze sculpture"]))
    assert [classes.find(text) for text in ("/m/02", "bronze Sculpture", "TOWER")] == [1, 1, 0]
    assert classes.rows(np.array(["/m/02", "/m/03", "/m/02"])).tolist() == [1, -1, 1]
    assert classes.rows(np.array([], dtype=np.str_)).tolist() == []
    with pytest.raises(LandmarksError, match="did you mean 'Tower'"):
        classes.find("Towr")
    with pytest.raises(LandmarksError, match="did you mean '/m/0"):
        classes.find("/m/0")
    with pytest.raises(LandmarksError, match="'giraffe' is not one of the 2 classes"):
        classes.find("giraffe")


def test_a_table_may_have_a_header_quotes_a_mark_and_windows_lines(tmp_path: Path) -> None:
    path = tmp_path / "classes.csv"
    path.write_bytes(b'\xef\xbb\xbfLabelName,DisplayName\r\n/m/01,"Light, bright"\r\n\r\n/m/02,Tower')
    classes = read_classes(path)
    assert classes.names.tolist() == ["/m/01", "/m/02"] and classes.titles.tolist() == ["Light, bright", "Tower"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "holds no class"),
        ("LabelName,DisplayName\n", "holds no class"),
        ("/m/01,Tower\nTower,/m/02\n", r"line 2: 'Tower,/m/02' is not a class"),
        ("/m/01,Tower\n/m/02\n", "line 2: '/m/02' is not a class"),
        ("/m/01,Tower\n/m/02, \n", "line 2"),
        ("/m/01,Tower\n\n/m/01,House\n", "line 3: /m/01 is already on line 1"),
    ],
)
def test_what_is_no_table_of_classes(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "classes.csv"
    path.write_text(text)
    with pytest.raises(LandmarksError, match=message):
        read_classes(path)


def test_a_missing_table_and_wrong_arrays(tmp_path: Path) -> None:
    with pytest.raises(LandmarksError, match=r"absent\.csv: the classes cannot be read \(No such file"):
        read_classes(tmp_path / "absent.csv")
    with pytest.raises(LandmarksError, match="give one of each"):
        DetectionClasses(np.array(["/m/01"]), np.array(["a", "b"]))
    with pytest.raises(LandmarksError, match="the class /m/01 occurs twice"):
        DetectionClasses(np.array(["/m/01", "/m/01"]), np.array(["a", "b"]))
