import logging
import multiprocessing
import os
import signal
import socket
import time
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest

from landmarks.data.stores import (
    LocalTars,
    ReadTar,
    TarStore,
    Update,
    open_tar_store,
    read_by_id,
    read_offsets,
    update_offsets,
)
from landmarks.data.stores import offsets as module
from landmarks.errors import LandmarksError
from landmarks.ids import parse_ids

NAMES = [f"{i:03x}{i * 7919:013x}" for i in range(24)]
IDS = parse_ids(NAMES)
FORK = multiprocessing.get_context("fork")


def content(number: int) -> dict[str, bytes]:
    return {name: name.encode() * 40 for name in NAMES[number::6]}


class Split:
    """A split of 6 tars with 4 images each, and its index."""

    def __init__(self, root: Path, make: SimpleNamespace) -> None:
        self.make = make
        self.folder = root / "train"
        self.files = LocalTars(self.folder)
        self.path = root / ".landmarks/offsets/train.safetensors"
        self.read: list[str] = []
        for number in range(6):
            self.write(number)

    def tar(self, number: int) -> Path:
        return self.folder / f"images_{number:03d}.tar"

    def write(self, number: int, members: dict[str, bytes] | None = None) -> Path:
        return self.make.write_tar(self.tar(number), content(number) if members is None else members)

    def update(self, **options: object) -> Update:
        self.read.clear()
        return update_offsets(self.files, self.path, on_tar=lambda name, *_: self.read.append(name), **options)

    def missing(self) -> list[str]:
        store = TarStore(self.files, self.path)
        for name, row in zip(NAMES, store.locate(IDS).tolist(), strict=True):
            assert row < 0 or store.read(int(name, 16), row) == name.encode() * 40
        return [name for name, row in zip(NAMES, store.locate(IDS).tolist(), strict=True) if row < 0]


@pytest.fixture
def split(tmp_path: Path, make: SimpleNamespace) -> Split:
    return Split(tmp_path, make)


ALL = tuple(f"images_{number:03d}.tar" for number in range(6))


def test_the_index_is_made_once(split: Split) -> None:
    told: list[tuple[str, int, int]] = []
    update_offsets(split.files, split.path, on_tar=lambda *values: told.append(values))
    store = open_tar_store(split.files, split.path)
    assert sorted(name for name, _, _ in told) == list(ALL)
    assert [(done, total) for _, done, total in told] == [(i, 6) for i in range(1, 7)]
    assert all(read_by_id(store, int(i)) == name.encode() * 40 for i, name in zip(IDS, NAMES, strict=True))
    made = split.path.stat().st_mtime_ns
    update = split.update()
    assert split.read == [] and len(update.offsets) == 24 and not (update.new or update.changed or update.gone)
    assert split.path.stat().st_mtime_ns == made


def test_only_added_tars_are_read(split: Split) -> None:
    split.tar(5).rename(split.folder / "later")
    assert split.update().new == ALL[:5]
    (split.folder / "later").rename(split.tar(5))
    assert split.update().new == (ALL[5],) and split.read == [ALL[5]]
    assert split.missing() == []


def test_a_changed_tar_is_named_and_read_again(split: Split, caplog: pytest.LogCaptureFixture) -> None:
    split.update()
    replaced = dict(list(content(2).items())[:3])
    split.write(2, replaced)
    with caplog.at_level(logging.WARNING):
        update = split.update()
    assert update.changed == (ALL[2],) and split.read == [ALL[2]]
    assert f"{split.folder}: these tars have changed and are indexed again: images_002.tar" in caplog.text
    assert split.missing() == [NAMES[20]]


def test_a_tar_that_is_gone_is_named_and_taken_out(split: Split, caplog: pytest.LogCaptureFixture) -> None:
    split.update()
    split.tar(4).unlink()
    with caplog.at_level(logging.WARNING):
        assert split.update().gone == (ALL[4],) and split.read == []
    assert f"{split.folder}: missing tars are removed from the index: images_004.tar" in caplog.text
    assert split.missing() == NAMES[4::6]


def test_a_cut_off_tar_is_named_with_its_sizes_and_costs_only_itself(split: Split) -> None:
    split.update()
    whole = split.tar(3).read_bytes()
    split.tar(3).write_bytes(whole[:1500])
    with pytest.raises(LandmarksError) as caught:
        open_tar_store(split.files, split.path)
    assert f"{split.tar(3)}: not a complete uncompressed tar" in str(caught.value)
    assert f"it had {len(whole):,} bytes when it was indexed, now 1,500" in str(caught.value)
    assert "md5sum" in str(caught.value) and "download it again" in str(caught.value)
    assert split.missing() == NAMES[3::6]
    split.write(3)
    assert split.update().refused == () and split.read == [ALL[3]] and split.missing() == []


def test_all_bad_tars_are_named_at_once(split: Split, monkeypatch: pytest.MonkeyPatch) -> None:
    split.tar(1).write_bytes(b"<html>")
    split.tar(2).unlink()
    split.tar(2).mkdir()
    monkeypatch.setattr(module, "MOST_NAMED", 2)
    with pytest.raises(LandmarksError, match=r"(?s)images_001\.tar: not a .*images_002\.tar: .*Is a directory"):
        open_tar_store(split.files, split.path)
    split.tar(5).write_bytes(b"")
    with pytest.raises(LandmarksError, match=r"and 1 more$"):
        open_tar_store(split.files, split.path)
    assert split.missing() == sorted(NAMES[1::6] + NAMES[2::6] + NAMES[5::6])


def test_an_image_in_two_tars_is_named_with_both(split: Split) -> None:
    split.update()
    split.make.write_tar(split.folder / "copy.tar", {NAMES[4]: b"again", NAMES[3]: b"again"})
    with pytest.raises(LandmarksError) as caught:
        open_tar_store(split.files, split.path)
    first = f"image {NAMES[3]} is in {split.tar(3)} and again in {split.folder / 'copy.tar'}; remove the tar"
    assert str(caught.value).startswith(first)
    assert split.missing() == []


@pytest.mark.parametrize("content", [b"", b"noise" * 100, None])
def test_a_corrupt_index_is_made_again(split: Split, content: bytes | None, caplog: pytest.LogCaptureFixture) -> None:
    split.update()
    whole = split.path.read_bytes()
    split.path.write_bytes(whole[:-1] + b"\7" if content is None else content)
    with caplog.at_level(logging.WARNING):
        assert split.update().new == ALL
    assert f"{split.path} cannot be used" in caplog.text
    assert split.missing() == []


def test_rebuilding_reads_all_tars(split: Split) -> None:
    split.update()
    update = split.update(rebuild=True, workers=1)
    assert sorted(split.read) == list(ALL) and not (update.new or update.changed)
    assert split.missing() == []


def test_a_tar_that_vanishes_is_named(split: Split, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LocalTars, "names", lambda self: [*ALL, "images_006.tar"])
    with pytest.raises(LandmarksError, match=r"images_006.tar: cannot be read \(No such file"):
        split.update()


def test_no_tars_hold_nothing(tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    store = open_tar_store(LocalTars(tmp_path / "train"), tmp_path / "train.safetensors")
    assert len(store) == 0 and (store.locate(IDS) < 0).all()


def test_what_is_finished_at_an_interruption_is_kept(split: Split) -> None:
    def interrupt(name: str, done: int, total: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        update_offsets(split.files, split.path, workers=1, on_tar=interrupt)
    split.update()
    assert 0 < len(split.read) <= 3 and split.missing() == []


@dataclass(frozen=True)
class Stuck(LocalTars):
    """Tars the last of which never answers."""

    def walk(self, name: str) -> ReadTar:
        if name == ALL[5]:
            time.sleep(600)
        return super().walk(name)


def test_a_killed_run_loses_only_the_tars_in_work(split: Split, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SECONDS_BETWEEN_WRITES", 0.0)
    monkeypatch.setattr(module, "SHARE_OF_WRITES", 1e9)
    process = FORK.Process(target=update_offsets, args=(Stuck(split.folder), split.path), daemon=True)
    process.start()
    deadline = time.monotonic() + 30
    while not (split.path.exists() and len(read_offsets(split.path).tars) == 5):
        assert process.is_alive() and time.monotonic() < deadline
        time.sleep(0.01)
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    (split.path.parent / f".{split.path.name}.{socket.gethostname()}-{process.pid}.partial").write_bytes(b"half")
    split.update()
    assert split.read == [ALL[5]] and split.missing() == []
    assert sorted(entry.name for entry in split.path.parent.iterdir()) == ["train.lock", "train.safetensors"]


def test_of_several_processes_one_does_the_work(split: Split) -> None:
    with FORK.Pool(4) as pool:
        updates = pool.starmap(update_offsets, [(split.files, split.path)] * 4)
    assert sum(len(update.new) for update in updates) == 6
    assert split.missing() == []
