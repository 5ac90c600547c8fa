import csv
import hashlib
import json
import os
import signal
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from landmarks.data.demo.plan import Picture, Plan
from landmarks.data.demo.world import STAMP, DemoWorld, write_demo_world
from landmarks.data.images.decode import decode
from landmarks.data.source import Source
from landmarks.errors import LandmarksError
from landmarks.ids import format_ids

SMALL = {"seed": 3, "landmarks": 4, "pictures": 40}
cv2.setNumThreads(1)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("demo") / "world"
    write_demo_world(root, **SMALL, workers=0)
    return root


def rows(path: Path) -> list[dict[str, str]]:
    raw = path.read_bytes()
    assert raw.endswith(b"\r\n") and raw.count(b"\n") == raw.count(b"\r\n")
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def table(world: Path, name: str) -> list[dict[str, str]]:
    return rows(world / "metadata" / f"{name}.csv")


def content(root: Path) -> dict[str, str]:
    files = (p for p in root.rglob("*") if p.is_file())
    return {str(p.relative_to(root)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def test_tars_hold_what_the_tables_name(world: Path) -> None:
    for split in ("train", "index", "test"):
        names = []
        for path in sorted((world / split).iterdir()):
            digest, name = (world / "md5sum" / split / f"md5.{path.stem}.txt").read_text().split()
            assert name == path.name and digest == hashlib.md5(path.read_bytes()).hexdigest()
            with tarfile.open(path) as tar:
                for member in tar:
                    image_id = Path(member.name).stem
                    assert member.name == f"{image_id[0]}/{image_id[1]}/{image_id[2]}/{image_id}.jpg"
                    file = tar.extractfile(member)
                    assert file is not None
                    image = decode(file.read())
                    assert min(image.shape[:2]) >= 250
                    assert image.std() > 3
                    names.append(image_id)
        assert sorted(names) == [row["id"] for row in table(world, split)]


def test_labels_agree(world: Path) -> None:
    labels = {row["id"]: row["landmark_id"] for row in table(world, "train")}
    clean = {i: row["landmark_id"] for row in table(world, "train_clean") for i in row["images"].split()}
    assert clean.items() < labels.items(), "train_clean is train without the wrong labels"
    found = {row["id"]: row["landmark_id"] for row in table(world, "index_image_to_landmark")}
    assert set(found) < {row["id"] for row in table(world, "index")}, "some index pictures show no landmark"
    train, index = (
        {row["landmark_id"]: row["category"] for row in table(world, f"{split}_label_to_category")}
        for split in ("train", "index")
    )
    assert set(labels.values()) == set(train) and set(found.values()) == set(index)
    both = set(train.values()) & set(index.values())
    assert both and set(train.values()) - both and set(index.values()) - both
    number = {name: key for key, name in index.items()}
    assert all(key != number[name] for key, name in train.items() if name in both), "two numberings"


def test_truth_agrees(world: Path) -> None:
    recognition, retrieval = (
        rows(world / "ground_truth" / f"{task}_solution_v2.1.csv") for task in ("recognition", "retrieval")
    )
    test = [row["id"] for row in table(world, "test")]
    assert [row["id"] for row in recognition] == [row["id"] for row in retrieval] == test
    name = {row["landmark_id"]: row["category"] for row in table(world, "train_label_to_category")}
    number = {row["category"]: row["landmark_id"] for row in table(world, "index_label_to_category")}
    shown: dict[str, set[str]] = {}
    for row in table(world, "index_image_to_landmark"):
        shown.setdefault(row["landmark_id"], set()).add(row["id"])
    for one, two in zip(recognition, retrieval, strict=True):
        assert {one["Usage"], two["Usage"]} <= {"Public", "Private", "Ignored"}
        assert (two["images"] == "None") == (two["Usage"] == "Ignored")
        if two["Usage"] != "Ignored":
            assert one["Usage"] == two["Usage"] and set(two["images"].split()) in shown.values()
        if one["landmarks"] and two["Usage"] != "Ignored":
            assert set(two["images"].split()) == shown[number[name[one["landmarks"]]]]
        if not one["landmarks"] and two["Usage"] != "Ignored":  # a landmark that train does not know
            landmark = next(k for k, v in shown.items() if v == set(two["images"].split()))
            assert landmark not in {number.get(n) for n in name.values()}
    empty = sum(not row["landmarks"] for row in recognition)
    assert empty >= len(test) / 3


def test_source(world: Path) -> None:
    source = DemoWorld(world, **SMALL, workers=0)
    assert isinstance(source, Source) and source.name == "demo"
    before = content(world)
    source.prepare()
    assert content(world) == before
    assert (len(source.train()), len(source.index()), len(source.queries())) == (
        sum(len(row["images"].split()) for row in table(world, "train_clean")), 8, 8)  # fmt: skip
    truth = source.truth()
    assert truth.retrieval is not None and truth.recognition is not None
    queries = source.queries()
    image = decode(queries.read(0))
    assert image.ndim == 3 and format_ids(queries.table.ids)[0] in {row["id"] for row in table(world, "test")}
    numbers = source.submission_landmark(np.array([0, -1], np.int32))
    assert str(numbers[0]) in {row["landmark_id"] for row in table(world, "train")} and numbers[1] == -1


def test_prepare_draws_a_missing_world(tmp_path: Path, world: Path) -> None:
    source = DemoWorld(tmp_path / "deep" / "world", **SMALL, workers=2)
    source.prepare()
    assert content(source.root) == content(world), "the same bytes, whatever the number of processes"
    assert [p.name for p in source.root.parent.iterdir()] == ["world"]


def test_other_seed_other_world(tmp_path: Path, world: Path) -> None:
    write_demo_world(tmp_path / "w", **(SMALL | {"seed": 4}), workers=0)
    one, two = content(world), content(tmp_path / "w")
    assert set(one) == set(two) and all(one[name] != two[name] for name in one)


@pytest.mark.parametrize("change", [{"seed": 9}, {"landmarks": 5, "pictures": 50}, {"pictures": 41}])
def test_another_world_is_never_overwritten(world: Path, change: dict[str, int]) -> None:
    before = content(world)
    with pytest.raises(LandmarksError, match=r"holds the demo world .*remove the folder"):
        DemoWorld(world, **(SMALL | change), workers=0).prepare()
    assert content(world) == before


def test_foreign_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(LandmarksError, match="not a demo world"):
        write_demo_world(tmp_path, **SMALL, workers=0)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.txt"]


def test_damaged_stamp_is_named(tmp_path: Path) -> None:
    (tmp_path / STAMP).write_text("{")
    with pytest.raises(LandmarksError, match="damaged"):
        write_demo_world(tmp_path, **SMALL, workers=0)


def test_older_recipe_is_refused(world: Path, tmp_path: Path) -> None:
    stamp = json.loads((world / STAMP).read_text())
    (tmp_path / STAMP).write_text(json.dumps(stamp | {"version": 0}))
    with pytest.raises(LandmarksError, match="'version': 0"):
        write_demo_world(tmp_path, **SMALL, workers=0)


@pytest.fixture
def blank(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blank pictures: these tests are about folders."""

    def draw(plan: Plan, seed: int, workers: int | None = None) -> Iterator[tuple[Picture, bytes]]:
        for picture in plan.pictures:
            time.sleep(0.002)
            yield picture, b"blank"

    monkeypatch.setattr("landmarks.data.demo.world.draw_pictures", draw)


@pytest.mark.usefixtures("blank")
def test_empty_folder_will_do(tmp_path: Path) -> None:
    root = tmp_path / "w"
    root.mkdir()
    write_demo_world(root, **SMALL)
    assert (root / STAMP).is_file()


@pytest.mark.usefixtures("blank")
def test_error_half_way_leaves_nothing(tmp_path: Path) -> None:
    def fail() -> None:
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_demo_world(tmp_path / "w", **SMALL, workers=0, on_picture=fail)
    assert not list(tmp_path.iterdir())


def test_killed_half_way(tmp_path: Path, world: Path) -> None:
    root = tmp_path / "w"
    code = f"from landmarks.data.demo.world import write_demo_world as w; w({str(root)!r}, pictures=4000, workers=2)"
    process = subprocess.Popen([sys.executable, "-c", code])
    partial = tmp_path / ".w.partial"
    deadline = time.monotonic() + 60
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    workers: list[int] = []
    while (len(workers) < 3 or not list(partial.glob("test/*.tar"))) and time.monotonic() < deadline:
        time.sleep(0.05)
        workers = [int(pid) for pid in children.read_text().split()] if children.is_file() else [0, 0, 0]
    time.sleep(0.5)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert partial.is_dir() and not root.exists() and not (partial / STAMP).exists()
    workers = [pid for pid in workers if pid]
    while any(alive(pid) for pid in workers) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(alive(pid) for pid in workers), "workers go with their parent"
    write_demo_world(root, **SMALL, workers=0)
    assert content(root) == content(world) and not partial.exists()


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False


@pytest.mark.usefixtures("blank")
def test_two_at_once_draw_once(tmp_path: Path) -> None:
    drawn: list[int] = []
    errors: list[BaseException] = []

    def write() -> None:
        try:
            write_demo_world(tmp_path / "w", **SMALL, workers=0, on_picture=lambda: drawn.append(1))
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=write) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors and len(drawn) == SMALL["pictures"]
    assert (tmp_path / "w" / STAMP).is_file()
    assert [p.name for p in tmp_path.iterdir()] == ["w"]
