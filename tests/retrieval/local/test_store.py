import fcntl
import logging
import multiprocessing
import os
import signal
import time
from dataclasses import replace
from multiprocessing.process import BaseProcess
from pathlib import Path

import numpy as np
import pytest

from corners import Corners
from images import image_set, png, scene
from landmarks.data import ImageSet, ImageTable
from landmarks.data.images import decode
from landmarks.data.stores import FileStore
from landmarks.errors import LandmarksError
from landmarks.local_features import RootSift
from landmarks.retrieval.local import CHUNK, LocalFeatureStore, LocalFeatureTable
from local_tables import table_of
from resources import make_resources


def image(seed: int) -> bytes:
    return png(np.random.default_rng(seed).integers(0, 255, (6, 8, 3)).astype(np.uint8))


def collect(store: LocalFeatureStore, contents: list[bytes | None], workers: int = 1) -> LocalFeatureTable:
    images = image_set(contents)
    return store.collect(images, np.arange(len(contents)), make_resources(workers=workers))


def assert_same(left: LocalFeatureTable, right: LocalFeatureTable) -> None:
    assert np.array_equal(left.starts, right.starts)
    assert np.array_equal(left.keys, right.keys)
    for place in range(len(left)):
        one, other = left.of(place), right.of(place)
        assert one.size == other.size
        for name in ("points", "scales", "scores", "descriptors"):
            assert np.array_equal(getattr(one, name), getattr(other, name))


def work_done(tally: Path) -> int:
    return len(tally.read_text()) if tally.exists() else 0


def test_features_come_out_in_the_order_asked_for(tmp_path):
    contents: list[bytes | None] = [image(seed) for seed in range(40)]
    store = LocalFeatureStore(Corners(), tmp_path)
    images = image_set(contents)
    rows = np.array([30, 2, 2, 39, 0])
    collect(store, contents[:20])
    table = store.collect(images, rows, make_resources(workers=1))
    assert len(table) == 5 and table.starts[-1] == len(table.descriptors)
    for place, row in enumerate(rows):
        expected = Corners()(_decoded(contents[row]))
        found = table.of(place)
        assert np.array_equal(found.descriptors, expected.descriptors) and found.size == (6, 8)


def test_processes_and_order_of_work_make_no_difference(tmp_path):
    images: list[bytes | None] = [png(scene(seed, 64, 80)) for seed in range(2 * CHUNK + 3)]
    one = collect(LocalFeatureStore(RootSift(), tmp_path / "one"), images, workers=1)
    two = collect(LocalFeatureStore(RootSift(), tmp_path / "two"), images, workers=2)
    assert one.counts.sum() > 50
    assert_same(one, two)


def test_a_changed_image_or_setting_gives_new_features(tmp_path):
    tally = tmp_path / "tally"
    images: list[bytes | None] = [image(seed) for seed in range(3)]
    before = collect(LocalFeatureStore(Corners(tally=tally), tmp_path / "store"), images)
    assert_same(collect(LocalFeatureStore(Corners(tally=tally), tmp_path / "store"), images), before)
    assert work_done(tally) == 3
    images[1] = image(77)
    after = collect(LocalFeatureStore(Corners(tally=tally), tmp_path / "store"), images)
    assert work_done(tally) == 4
    assert np.array_equal(after.of(1).descriptors, Corners()(_decoded(images[1])).descriptors)
    assert (before.keys[1] != after.keys[1]).any() and np.array_equal(before.keys[0], after.keys[0])
    other = collect(LocalFeatureStore(Corners(setting=1, tally=tally), tmp_path / "store"), images)
    assert work_done(tally) == 7
    assert (other.keys != after.keys).any(axis=1).all()


@pytest.mark.parametrize("workers", [1, 2])
def test_files_that_were_looked_at_are_not_read_again(tmp_path, monkeypatch, workers, caplog):
    tally, count = tmp_path / "tally", 2 * CHUNK + 3
    paths = [tmp_path / f"{number}.png" for number in range(count)]
    for number, path in enumerate(paths):
        path.write_bytes(image(number))
    paths[3].write_bytes(b"no image")
    ids = np.arange(1, count + 1, dtype=np.uint64)
    images = ImageSet(ImageTable.unlabelled(ids), FileStore(ids, paths, tmp_path))

    def look() -> LocalFeatureTable:
        store = LocalFeatureStore(Corners(tally=tally), tmp_path / "store")
        return store.collect(images, np.arange(count), make_resources(workers=workers))

    before = look()
    read, seen = FileStore.read, []
    monkeypatch.setattr(FileStore, "read", lambda self, *where: seen.append(where[0]) or read(self, *where))
    assert_same(look(), before)
    assert seen == [4], "only the one that could not be read is tried again, by this process"
    assert "3.png (0000000000000004): " in caplog.text
    paths[3].unlink()
    paths[5].write_bytes(image(77))
    after = look()
    assert seen == [4, 4, 6] and work_done(tally) == count
    assert np.array_equal(after.of(5).descriptors, Corners()(_decoded(image(77))).descriptors)

    (file,) = (tmp_path / "store").rglob("stamps.bin")
    file.write_bytes(file.read_bytes()[:-20] + bytes(20))
    assert_same(look(), after)
    assert seen[3:] == [4, 6], "a corrupt stamp counts as absent"


def test_bad_images_have_no_features_and_are_named(tmp_path, caplog):
    images = [image(1), b"no image", None, png(np.full((50, 50, 3), 9, np.uint8)), b""]
    store = LocalFeatureStore(RootSift(), tmp_path)
    for _ in range(2):  # what was kept does not hide it from a second run
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            table = collect(store, images)
        assert table.counts.tolist() == [0, 0, 0, 0, 0]
        assert table.sizes.tolist() == [[6, 8], [0, 0], [0, 0], [50, 50], [0, 0]]
        assert "3 of 5 images" in caplog.text
        assert f"{2:016x}" in caplog.text and f"{3:016x}" in caplog.text and f"{4:016x}" not in caplog.text
    assert len(table.descriptors[:]) == len(table.of(1)) == 0


def test_no_readable_image_at_all_is_an_error(tmp_path):
    with pytest.raises(LandmarksError, match="2 of 2 images could not be read"):
        collect(LocalFeatureStore(Corners(), tmp_path), [None, b"x"])
    assert len(collect(LocalFeatureStore(Corners(), tmp_path), [])) == 0


@pytest.mark.parametrize("name", ["records.bin", "points.bin", "scores.bin", "descriptors.bin"])
@pytest.mark.parametrize("cut", [1, 100, 10**9])
def test_files_that_were_cut_off_lose_only_their_tail(tmp_path, name, cut):
    images: list[bytes | None] = [image(seed) for seed in range(30)]
    tally = tmp_path / "tally"
    store = LocalFeatureStore(Corners(tally=tally), tmp_path / "store")
    sound = _copied(collect(store, images))
    file = store.folder / name
    os.truncate(file, max(file.stat().st_size - cut, 0))
    assert_same(collect(store, images), sound)
    assert work_done(tally) > 30 and (cut > 100 or work_done(tally) < 45)
    assert_same(collect(store, images), sound)


@pytest.mark.parametrize("name", ["records.bin", "points.bin", "scores.bin", "descriptors.bin"])
def test_a_flipped_bit_is_found_and_the_image_extracted_again(tmp_path, name):
    images: list[bytes | None] = [image(seed) for seed in range(30)]
    tally = tmp_path / "tally"
    store = LocalFeatureStore(Corners(tally=tally), tmp_path / "store")
    sound = _copied(collect(store, images))
    rng = np.random.default_rng(0)
    for place in rng.integers(0, (store.folder / name).stat().st_size, 12).tolist():
        done = work_done(tally)
        data = bytearray((store.folder / name).read_bytes())
        data[place % len(data)] ^= 1 << int(rng.integers(8))
        (store.folder / name).write_bytes(data)
        assert_same(collect(store, images), sound)
        assert work_done(tally) - done <= 1
    assert work_done(tally) > 30


def _run(folder: Path, tally: Path, count: int, workers: int, seconds: float) -> None:
    os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    store = LocalFeatureStore(Corners(seconds=seconds, tally=tally), folder)
    collect(store, [image(seed) for seed in range(count)], workers)


def _start(tmp_path: Path, count: int, workers: int, seconds: float = 0.005) -> BaseProcess:
    """A run in another process, forked because that takes no time."""
    arguments = (tmp_path / "store", tmp_path / "tally", count, workers, seconds)
    process = multiprocessing.get_context("fork").Process(target=_run, args=arguments)
    process.start()
    return process


def _wait_for_records(store: LocalFeatureStore, process: BaseProcess) -> None:
    while process.is_alive() and not (
        (store.folder / "records.bin").exists() and (store.folder / "records.bin").stat().st_size
    ):
        time.sleep(0.002)


def test_a_kill_loses_at_most_the_chunks_under_way(tmp_path):
    images: list[bytes | None] = [image(seed) for seed in range(80)]
    store = LocalFeatureStore(Corners(tally=tmp_path / "tally"), tmp_path / "store")
    process = _start(tmp_path, len(images), workers=1)
    _wait_for_records(store, process)
    process.kill()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    before = work_done(tmp_path / "tally")
    assert CHUNK <= before < 80
    table = collect(store, images)
    assert work_done(tmp_path / "tally") - before <= 80 - before // CHUNK * CHUNK + CHUNK
    assert_same(table, collect(LocalFeatureStore(Corners(), tmp_path / "other"), images))


def test_an_interruption_ends_all_processes(tmp_path):
    store = LocalFeatureStore(Corners(), tmp_path / "store")
    process = _start(tmp_path, 400, workers=2, seconds=0.02)
    _wait_for_records(store, process)
    os.killpg(process.pid, signal.SIGINT)
    process.join(60)
    if hung := process.is_alive():
        os.killpg(process.pid, signal.SIGKILL)
    assert not hung and process.exitcode == 1
    with (store.folder / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    done = work_done(tmp_path / "tally")
    time.sleep(0.1)
    assert work_done(tmp_path / "tally") == done < 400


def test_two_runs_do_the_work_once(tmp_path):
    images: list[bytes | None] = [image(seed) for seed in range(80)]
    store = LocalFeatureStore(Corners(tally=tmp_path / "tally"), tmp_path / "store")
    process = _start(tmp_path, len(images), workers=1)
    _wait_for_records(store, process)
    table = collect(store, images)  # waits
    process.join()
    assert process.exitcode == 0
    assert work_done(tmp_path / "tally") == 80
    assert_same(table, collect(LocalFeatureStore(Corners(), tmp_path / "other"), images))


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(LandmarksError, match=r"file/corners.*choose another folder"):
        collect(LocalFeatureStore(Corners(), tmp_path / "file"), [image(0)])


def _copied(table: LocalFeatureTable) -> LocalFeatureTable:
    """A copy in memory: the files under the other one will be corrupt."""
    features = [table.of(i) for i in range(len(table))]
    names = ("points", "scales", "scores", "descriptors")
    return table_of([replace(f, **{name: getattr(f, name).copy() for name in names}) for f in features], table.keys)


def _decoded(data: bytes | None) -> np.ndarray:
    return decode(data)
