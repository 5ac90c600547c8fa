"""Descriptors of a folder: kept, and made anew for what is new or has changed and for nothing else."""

import errno
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from image_models import photograph, retrieval_file
from landmarks.errors import LandmarksError
from landmarks.interop import FolderDescriptors, embed_folder, embed_images, single_images
from landmarks.models import OpenedModel, open_model
from landmarks.storage import derived_folder


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> OpenedModel:
    return open_model(retrieval_file(tmp_path_factory.mktemp("model") / "net.safetensors"), "descriptors")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four images, two of them deeper down, one file that is none, and one corrupt."""
    for number, name in enumerate(("a.jpg", "b.png", "deep/c.jpg", "deep/er/d.jpg")):
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        photograph(path, number)
    (tmp_path / "photos" / "notes.txt").write_text("no image")
    (tmp_path / "photos" / "deep" / "bad.jpg").write_bytes(photograph(tmp_path / "x.jpg").read_bytes()[:900])
    return tmp_path / "photos"


def names(found: FolderDescriptors) -> list[str]:
    return [found.images.path(row) for row in range(len(found.images))]


def require_right(found: FolderDescriptors, model: OpenedModel, folder: Path) -> None:
    expected = embed_images(model, [folder / name for name in names(found)])
    np.testing.assert_allclose(found.descriptors.descriptors, expected, rtol=1e-4, atol=1e-6)


def test_only_what_is_new_or_changed_is_embedded(model: OpenedModel, folder: Path) -> None:
    first = embed_folder(model, folder)
    assert sorted(names(first)) == ["a.jpg", "b.png", "deep/c.jpg", "deep/er/d.jpg"] and first.made == 4
    assert [path.name for path in first.unreadable] == ["bad.jpg"]
    assert "cannot be read as an image: corrupt JPEG" in first.unreadable[folder / "deep" / "bad.jpg"]
    require_right(first, model, folder)

    again = embed_folder(model, folder)
    assert again.made == 0 and len(again.unreadable) == 1
    assert np.array_equal(again.descriptors.ids, first.descriptors.ids)

    photograph(folder / "a.jpg", 9)
    photograph(folder / "new.jpg", 10)
    (folder / "b.png").unlink()
    followed: list[Path] = []
    renewed = embed_folder(model, folder, follow=lambda paths: followed.extend(paths) or paths)  # type: ignore[func-returns-value]
    assert renewed.made == 2 and {path.name for path in followed} == {"a.jpg", "new.jpg"}
    assert sorted(names(renewed)) == ["a.jpg", "deep/c.jpg", "deep/er/d.jpg", "new.jpg"]
    require_right(renewed, model, folder)


def test_a_corrupt_file_is_read_again_only_once_it_has_changed(
    model: OpenedModel, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = folder / "deep" / "bad.jpg"
    read: list[Path] = []

    def follow(paths: Sequence[Path]) -> Sequence[Path]:
        read.extend(paths)
        return paths

    first = embed_folder(model, folder).unreadable
    assert embed_folder(model, folder, follow=follow).unreadable == first and not read
    bad.write_bytes(b"otherwise corrupt")
    changed = embed_folder(model, folder, follow=follow).unreadable
    assert read == [bad] and list(changed) == [bad] and changed != first
    monkeypatch.setattr("landmarks.interop.folder.versions", lambda: {"pillow": "99"})  # which may read more
    assert embed_folder(model, folder, follow=follow).unreadable == changed and read == [bad, bad]
    photograph(bad, 5)
    assert embed_folder(model, folder, follow=follow).unreadable == {} and read == [bad] * 3


def test_what_a_disk_refuses_once_is_tried_again(
    model: OpenedModel, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = Path.read_bytes

    def broken(path: Path) -> bytes:
        if path.suffix in (".jpg", ".png"):
            raise OSError(errno.EIO, "Input/output error")
        return read(path)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "read_bytes", broken)
        with pytest.raises(LandmarksError, match=r"photos: none of its 5 images can be read:\n.*Input/output error"):
            embed_folder(model, folder)
    assert embed_folder(model, folder).made == 4


def test_a_file_of_the_same_size_and_time_is_another_one(model: OpenedModel, folder: Path) -> None:
    first, second = (photograph(folder / name, number) for name, number in (("a.jpg", 1), ("new.jpg", 2)))
    with first.open("ab") as padded:  # decoders stop at the end of the image
        padded.write(bytes(max(0, second.stat().st_size - first.stat().st_size)))
    with second.open("ab") as padded:
        padded.write(bytes(max(0, first.stat().st_size - second.stat().st_size)))
    os.utime(first, (1, 1))
    assert embed_folder(model, folder).made == 5
    first.write_bytes(second.read_bytes())
    os.utime(first, (1, 1))
    renewed = embed_folder(model, folder)
    assert renewed.made == 1
    require_right(renewed, model, folder)


def test_a_pipe_is_passed_over(model: OpenedModel, folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    os.mkfifo(folder / "pipe.jpg")
    assert len(names(embed_folder(model, folder))) == 4
    assert "1 left out, because pipes" in caplog.text and "pipe.jpg" in caplog.text


def test_another_model_or_other_views_are_another_set(model: OpenedModel, folder: Path, tmp_path: Path) -> None:
    keep = tmp_path / "kept"
    embed_folder(model, folder, keep)
    other = open_model(retrieval_file(tmp_path / "net.safetensors", side=64), "descriptors")
    assert embed_folder(other, folder, keep).made == 4
    assert embed_folder(model, folder, keep, flip=True).made == 4
    assert embed_folder(model, folder, keep).made == 0
    assert len([path for path in keep.iterdir() if path.is_dir()]) == 3
    assert not (folder / ".landmarks").exists() and derived_folder(folder) != folder


def test_a_killed_search_goes_on(
    model: OpenedModel, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("landmarks.interop.folder.TOGETHER", 1)
    monkeypatch.setattr(single_images, "TOGETHER", 1)

    def stop(paths: list[Path]) -> object:
        for number, path in enumerate(paths):
            if number == 3:
                raise KeyboardInterrupt
            yield path

    with pytest.raises(KeyboardInterrupt):
        embed_folder(model, folder, tmp_path / "kept", follow=stop)  # type: ignore[arg-type]
    left: list[Path] = []
    found = embed_folder(model, folder, tmp_path / "kept", follow=lambda paths: left.extend(paths) or paths)  # type: ignore[func-returns-value]
    assert 0 < len(left) < 5
    assert sorted(names(found)) == ["a.jpg", "b.png", "deep/c.jpg", "deep/er/d.jpg"]
    require_right(found, model, folder)


def test_corrupt_sets_are_made_anew(model: OpenedModel, folder: Path, tmp_path: Path) -> None:
    embed_folder(model, folder, tmp_path / "kept")
    (place,) = [path for path in (tmp_path / "kept").iterdir() if path.is_dir()]
    content = bytearray((place / "descriptors.npy").read_bytes())
    content[-3] ^= 1
    (place / "descriptors.npy").write_bytes(content)
    found = embed_folder(model, folder, tmp_path / "kept")
    assert found.made == 4
    require_right(found, model, folder)


def test_what_cannot_be_searched_is_said(model: OpenedModel, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(LandmarksError, match="holds no image of a known format"):
        embed_folder(model, tmp_path / "empty")
    for name in ("a.jpg", "b.png", "deep/c.jpg", "deep/er/d.jpg"):
        (folder / name).write_bytes(b"broken")
    with pytest.raises(LandmarksError, match="photos: none of its 5 images can be read"):
        embed_folder(model, folder)
    if os.geteuid():
        (tmp_path / "locked").mkdir(mode=0o500)
        with pytest.raises(LandmarksError, match="cannot be kept there"):
            embed_folder(model, folder, tmp_path / "locked" / "kept")
    (tmp_path / "file").touch()
    with pytest.raises(LandmarksError, match="cannot be kept there"):
        embed_folder(model, folder, tmp_path / "file" / "kept")
    shutil.rmtree(folder)
