import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from landmarks import ids as ids_module
from landmarks.data import ImageTable
from landmarks.errors import LandmarksError


def table(ids: list[int], landmarks: list[int], names: list[str]) -> ImageTable:
    return ImageTable(
        np.array(ids, dtype=np.uint64), np.array(landmarks, dtype=np.int32), np.array(names, dtype=np.str_)
    )


def named(images: ImageTable) -> dict[int, str | None]:
    """What a table says, without its numbering."""
    return {
        int(i): (str(images.landmark_names[m]) if m >= 0 else None)
        for i, m in zip(images.ids, images.landmarks, strict=True)
    }


def test_counts_leave_out_images_without_landmark() -> None:
    images = table([9, 4, 7, 1], [1, -1, 1, 0], ["a", "b", "c"])
    assert images.counts().tolist() == [1, 2, 0]
    assert (len(images), images.num_landmarks) == (4, 3)


@pytest.mark.parametrize(
    ("ids", "landmarks", "names", "message"),
    [
        ([1, 2, 1], [0, 0, 0], ["a"], "occur more than once, first 0000000000000001"),
        ([1, 2], [0, 1], ["a"], r"\[-1, 1\)"),
        ([1, 2], [0, -2], ["a"], r"\[-1, 1\)"),
        ([1, 2], [0], ["a"], "2,"),
        ([1, 2], [0, 1], ["a", "a"], "name occurs twice"),
    ],
)
def test_contradictions_are_refused(ids: list[int], landmarks: list[int], names: list[str], message: str) -> None:
    with pytest.raises(LandmarksError, match=message):
        table(ids, landmarks, names)


def test_labelled_keeps_names_with_their_images() -> None:
    images = table([1, 2, 3, 4, 5, 6], [2, 0, -1, 2, 3, 3], ["a", "b", "c", "d"])
    kept = images.labelled(min_images=2)
    assert named(kept) == {1: "c", 4: "c", 5: "d", 6: "d"}
    assert kept.landmark_names.tolist() == ["c", "d"]
    assert images.labelled().landmark_names.tolist() == ["a", "c", "d"]


def test_joined_never_merges_landmarks() -> None:
    first = table([1, 2], [0, 1], ["5", "8"])
    second = table([3, 4, 5], [1, -1, 0], ["index:5", "index:8"])
    both = first.joined(second)
    assert named(both) == {1: "5", 2: "8", 3: "index:8", 4: None, 5: "index:5"}
    assert both.num_landmarks == 4
    with pytest.raises(LandmarksError, match="twice"):
        first.joined(table([3], [0], ["5"]))  # the same name in both spaces


@given(st.data())
def test_taken_rows_keep_what_belongs_together(data: st.DataObject) -> None:
    images = table([9, 4, 7, 1, 30], [1, -1, 1, 0, 2], ["a", "b", "c"]).located(np.arange(5, dtype=np.int32))
    rows = data.draw(st.lists(st.integers(-5, 4), unique_by=lambda row: row % 5))
    chosen = np.isin(np.arange(5), np.array(rows, dtype=np.int64) % 5)
    everything = named(images)
    for taken in (images.take(np.array(rows, dtype=np.int64)), images.take(chosen)):
        assert named(taken) == {int(images.ids[row]): everything[int(images.ids[row])] for row in rows}
        assert taken.locations is not None and (images.ids[taken.locations] == taken.ids).all()


def test_a_row_is_taken_once() -> None:
    images = table([9, 4, 7], [1, -1, 0], ["a", "b"])
    for rows in ([0, 2, 0], [2, -1]):
        with pytest.raises(LandmarksError, match="more than once"):
            images.take(np.array(rows))


def test_locations_are_one_each() -> None:
    with pytest.raises(LandmarksError, match=r"\(2,\) ids but \(3,\) locations"):
        table([1, 2], [0, 0], ["a"]).located(np.zeros(3, np.int32))


def test_labelled_copies_nothing_where_all_stay() -> None:
    images = table([1, 2, 3], [1, 0, 1], ["a", "b"])
    assert images.labelled() is images
    assert named(images.labelled(2)) == {1: "b", 3: "b"}


@given(st.lists(st.integers(0, 50), unique=True), st.lists(st.integers(0, 50)))
def test_find_agrees_with_a_dictionary(ids: list[int], wanted: list[int]) -> None:
    rows = {number: row for row, number in enumerate(ids)}
    images = ImageTable.unlabelled(np.array(ids, dtype=np.uint64))
    expected = [rows.get(number, -1) for number in wanted]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ids_module, "FIND_BLOCK", 7)
        assert images.find(np.array(wanted, dtype=np.uint64)).tolist() == expected
