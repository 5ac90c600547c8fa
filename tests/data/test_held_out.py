import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from landmarks.data import HeldOut, HeldOutSource, ImageSet, ImageTable, PhotoFolder, Source, hold_out
from landmarks.data.gldv2 import GLDv2
from landmarks.data.stores import FolderStore
from landmarks.errors import LandmarksError


def images(counts: list[int], order: np.ndarray | None = None) -> ImageSet:
    """Landmark number n has counts[n] images; id = 1000 n + number of the image."""
    ids = np.concatenate(
        [np.empty(0, np.uint64), *(np.arange(c, dtype=np.uint64) + 1000 * n for n, c in enumerate(counts))]
    )
    labels = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
    names = np.array([f"{n}" for n in range(len(counts))])
    if order is not None:
        ids, labels = ids[order], labels[order]
    return ImageSet(ImageTable(ids, labels, names, np.zeros(len(ids), np.int32)), FolderStore("."))


def landmark_of(images: ImageSet) -> set[int]:
    return set((images.table.ids // 1000).tolist())


def ids(images: ImageSet) -> set[int]:
    return set(images.table.ids.tolist())


SIZES = st.builds(
    HeldOut,
    landmarks=st.integers(1, 4),
    queries=st.integers(1, 3),
    distractors=st.integers(0, 20),
    non_landmark=st.integers(0, 6),
    seed=st.integers(0, 3),
)


@given(counts=st.lists(st.integers(1, 9), min_size=14, max_size=20), size=SIZES, data=st.data())
def test_no_image_and_no_landmark_is_on_both_sides(counts: list[int], size: HeldOut, data: st.DataObject) -> None:
    whole = images(counts)
    try:
        parts = hold_out(whole, size)
    except LandmarksError:
        return
    held = landmark_of(parts.queries) | landmark_of(parts.index)
    assert not held & landmark_of(parts.train)
    assert not ids(parts.queries) & ids(parts.index)
    assert ids(parts.gallery) <= ids(parts.index)
    assert ids(parts.train) | ids(parts.queries) | ids(parts.index) <= ids(whole)
    # What remains is whole, and its label space holds nothing else.
    assert landmark_of(parts.train) == {int(name) for name in parts.train.table.landmark_names}
    assert len(parts.train) == sum(counts[n] for n in landmark_of(parts.train))

    asked = landmark_of(parts.gallery)
    assert {int(name) for name in parts.gallery.table.landmark_names} == asked and len(asked) == size.landmarks
    assert len(parts.queries) == size.landmarks * size.queries + size.non_landmark
    assert len(parts.index) == len(parts.gallery) + size.distractors
    assert (parts.queries.table.landmarks == -1).all()

    retrieval, recognition = parts.truth.retrieval, parts.truth.recognition
    assert retrieval is not None and recognition is not None
    assert len(retrieval.query_ids) == size.landmarks * size.queries
    for row, query in enumerate(retrieval.query_ids):
        found = retrieval.positives[retrieval.positives_start[row] : retrieval.positives_start[row + 1]]
        number = int(query) // 1000
        assert set(found.tolist()) == {i for i in ids(parts.index) if i // 1000 == number}
        assert len(found) == counts[number] - size.queries
    assert set(recognition.image_ids.tolist()) == ids(parts.queries)
    named = parts.gallery.table.landmark_names[recognition.landmarks].astype(int)
    assert (named == recognition.image_ids[recognition.has_landmark] // 1000).all()
    assert not set((recognition.image_ids[~recognition.has_landmark] // 1000).tolist()) & asked
    for public in (retrieval.public, recognition.public):
        assert abs(2 * int(public.sum()) - len(public)) <= 2

    # The same sets, whatever the order of the table; and the same again.
    order = np.array(data.draw(st.permutations(range(len(whole)))))
    for again in (hold_out(images(counts, order), size), hold_out(whole, size)):
        for name in ("train", "queries", "index", "gallery"):
            assert ids(getattr(again, name)) == ids(getattr(parts, name))
        assert again.truth.retrieval is not None
        public = dict(zip(retrieval.query_ids.tolist(), retrieval.public.tolist(), strict=True))
        assert (
            dict(zip(again.truth.retrieval.query_ids.tolist(), again.truth.retrieval.public.tolist(), strict=True))
            == public
        )


def test_another_seed_holds_out_others() -> None:
    whole = images([6] * 200)
    chosen = [landmark_of(hold_out(whole, HeldOut(20, 2, 30, 5, seed)).gallery) for seed in range(4)]
    assert len({frozenset(each) for each in chosen}) == 4


def test_the_choice_stays_when_other_landmarks_leave() -> None:
    whole = images([6] * 100)
    size = HeldOut(landmarks=10, distractors=40, non_landmark=10)
    before = hold_out(whole, size)
    gone = np.isin(whole.table.ids // 1000, sorted(landmark_of(before.train))[:30])
    after = hold_out(whole.take(~gone), size)
    assert ids(after.queries) == ids(before.queries) and ids(after.index) == ids(before.index)
    assert ids(after.train) == ids(before.train) - ids(whole.take(gone))


@pytest.mark.parametrize(
    ("size", "message"),
    [
        (HeldOut(9, 2, 0, 0), r"data\.held_out\.landmarks=9: only 6 of the 10 .* more than data\.held_out\.queries=2"),
        (
            HeldOut(2, 2, 99, 3),
            r"data\.held_out\.distractors=99 and data\.held_out\.non_landmark=3: the 8 .* images, and at least two",
        ),
        (HeldOut(2, 2, 24, 2), "at least two landmarks must remain"),
    ],
)
def test_too_much_is_named(size: HeldOut, message: str) -> None:
    whole = images([2, 2, 5, 5, 5, 5, 4, 4, 2, 2])
    with pytest.raises(LandmarksError, match=message):
        hold_out(whole, size)


@pytest.mark.parametrize(
    ("field", "value"), [("landmarks", -1), ("queries", 0), ("distractors", -1), ("non_landmark", -2)]
)
def test_impossible_sizes_are_named(field: str, value: int) -> None:
    with pytest.raises(LandmarksError, match=rf"data\.held_out\.{field} is {value}"):
        HeldOut(**{field: value})


def test_a_release_without_its_test_and_index_images_is_enough(tiny: Any) -> None:
    for folder in ("test", "index"):
        tiny.remove_tars(folder)
        tiny.csv(folder).unlink()
    source: Source = HeldOutSource(GLDv2(tiny.root, "train"), HeldOut(1, 1, 1, 0))
    source.prepare()
    index, gallery, truth = source.index(), source.gallery(), source.truth()
    assert len(source.queries()) == 1 and len(index) == len(gallery) + 1
    assert all(index.read(row).startswith(b"\xff\xd8") for row in range(len(index)))
    assert source.queries().read(0).startswith(b"\xff\xd8")
    assert truth.recognition is not None
    own = source.submission_landmark(gallery.table.landmarks, gallery.table.landmark_names)
    assert set(truth.recognition.landmarks.tolist()) <= set(own.tolist())
    assert len(pickle.loads(pickle.dumps(source)).train()) == len(source.train())
    with pytest.raises(LandmarksError, match="lacks"):
        GLDv2(tiny.root, "train").prepare()


def test_index_landmarks_can_be_held_out(tiny: Any) -> None:
    source = HeldOutSource(GLDv2(tiny.root, "train+index"), HeldOut(1, 1, 0, 0))
    assert source.submission_landmark(np.array([0, -1], np.int32), source.gallery().table.landmark_names).tolist() == [
        0,
        -1,
    ]
    assert len(source.truth().retrieval.query_ids) == 1  # type: ignore[union-attr]


def test_own_photographs_can_be_held_out(photo_folder: Callable[[dict[str, int]], Path]) -> None:
    root = photo_folder(dict.fromkeys(("Arch", "Bridge", "Castle", "Dome", "Elm"), 8))
    source = HeldOutSource(PhotoFolder(root, 0.1, 0.1), HeldOut(1, 2, 3, 1))
    source.prepare()
    assert len(source.queries()) == 3 and source.train().table.num_landmarks == 3
    (name,) = source.gallery().table.landmark_names
    index = source.index()
    shown = [index.store.path(int(i)).parent.name for i in index.table.ids]  # type: ignore[attr-defined]
    assert [mark >= 0 for mark in index.table.landmarks] == [folder == name for folder in shown]
