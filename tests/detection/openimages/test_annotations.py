import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from landmarks.detection.openimages import BoxFlag, BoxRows, expand_rows, read_box_rows, read_label_rows, repeated_rows
from landmarks.errors import LandmarksError

NAMES = np.array(["/m/tower", "/m/dog"])
HEADER = "ImageID,LabelName,XMin,XMax,YMin,YMax,IsGroupOf\n"
SOUND = "0000000000000002,/m/dog,0.1,0.2,0.3,0.4,0\n"

BAD = {
    "of an unknown class": "/m/cat,0.1,0.2,0.3,0.4,0",
    "XMin > XMax": "/m/dog,0.3,0.2,0.3,0.4,0",
    "YMin > YMax": "/m/dog,0.1,0.2,0.4,0.3,0",
    "without area": "/m/dog,0.2,0.2,0.3,0.4,0",
    "outside the image": "/m/dog,1.1,1.2,0.3,0.4,0",
    "a repetition": "/m/dog,0.1,0.2,0.3,0.4,0",
}

ROWS = st.lists(st.tuples(*[st.integers(0, 1)] * 6), max_size=40)
KINDS = np.array(["/m/a", "/m/b", "/m/c"])
ANCESTORS = {"/m/a": ("/m/b", "/m/c", "/m/unlisted"), "/m/b": ("/m/c",), "/m/c": ()}


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "boxes.csv"
    path.write_text(text)
    return path


def test_rows_come_by_image_with_their_flags(tmp_path: Path) -> None:
    text = (
        "YMax,ImageID,Source,IsDepiction,LabelName,XMin,XMax,YMin,IsGroupOf,IsInside\n"
        "0.4,0000000000000002,x,-1,/m/dog,0.1,0.2,0.3,1,1\n"
        "\n"
        "1.0,0000000000000001,x,1,/m/tower,0,1,0.5,0,0\n"
        "0.5,0000000000000002,x,0,/m/tower,0.1,0.2,0.3,0,0\n"
    )
    rows = read_box_rows(write(tmp_path, text), NAMES, "error")
    assert rows.ids.tolist() == [1, 2, 2] and rows.labels.tolist() == [0, 1, 0]
    assert rows.boxes.dtype == np.float32
    np.testing.assert_array_equal(rows.boxes[0], [0, 0.5, 1, 1])
    assert rows.flags.tolist() == [BoxFlag.IsDepiction, BoxFlag.IsGroupOf | BoxFlag.IsInside, 0]
    assert rows.doubtful.tolist() == []


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_row_is_counted_or_refused(tmp_path: Path, caplog: pytest.LogCaptureFixture, kind: str) -> None:
    path = write(tmp_path, HEADER + SOUND + f"0000000000000002,{BAD[kind]}\n" * 2)
    with caplog.at_level(logging.WARNING):
        rows = read_box_rows(path, NAMES, "skip")
    assert rows.ids.tolist() == [2] and rows.labels.tolist() == [1]
    (message,) = caplog.messages
    assert f"{path}: 2 of 3 boxes left out: 2 " in message and kind in message
    assert "0000000000000002" in message
    if kind != "a repetition":
        assert "first line 3 (" in message and rows.doubtful.tolist() == [2]
    with pytest.raises(LandmarksError, match=kind) as caught:
        read_box_rows(path, NAMES, "error")
    assert "correct it, or leave such rows out with data.source.bad_boxes=skip" in str(caught.value)


def test_one_line_tells_of_all_kinds(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    lines = [f"{number:016x},{fields}\n" for number, fields in enumerate(BAD.values(), start=5)]
    read_box_rows(write(tmp_path, HEADER + SOUND + "".join(lines)), NAMES, "skip")
    (message,) = caplog.messages
    assert "5 of 7 boxes left out: 1 of an unknown class" in message  # the last is no repetition: another image
    assert "2 a box with XMin > XMax or YMin > YMax, first line 4" in message


def test_a_box_that_stands_out_is_cut_or_refused(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write(tmp_path, HEADER + SOUND + "0000000000000003,/m/dog,-0.1,0.5,0.5,1.25,0\n")
    rows = read_box_rows(path, NAMES, "skip")
    np.testing.assert_array_equal(rows.boxes[1], [0, 0.5, 0.5, 1])
    assert "1 of 2 boxes corrected: 1 a box that extends beyond the image, first line 3" in caplog.text
    with pytest.raises(LandmarksError, match=r"line 3 .* extends beyond the image"):
        read_box_rows(path, NAMES, "error")


def test_for_scoring_corners_are_exact_and_repetitions_stay(tmp_path: Path) -> None:
    rows = read_box_rows(write(tmp_path, HEADER + SOUND + SOUND), NAMES, "error", exact=True)
    assert rows.boxes.dtype == np.float64 and rows.boxes.tolist() == [[0.1, 0.3, 0.2, 0.4]] * 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file is empty"),
        (HEADER, "it contains no boxes"),
        ("ImageID,LabelName,XMin,XMax,YMin,YMax\n", "'IsGroupOf' is missing"),
        (HEADER + SOUND + "0000000000000002,/m/dog,left,0.2,0.3,0.4,0\n", "line 3, field 'XMin'"),
        (HEADER + SOUND + "0000000000000002,/m/dog,0.1,0.2,0.3,0.4,2\n", "line 3, field 'IsGroupOf'"),
        (HEADER + SOUND + "000000000000000G,/m/dog,0.1,0.2,0.3,0.4,0\n", "line 3, field 'ImageID'"),
    ],
)
def test_what_is_no_table_of_boxes(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(LandmarksError, match=message):
        read_box_rows(write(tmp_path, text), NAMES, "skip")


def test_flags_that_are_asked_for_must_be_there(tmp_path: Path) -> None:
    path = write(tmp_path, HEADER + SOUND)
    with pytest.raises(LandmarksError, match="'IsDepiction' is missing"):
        read_box_rows(path, NAMES, "skip", [BoxFlag.IsDepiction])
    with pytest.raises(LandmarksError, match=r"absent\.csv: cannot be read"):
        read_box_rows(tmp_path / "absent.csv", NAMES, "skip")


def test_image_labels(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "labels.csv"
    header = "ImageID,Source,LabelName,Confidence\n"
    sound = "0000000000000002,verification,/m/dog,1\n0000000000000001,verification,/m/tower,0\n"
    path.write_text(header + sound + "0000000000000001,verification,/m/cat,0\n")
    rows = read_label_rows(path, NAMES, "skip")
    assert (rows.ids.tolist(), rows.labels.tolist(), rows.present.tolist()) == ([2, 1], [1, 0], [True, False])
    assert "1 of 3 image-level labels left out: 1 of an unknown class, first line 4" in caplog.text
    with pytest.raises(LandmarksError, match=r"line 4 .* is of an unknown class"):
        read_label_rows(path, NAMES, "error")
    path.write_text(header + sound + "0000000000000001,machine,/m/dog,0.7\n")
    with pytest.raises(LandmarksError, match=r"line 4, field 'Confidence': '0\.7' is neither 0 nor 1"):
        read_label_rows(path, NAMES, "skip")
    path.write_text(header)
    with pytest.raises(LandmarksError, match="it contains no labels"):
        read_label_rows(path, NAMES, "skip")


def test_a_file_of_many_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, box_row: Callable[..., str]) -> None:
    rng = np.random.default_rng(0)
    ids = rng.permutation(np.repeat(np.arange(200), 3))
    boxes = np.sort(rng.integers(0, 1000, (600, 2, 2)), axis=1).reshape(600, 4) / 1000
    boxes[:, 2:] += 0.0005
    lines = [box_row(i, NAMES[i % 2], box) for i, box in zip(ids.tolist(), boxes.tolist(), strict=True)]
    header = "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsOccluded,IsTruncated,IsGroupOf,IsDepiction"
    path = write(tmp_path, "\n".join([f"{header},IsInside", *lines]))
    whole = read_box_rows(path, NAMES, "error", exact=True)
    monkeypatch.setattr("landmarks.storage.csv.BLOCK_BYTES", 4000)
    parts = read_box_rows(path, NAMES, "error", exact=True)
    for name in ("ids", "labels", "boxes", "flags"):
        np.testing.assert_array_equal(getattr(whole, name), getattr(parts, name))
    order = np.argsort(ids, kind="stable")
    np.testing.assert_array_equal(whole.boxes, boxes[order])
    assert (whole.ids == ids[order]).all() and (whole.labels == ids[order] % 2).all()


@given(rows=ROWS)
def test_every_row_but_the_first_of_its_like(rows: list[tuple[int, ...]]) -> None:
    array = np.array(rows, dtype=np.int64).reshape(-1, 6)
    seen: set[tuple[int, ...]] = set()
    expected = [row in seen or seen.add(row) is not None for row in rows]
    found = repeated_rows(array[:, 0].astype(np.uint64), array[:, 1].astype(np.int32), array[:, 2:].astype(np.float32))
    assert found.tolist() == expected


@given(labels=st.lists(st.integers(0, 2), max_size=20))
def test_boxes_become_those_of_their_ancestors_too(labels: list[int]) -> None:
    count = len(labels)
    boxes = np.tile(np.arange(count, dtype=np.float32)[:, None], (1, 4))
    rows = BoxRows(
        np.arange(count, dtype=np.uint64) // 2,
        np.array(labels, dtype=np.int32),
        boxes,
        np.arange(count, dtype=np.uint8),
        np.empty(0, np.uint64),
    )
    expanded = expand_rows(rows, KINDS, ANCESTORS)
    expected = [(row, label) for row, first in enumerate(labels) for label in range(first, 3)]
    assert list(zip(expanded.flags.tolist(), expanded.labels.tolist(), strict=True)) == expected
    assert expanded.ids.tolist() == [row // 2 for row, _ in expected]
    assert expanded.boxes[:, 3].tolist() == [row for row, _ in expected]
