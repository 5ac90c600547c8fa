"""What is refused, and that all of it is named at once."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from image_models import broken_images, photograph, turned
from images import scene
from landmarks.data.images import open_image
from landmarks.errors import LandmarksError
from landmarks.interop import check_images, read_image
from landmarks.interop import image_files as files


def test_sizes_are_those_of_the_upright_images(tmp_path: Path) -> None:
    image = scene(1, 50, 90)
    plain, side = photograph(tmp_path / "plain.png", 1, 50, 90), turned(tmp_path / "side.png", image)
    assert check_images([plain, str(side), plain]) == {plain: (50, 90), side: (50, 90)}
    assert np.array_equal(read_image(plain), image)
    assert np.array_equal(read_image(side), image)
    assert not np.array_equal(np.asarray(Image.open(side)).shape, image.shape)  # it is stored otherwise


def test_all_that_cannot_be_used_are_named_at_once(tmp_path: Path) -> None:
    broken = broken_images(tmp_path)
    with pytest.raises(LandmarksError) as caught:
        check_images([tmp_path / "sound.jpg", *broken.values(), tmp_path / "missing.jpg"])
    first, *lines = str(caught.value).splitlines()
    assert first == "7 of 8 images cannot be used:"
    for (reason, path), line in zip(broken.items(), lines, strict=True):
        assert line.startswith(f"  {path}: ") and reason in line
        for use in (read_image, lambda one: check_images([one])):
            if use is not read_image or "corrupt" not in reason:
                with pytest.raises(LandmarksError) as alone:
                    use(path)
                assert str(alone.value) == line.strip()


def test_a_cut_jpeg_is_found_wherever_it_was_cut(tmp_path: Path) -> None:
    for progressive in (False, True):
        path = tmp_path / "photo.jpg"
        Image.fromarray(scene(3, 400, 600)).save(path, progressive=progressive)
        data = path.read_bytes()
        for share in np.linspace(0.1, 0.97, 12):
            path.write_bytes(data[: int(share * len(data))])
            for use in (read_image, lambda one: check_images([one])):
                with pytest.raises(LandmarksError, match=r"photo\.jpg: cannot be read as an image"):
                    use(path)


def test_pipes_and_files_without_end_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    with pytest.raises(LandmarksError, match="is not a regular file"):
        check_images([tmp_path / "pipe.jpg"])
    path = photograph(tmp_path / "huge.jpg")
    monkeypatch.setattr(files, "MAX_BYTES", 1000)
    with pytest.raises(LandmarksError, match="bytes are too many"):
        check_images([path])


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_named(tmp_path: Path) -> None:
    photograph(tmp_path / "secret.jpg").chmod(0)
    with pytest.raises(LandmarksError, match=r"secret\.jpg: cannot be read \(Permission denied\)"):
        check_images([tmp_path / "secret.jpg"])


def test_the_check_decodes_less_than_the_reading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = photograph(tmp_path / "a.jpg")
    encoded = open_image(path.read_bytes())
    asked = []
    kind = type(encoded)
    decode = kind.decode
    monkeypatch.setattr(kind, "decode", lambda self, divisor=1: asked.append(divisor) or decode(self, divisor))
    check_images([path])
    read_image(path)
    assert asked == [8, 1]


def test_the_smallest_and_the_longest_images_that_are_taken(tmp_path: Path) -> None:
    tiny = photograph(tmp_path / "tiny.png", height=8, width=8)
    long = photograph(tmp_path / "long.jpg", height=10, width=400)
    assert check_images([tiny, long]) == {tiny: (8, 8), long: (10, 400)}
