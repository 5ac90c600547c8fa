from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from landmarks.data import PhotoFolder, Source
from landmarks.errors import LandmarksError

Write = Callable[[dict[str, int]], Path]


def test_truth_says_what_the_folders_say(photo_folder: Write) -> None:
    root = photo_folder({"Arch": 20, "Bridge": 25, "Castle": 3, "non-landmark": 12})
    photos = PhotoFolder(root)
    source: Source = photos
    source.prepare()
    place = {int(i): photos.train().store.path(int(i)).parent.name for i in _all_ids(photos)}
    assert sorted(place.values()).count("Bridge") == 25 and len(place) == 60

    train = source.train().table
    assert train.landmark_names.tolist() == ["Arch", "Bridge", "Castle"]
    assert [train.landmark_names[m] for m in train.landmarks] == [place[int(i)] for i in train.ids]
    index = {int(i): place[int(i)] for i in source.index().table.ids}
    truth = source.truth()
    retrieval, recognition = truth.retrieval, truth.recognition
    assert retrieval is not None and recognition is not None
    for query, start, end in zip(
        retrieval.query_ids, retrieval.positives_start, retrieval.positives_start[1:], strict=False
    ):
        expected = {i for i, name in index.items() if name == place[int(query)]}
        assert set(retrieval.positives[start:end].tolist()) == expected != set()
    assert {place[int(i)] for i in retrieval.ignored_ids} == {"non-landmark"}
    for query, start, end in zip(
        recognition.image_ids, recognition.landmarks_start, recognition.landmarks_start[1:], strict=False
    ):
        names = [train.landmark_names[m] for m in recognition.landmarks[start:end]]
        assert names == ([] if place[int(query)] == "non-landmark" else [place[int(query)]])
    assert recognition.image_ids.tolist() == source.queries().table.ids.tolist()
    assert source.queries().table.landmarks.max() == -1
    assert abs(int(retrieval.public.sum()) * 2 - len(retrieval.public)) <= 1
    assert abs(int(recognition.public.sum()) * 2 - len(recognition.public)) <= 2
    numbers = np.array([2, -1, 0], dtype=np.int32)
    assert source.submission_landmark(numbers).tolist() == [2, -1, 0]


def _all_ids(photos: PhotoFolder) -> np.ndarray:
    sets = (photos.train(), photos.index(), photos.queries())
    ids = np.concatenate([images.table.ids for images in sets])
    assert len(np.unique(ids)) == len(ids), "a picture is in two splits"
    assert all(images.present.all() for images in sets)
    return ids


def test_too_few_pictures_to_evaluate(photo_folder: Write) -> None:
    with pytest.raises(LandmarksError, match=r"no landmark has enough pictures .*\(5 pictures of 2 landmarks\)"):
        PhotoFolder(photo_folder({"Arch": 2, "Bridge": 3})).prepare()


@pytest.mark.parametrize(("index", "query"), [(0.0, 0.2), (0.3, 0.0), (0.7, 0.3), (-0.1, 0.5)])
def test_shares_that_leave_nothing(tmp_path: Path, index: float, query: float) -> None:
    with pytest.raises(LandmarksError, match="leave a rest"):
        PhotoFolder(tmp_path, index_share=index, query_share=query)
