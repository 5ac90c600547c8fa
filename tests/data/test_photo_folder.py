import os
import shutil
import socket
import unicodedata
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from landmarks.data import EvalDataset, ImageSet, PhotoFolder, Preprocessing, Source, Unreadable, photo_files
from landmarks.data import photo_folder as module
from landmarks.errors import LandmarksError

Write = Callable[[dict[str, int]], Path]


def test_ground_truth_follows_the_folders(photo_folder: Write) -> None:
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
    assert len(np.unique(ids)) == len(ids), "an image is in two splits"
    assert all(images.present.all() for images in sets)
    return ids


def test_too_few_images_to_evaluate(photo_folder: Write) -> None:
    with pytest.raises(LandmarksError, match=r"no landmark has enough images .*\(5 images of 2 landmarks\)"):
        PhotoFolder(photo_folder({"Arch": 2, "Bridge": 3})).prepare()


@pytest.mark.parametrize(("index", "query"), [(0.0, 0.2), (0.3, 0.0), (0.7, 0.3), (-0.1, 0.5)])
def test_shares_that_leave_no_training_images(tmp_path: Path, index: float, query: float) -> None:
    with pytest.raises(LandmarksError, match="leave images"):
        PhotoFolder(tmp_path, index_share=index, query_share=query)


def sets_of(root: Path) -> dict[str, ImageSet]:
    photos = PhotoFolder(root)
    return {"train": photos.train(), "index": photos.index(), "query": photos.queries()}


def by_path(root: Path) -> dict[str, str]:
    """The split of each image."""
    return {
        images.store.path(int(i)).relative_to(root).as_posix(): name  # type: ignore[attr-defined]
        for name, images in sets_of(root).items()
        for i in images.table.ids
    }


def test_shares_are_about_as_asked(photo_folder: Write) -> None:
    sizes = np.array([len(images) for images in sets_of(photo_folder({"Arch": 400})).values()])
    assert np.abs(sizes / 400 - [0.5, 0.3, 0.2]).max() < 0.08


def test_split_stays_when_images_are_added_and_the_folder_is_moved(photo_folder: Write) -> None:
    before = by_path(photo_folder({"Arch": 20, "Bridge": 30}))
    root = photo_folder({"Arch": 26, "Aqueduct": 9, "Bridge": 45})
    after = by_path(root)
    assert len(after) == 80
    assert {path: after[path] for path in before} == before
    assert by_path(root.rename(root.parent / "moved")) == after


def test_accents_hash_alike_however_they_are_written(tmp_path: Path) -> None:
    splits = []
    for form in ("NFC", "NFD"):
        folder = tmp_path / form / unicodedata.normalize(form, "Château")
        folder.mkdir(parents=True)
        for i in range(12):
            (folder / f"{i}.jpg").write_bytes(b"")
        splits.append({name: images.table.ids.tolist() for name, images in sets_of(tmp_path / form).items()})
    assert splits[0] == splits[1] and len(splits[0]["train"]) < 12


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 8, 11])
def test_each_landmark_can_be_learned_and_its_queries_answered(photo_folder: Write, count: int) -> None:
    parts = by_path(photo_folder({f"place {i}": count for i in range(40)}))
    for landmark in range(40):
        splits = {split for path, split in parts.items() if path.startswith(f"place {landmark}/")}
        assert "train" in splits and ("query" not in splits or "index" in splits)
        assert count >= 4 or splits == {"train"}


def test_images_of_no_landmark_never_train(photo_folder: Write) -> None:
    root = photo_folder({"Arch": 10, "non-landmark": 30})
    others = [split for path, split in by_path(root).items() if path.startswith("non-landmark/")]
    assert len(others) == 30 and set(others) == {"index", "query"}
    assert sets_of(root)["index"].table.landmark_names.tolist() == ["Arch"]


def test_images_are_recognised_by_suffix(photo_folder: Write, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    root = photo_folder({"Arch": 2, "Arch/2019/May": 1, ".trash": 3, "Empty": 0})
    for name in ("Arch/b.PNG", "Arch/c.webp", "Arch/d.jpeg", "Arch/.e.jpg", "Arch/f.txt", "loose.jpg"):
        (root / name).write_bytes(b"")
    album = tmp_path / "album"
    album.mkdir()
    (album / "x.jpg").write_bytes(b"")
    (root / "Linked").symlink_to(album)
    (root / "Arch/up").symlink_to(root / "Arch")  # leads in a circle
    assert sorted(by_path(root)) == [
        "Arch/000.jpg",
        "Arch/001.jpg",
        "Arch/2019/May/000.jpg",
        "Arch/b.PNG",
        "Arch/c.webp",
        "Arch/d.jpeg",
        "Linked/x.jpg",
    ]
    assert "1 images are in no landmark's folder" in caplog.text
    assert "1 folders hold no image, first 'Empty'" in caplog.text


def test_nothing_to_find(tmp_path: Path, photo_folder: Write) -> None:
    with pytest.raises(LandmarksError, match="is not a folder"):
        by_path(tmp_path / "nowhere")
    (tmp_path / "loose.jpg").write_bytes(b"")
    with pytest.raises(LandmarksError, match="no folder with images"):
        by_path(tmp_path)
    with pytest.raises(LandmarksError, match="no folder with images"):
        by_path(photo_folder({"non-landmark": 3}))


def test_two_images_with_one_id_are_named(photo_folder: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_digest", lambda key, purpose: 7)
    with pytest.raises(LandmarksError, match=r"000\.jpg and .*001\.jpg get the same id"):
        by_path(photo_folder({"Arch": 2}))


def test_all_formats_are_taken_and_the_rest_is_counted_in_one_warning(
    photo_folder: Write, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(photo_files, "heif_is_read", lambda: False)
    root = photo_folder({"Arch": 1, "Bridge": 1})
    names = ["a.gif", "b.BMP", "c.tif", "d.tiff", "e.jfif", "f.JPE", "g.avif", "h.jpg "]
    for name in [*names, "i.HEIC", "j.heic", "k.mov", "notes", "._l.jpg"]:
        (root / "Arch" / name).write_bytes(b"")
    (root / "Bridge" / "m.mov").write_bytes(b"")
    assert set(by_path(root)) == {"Arch/000.jpg", "Bridge/000.jpg", *(f"Arch/{name}" for name in names)}
    (message,) = (record.getMessage() for record in caplog.records if "known format" in record.getMessage())
    assert "5 files are not images" in message and "2 .heic, 2 .mov, 1 without a suffix" in message
    assert "pip install 'landmarks[heif]'" in message
    monkeypatch.setattr(photo_files, "heif_is_read", lambda: True)
    assert {"Arch/i.HEIC", "Arch/j.heic"} <= set(by_path(root))


def test_pipes_and_broken_links_are_named_and_never_opened(
    photo_folder: Write, caplog: pytest.LogCaptureFixture
) -> None:
    root = photo_folder({"Arch": 2})
    os.mkfifo(root / "Arch" / "pipe.jpg")
    (root / "Arch" / "to_pipe.jpg").symlink_to("pipe.jpg")
    (root / "Arch" / "zero.jpg").symlink_to("/dev/zero")
    (root / "Arch" / "gone.jpg").symlink_to("nowhere.jpg")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(root / "Arch" / "a\nsocket.jpg"))  # the system knows no long names of sockets
    assert set(by_path(root)) == {"Arch/000.jpg", "Arch/001.jpg"}
    (message,) = (record.getMessage() for record in caplog.records if "left out" in record.getMessage())
    names = ("a\\nsocket", "gone", "pipe", "to_pipe", "zero")
    assert message.startswith(f"{root}: 5 left out") and ", ".join(f"Arch/{name}.jpg" for name in names) in message


@pytest.mark.parametrize("folders", [["train", "test"], ["Train", "val", "Arch"], ["train"], ["query", "non-landmark"]])
def test_splits_are_not_taken_for_landmarks(photo_folder: Write, folders: list[str]) -> None:
    root = photo_folder({f"{split}/{landmark}": 5 for split in folders for landmark in ("Arch", "Bridge")})
    with pytest.raises(LandmarksError, match=rf"splits, not landmarks.*data.root={root}/{folders[0]}") as refused:
        PhotoFolder(root).prepare()
    if folders == ["train", "test"]:
        assert f"data.source.queries={root}/test data.source.index={root}/train" in str(refused.value)


def test_images_in_two_splits_are_reported(photo_folder: Write, caplog: pytest.LogCaptureFixture) -> None:
    root = photo_folder({"Arch": 20, "Bridge": 20})
    for number, path in enumerate(sorted(root.rglob("*.jpg"))):
        path.write_bytes(bytes([number]) * 10)
    PhotoFolder(root).prepare()
    assert "in several splits" not in caplog.text
    split = by_path(root)
    splits = ("train", "index", "query")
    train, index, query = (next(path for path, part in split.items() if part == wanted) for wanted in splits)
    (root / query).write_bytes((root / train).read_bytes())
    (root / index).unlink()
    (root / index).symlink_to(root / train)
    PhotoFolder(root).prepare()
    assert "1 images are in several splits, as links to one file or byte for byte" in caplog.text
    assert f"{train} (train) and {index} (index)" in caplog.text


def test_bad_images_are_named_by_path(photo_folder: Write) -> None:
    root = photo_folder({"Arch": 20, "Bridge": 20})
    images = PhotoFolder(root).train()
    (root / images.path(0)).write_bytes(b"no image")
    unreadable = EvalDataset(images, [Preprocessing("square", 32)])[0]
    assert isinstance(unreadable, Unreadable)
    path = images.path(0)
    assert (root / path).is_file() and unreadable.reason.startswith(f"image {path} ({unreadable.image_id}): ")


def answers(source: PhotoFolder) -> dict[str, set[str]]:
    """Which index images each query should find, by name."""
    truth, index, queries = source.truth().retrieval, source.index(), source.queries()
    assert truth is not None
    path = {int(i): images.path(row) for images in (index, queries) for row, i in enumerate(images.table.ids)}
    starts = truth.positives_start
    return {
        path[int(query)]: {path[int(i)] for i in truth.positives[starts[row] : starts[row + 1]]}
        for row, query in enumerate(truth.query_ids)
    }


def test_given_folders_of_queries_and_index(photo_folder: Write, tmp_path: Path) -> None:
    root = photo_folder(
        {"Arch": 3, "Bridge": 3, "test/Arch": 2, "test/Castle": 1, "test/non-landmark": 2, "db/Arch": 1, "db/Bridge": 2}
    )
    source = PhotoFolder(root, queries=root / "test", index=root / "db")
    source.prepare()
    assert source.train().table.landmark_names.tolist() == ["Arch", "Bridge"] and len(source.train()) == 6
    assert (len(source.index()), len(source.queries())) == (3, 5)
    assert answers(source) == {f"test/Arch/00{n}.jpg": {"db/Arch/000.jpg"} for n in range(2)}
    truth = source.truth()
    assert truth.retrieval is not None and len(truth.retrieval.ignored_ids) == 3
    assert truth.recognition is not None and truth.recognition.landmarks.tolist() == [0, 0]
    assert len(truth.recognition.image_ids) == 5

    elsewhere = PhotoFolder(root / "db", queries=root / "test", index=root / "db")
    elsewhere.prepare()
    assert elsewhere.train().table.ids.tolist() == elsewhere.index().table.ids.tolist(), "what trains is the index"
    for folder in ("Arch", "Bridge"):
        shutil.rmtree(root / folder)
    only = PhotoFolder(root, queries=root / "test", index=root / "db")
    only.prepare()
    assert len(only.train()) == 3 and only.train().table.landmark_names.tolist() == ["Arch", "Bridge"]


def test_given_folders_that_cannot_be_used(photo_folder: Write) -> None:
    root = photo_folder({"Arch": 3, "test/Castle": 1, "db/Bridge": 2})
    with pytest.raises(LandmarksError, match="give queries and index"):
        PhotoFolder(root, queries=root / "test")
    with pytest.raises(LandmarksError, match=r"data\.source\.index=.*nowhere is not a folder"):
        PhotoFolder(root, queries=root / "test", index=root / "nowhere").prepare()
    with pytest.raises(LandmarksError, match="no query shows a landmark of the index"):
        PhotoFolder(root, queries=root / "test", index=root / "db").prepare()
    with pytest.raises(LandmarksError, match="is a query and in the index"):
        PhotoFolder(root, queries=root / "db", index=root / "db").prepare()


def test_a_table_of_path_landmark_and_split(photo_folder: Write, tmp_path: Path) -> None:
    root = photo_folder({"all": 9})
    rows = ["path,landmark,split"] + [f"all/00{n}.jpg,Arch,train" for n in range(3)]
    rows += ["all/003.jpg,Arch,index", "all/004.jpg,Bridge,index", "all/005.jpg,,index"]
    rows += ["all/006.jpg,Arch,query", "all/007.jpg,Bridge,query", "all/008.jpg,,query"]
    table = tmp_path / "split.csv"

    def source(*more: str) -> PhotoFolder:
        table.write_text("\n".join([*rows, *more]) + "\n")
        return PhotoFolder(root, table=table)

    found = source()
    found.prepare()
    assert found.train().table.landmark_names.tolist() == ["Arch"] and found.index().table.landmarks.tolist() == [
        0,
        1,
        -1,
    ]
    assert answers(found) == {"all/006.jpg": {"all/003.jpg"}, "all/007.jpg": {"all/004.jpg"}}
    truth = found.truth().recognition
    assert truth is not None and truth.has_landmark.tolist() == [True, False, False], "nothing trains Bridge"
    for line, message in (
        ("all/000.jpg,Arch,dev", "line 11.*'dev' is not a split.*train, index, query"),
        ("all/000.jpg,,train", "is not a landmark to train on"),
        ("all/900.jpg,Arch,train", r"'all/900.jpg' is not a file in .*data\.root"),
        (f"all/{'9' * 300}.jpg,Arch,train", r"is not a file in .*data\.root"),
        ("all/000.jpg,Arch,train", "is already in the same split"),
        ("./all/000.jpg,Arch,train", "line 11.*'./all/000.jpg' is an image that is already in the same split"),
        (f"{root}/all/000.jpg,Arch,train", "line 11.*is already in the same split"),
        ("all/../all/000.jpg,Arch,train", "line 11.*is already in the same split"),
    ):
        with pytest.raises(LandmarksError, match=message):
            source(line).prepare()
