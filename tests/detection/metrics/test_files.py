"""The CSV files of Open Images: what is read, what is refused, and predictions that come back as they were."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from landmarks.detection.metrics import DETECTIONS_HEADER, detection_lines, read_truth, write_detections_csv
from landmarks.detection.metrics import files as detection_files
from landmarks.errors import FormatError
from landmarks.recognition.detections import Detections, read_boxes

ID, OTHER = "00000000000000ff", "f000000000000000"
BOXES = "ImageID,LabelName,XMin,XMax,YMin,YMax,IsGroupOf"
LABELS = "ImageID,LabelName,Confidence"
PREDICTIONS = "ImageID,LabelName,Score,XMin,XMax,YMin,YMax"
OFFICIAL_BOXES = (
    "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsOccluded,IsTruncated,IsGroupOf,IsDepiction,IsInside"
)

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def written(name: str, *lines: str) -> Path:
        path = tmp_path / f"{name}.csv"
        path.write_text("".join(line + "\n" for line in lines))
        return path

    return written


def test_truth(write: Write) -> None:
    boxes = write("boxes", BOXES, f"{ID},/m/b,0.1,0.2,0.3,0.4,0", f"{OTHER},/m/a,0,1,0.5,0.5,1")
    labels = write("labels", LABELS, f"{ID},/m/b,1", f"{ID},/m/aa,0")
    truth = read_truth(boxes, labels)
    assert truth.classes.tolist() == ["/m/a", "/m/aa", "/m/b"]
    assert truth.image_ids.tolist() == [255, 0xF000000000000000]
    assert truth.labels.tolist() == [2, 0]
    assert truth.boxes.tolist() == [[0.1, 0.3, 0.2, 0.4], [0, 0.5, 1, 0.5]]
    assert truth.group_of.tolist() == [False, True]
    assert truth.verified_image_ids.tolist() == [255, 255]
    assert truth.verified_labels.tolist() == [2, 1]
    assert truth.present.tolist() == [True, False]


def test_the_official_files_with_more_columns(write: Write) -> None:
    boxes = write(
        "boxes", OFFICIAL_BOXES, *(f"{ID},xclick,/m/a,1,0.1,0.2,0.3,0.4,1,-1,{group},0,0" for group in (-1, 0, 1))
    )
    labels = write("labels", "ImageID,Source,LabelName,Confidence", f"{ID},verification,/m/a,1")
    truth = read_truth(boxes, labels)
    assert truth.group_of.tolist() == [False, False, True]  # -1 is for unknown
    assert truth.boxes[0].tolist() == [0.1, 0.3, 0.2, 0.4]
    assert truth.present.tolist() == [True]


def test_no_image_labels_but_no_truth_without_boxes(write: Write) -> None:
    boxes = write("boxes", BOXES, f"{ID},/m/b,0.1,0.2,0.3,0.4,0")
    assert len(read_truth(boxes, write("labels", LABELS)).present) == 0
    with pytest.raises(FormatError, match="it contains no boxes"):
        read_truth(write("none", BOXES), write("labels", LABELS, f"{ID},/m/b,1"))


@pytest.mark.parametrize(
    ("fields", "field", "message"),
    [
        ("/m/b,0.3,0.2,0.3,0.4,0", "XMax", "'0.2' is less than XMin; give the smaller value first"),
        ("/m/b,0.1,0.2,0.5,0.4,0", "YMax", "'0.4' is less than YMin"),
        ("/m/b,-0.1,0.2,0.3,0.4,0", "XMin", "'-0.1' is outside the image; give shares of the image's width"),
        ("/m/b,0.1,0.2,0.3,1.01,0", "YMax", "'1.01' is outside the image"),
        ("/m/b,0.1,0.2,0.3,0.4,2", "IsGroupOf", "'2.0' is none of 0, 1, -1"),
        ("/m/b,0.1,0.2,0.3,0.4,yes", "IsGroupOf", "'yes' is not a finite number"),
    ],
)
def test_a_wrong_box_is_named(write: Write, fields: str, field: str, message: str) -> None:
    boxes = write("boxes", BOXES, f"{ID},/m/b,0.1,0.2,0.3,0.4,0", f"{ID},{fields}")
    with pytest.raises(FormatError) as caught:
        read_truth(boxes, write("labels", LABELS))
    assert str(caught.value).startswith(f"{boxes}, line 3, field '{field}': {message}")


def test_labels_that_nobody_verified_are_named(write: Write) -> None:
    boxes = write("boxes", BOXES, f"{ID},/m/b,0.1,0.2,0.3,0.4,0")
    labels = write("labels", LABELS, f"{ID},/m/b,1", f"{ID},/m/b,0.7")
    with pytest.raises(FormatError, match=r"line 3, field 'Confidence': '0.7' is none of 0, 1; write one of 0, 1"):
        read_truth(boxes, labels)


def test_predictions_may_stick_out_but_are_no_pixels(write: Write) -> None:
    found = read_boxes(write("found", PREDICTIONS, f"{ID},/m/b,7.5,-0.01,1.01,0,0.5"))
    assert found.boxes.tolist() == [[-0.01, 0, 1.01, 0.5]]
    assert found.scores.tolist() == [7.5]
    with pytest.raises(FormatError, match=r"line 2, field 'XMax': '640.0' is far outside the image; give shares"):
        read_boxes(write("pixels", PREDICTIONS, f"{ID},/m/b,0.5,0,640,0,480"))


def test_predictions_of_given_classes(write: Write) -> None:
    path = write("found", PREDICTIONS, f"{ID},/m/b,0.5,0,1,0,1", f"{ID},/m/a,0.5,0,1,0,1")
    classes = np.array(["/m/c", "/m/b", "/m/a"])
    found = read_boxes(path, classes)
    assert found.classes.tolist() == classes.tolist()
    assert found.labels.tolist() == [1, 2]
    assert read_boxes(path).labels.tolist() == [1, 0]
    with pytest.raises(FormatError, match="line 3, field 'LabelName': '/m/a' is not one of the classes"):
        read_boxes(path, classes[:2])


def test_no_predictions(write: Write) -> None:
    assert read_boxes(write("found", PREDICTIONS)).scores.tolist() == []
    assert read_boxes(write("found", PREDICTIONS), np.array(["/m/a"])).classes.tolist() == ["/m/a"]


FLOATS = st.floats(-0.5, 1.5, allow_subnormal=True)


@given(st.lists(st.tuples(st.integers(0, 2**64 - 1), st.integers(0, 2), FLOATS, FLOATS, FLOATS), max_size=9))
def test_predictions_come_back_exactly(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[int, int, float, float, float]]
) -> None:
    corners = np.array([[*sorted(row[2:4]), *sorted(row[3:5])] for row in rows]).reshape(-1, 4)[:, [0, 2, 1, 3]]
    written = Detections(
        image_ids=np.array([row[0] for row in rows], np.uint64),
        labels=np.array([row[1] for row in rows], np.int32),
        scores=np.array([row[2] * 1e3 for row in rows], np.float64),
        boxes=corners,
        classes=np.array(["/m/b", "/m/a", "with, comma"]),
    )
    path = tmp_path_factory.mktemp("found") / "predictions.csv"
    write_detections_csv(path, written)
    read = read_boxes(path, written.classes)
    for name in ("image_ids", "labels", "scores", "boxes"):
        assert getattr(read, name).tolist() == getattr(written, name).tolist()


def test_predictions_can_be_appended(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(detection_files, "_WRITE_ROWS", 2)
    found = read_boxes(write("found", PREDICTIONS, *(f"{ID},/m/b,0.{row},0,1,0,1" for row in range(1, 6))))
    chunks = list(detection_lines(found))
    assert [chunk.count(b"\n") for chunk in chunks] == [2, 2, 1]
    path = write("appended", DETECTIONS_HEADER.strip())
    for chunk in chunks:
        with path.open("ab") as file:
            file.write(chunk)
    assert read_boxes(path).scores.tolist() == found.scores.tolist()
