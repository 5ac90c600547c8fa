import dataclasses
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from found import CLASSES, PROTOCOL, found_objects, write_detections
from landmarks.errors import FormatError, LandmarksError
from landmarks.recognition.detections import (
    DetectionClasses,
    DetectionProtocol,
    Detections,
    FoundObjects,
    read_detections,
    read_images,
)

CORNERS = (0.25, 0.0, 1.0, 0.5)
FOUND = found_objects([(1, "Dog", 0.75, CORNERS), (3, "Tower", 0.1, CORNERS), (1, "Tree", 0.3, CORNERS)], [1, 2, 3])


@given(data=st.data())
def test_what_is_written_comes_back(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    images, boxes = data.draw(st.integers(1, 6)), data.draw(st.integers(0, 20))
    ids = rng.integers(0, 2**63, images).astype(np.uint64) * 2 + np.arange(images, dtype=np.uint64) % 2
    ids = np.unique(ids)
    corners = np.sort(rng.random((boxes, 2, 2)), axis=1).reshape(boxes, 4)
    detections = Detections(
        rng.choice(ids, boxes), rng.integers(0, 4, boxes).astype(np.int32), rng.random(boxes), corners, CLASSES.names
    )
    folder = tmp_path_factory.mktemp("found") / "queries"
    write_detections(folder, FoundObjects(detections, ids, CLASSES), PROTOCOL)
    again = read_detections(folder)
    np.testing.assert_array_equal(again.looked_at, ids)
    assert again.classes.titles.tolist() == CLASSES.titles.tolist()
    order = np.argsort(np.searchsorted(ids, detections.image_ids), kind="stable")
    for name in ("image_ids", "labels", "scores", "boxes"):
        np.testing.assert_array_equal(getattr(again.boxes, name), getattr(detections, name)[order])


def test_titles_may_hold_commas_and_quotes(tmp_path: Path) -> None:
    classes = DetectionClasses(np.array(["/m/a"]), np.array(['Salt, pepper "shaker"']))
    boxes = Detections(*(np.zeros(1, kind) for kind in ("u8", "i4", "f8")), np.zeros((1, 4)), classes.names)
    write_detections(tmp_path / "d", FoundObjects(boxes, np.zeros(1, np.uint64), classes), PROTOCOL)
    assert read_detections(tmp_path / "d").classes.titles.tolist() == classes.titles.tolist()


def test_a_cut_off_table_is_noticed(tmp_path: Path) -> None:
    folder = tmp_path / "d"
    write_detections(folder, FOUND, PROTOCOL)
    path = folder / "detections.csv"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-1]))
    with pytest.raises(LandmarksError, match=r"detections.csv: image 0+3 has 0 boxes, images.csv says 1"):
        read_detections(folder)
    path.write_bytes(b"".join(lines) + lines[-1].replace(b"3,", b"9,"))
    with pytest.raises(LandmarksError, match=r"0+9 has boxes, but is not among the images"):
        read_detections(folder)


@pytest.mark.parametrize("name", ["detections.csv", "images.csv", "classes.csv", "protocol.json"])
@pytest.mark.parametrize("content", [None, b"", b"\x80\x04\x95pickle", b"\0" * 64])
def test_damage_is_named_by_file(tmp_path: Path, name: str, content: bytes | None) -> None:
    folder = tmp_path / "d"
    write_detections(folder, FOUND, PROTOCOL)
    if content is None:
        (folder / name).unlink()
    else:
        (folder / name).write_bytes(content)
    with pytest.raises(LandmarksError) as caught:
        read_detections(folder)
    assert str(folder / name) in str(caught.value)


def test_no_set_and_an_unfinished_one(tmp_path: Path) -> None:
    with pytest.raises(LandmarksError, match="there is no folder"):
        read_detections(tmp_path / "d")
    (tmp_path / "d.partial").mkdir()
    with pytest.raises(LandmarksError, match="run the same detection again"):
        read_detections(tmp_path / "d")


def test_images_without_boxes_and_unreadable_ones_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "images.csv").write_text('ImageID,Boxes,Reason\n00000000000000ff,0,\n0000000000000001,0,"a, ""b"""\n')
    images = read_images(tmp_path / "images.csv")
    assert images.ids.tolist() == [255, 1]
    assert images.readable.tolist() == [True, False]
    (tmp_path / "images.csv").write_text("ImageID,Boxes,Reason\n")
    assert len(read_images(tmp_path / "images.csv").ids) == 0


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("00000000000000ff,-1,", "field 'Boxes': '-1' is not a number of boxes"),
        ("00000000000000ff,,", "field 'Boxes'"),
        ("00000000000000ff,2,broken", "boxes, though the image could not be read"),
        ("nothing,0,", "'nothing' is not an image id"),
    ],
)
def test_wrong_images_are_named(tmp_path: Path, row: str, message: str) -> None:
    path = tmp_path / "images.csv"
    path.write_text(f"ImageID,Boxes,Reason\n{row}\n")
    with pytest.raises(FormatError, match=f"line 2.*{message}"):
        read_images(path)


def test_an_image_is_looked_at_once_and_before_it_has_boxes() -> None:
    assert len(found_objects([], [3]).boxes.scores) == 0
    with pytest.raises(LandmarksError, match="0000000000000007 occurs twice"):
        found_objects([], [7, 7])
    with pytest.raises(LandmarksError, match="0000000000000002 has boxes, but"):
        found_objects([(2, "Dog", 0.5, CORNERS)], [1])


def test_classes_are_those_of_the_boxes() -> None:
    others = DetectionClasses(CLASSES.names[::-1], CLASSES.titles)
    with pytest.raises(LandmarksError, match="other classes"):
        dataclasses.replace(found_objects([], [1]), classes=others, looked_at=np.array([1], np.uint64))


def test_it_survives_a_round_trip_and_names_what_differs(tmp_path: Path) -> None:
    protocol = dataclasses.replace(PROTOCOL, versions={"torch": "2.11"}, score_threshold=0.25)
    protocol.write(tmp_path / "p.json")
    assert DetectionProtocol.read(tmp_path / "p.json") == protocol
    assert PROTOCOL.differences(PROTOCOL) == []
    assert PROTOCOL.differences(protocol) == ["score_threshold: 0.1 != 0.25", "versions: {} != {'torch': '2.11'}"]
