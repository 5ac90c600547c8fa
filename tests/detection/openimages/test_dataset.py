from pathlib import Path
from typing import Any

import albumentations as A  # noqa: N812 - the name its users know
import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torchvision.models.detection.transform import GeneralizedRCNNTransform

from landmarks.data import ImageSet, ImageTable, Unreadable
from landmarks.data.stores import FlatFolderStore
from landmarks.detection.openimages import (
    BoxAugmentation,
    DetectionDataset,
    DetectionResize,
    ImageBoxes,
    OpenImages,
    collate,
)
from landmarks.errors import LandmarksError

SHARES = np.array([[0.25, 0.5, 0.5, 0.75], [0.0, 0.0, 0.01, 1.0]], dtype=np.float32)


def one_image(folder: Path, pixels: np.ndarray, **options: Any) -> tuple[ImageSet, ImageBoxes]:
    """An image of two boxes, the second of them narrow."""
    folder.mkdir(exist_ok=True)
    Image.fromarray(pixels).save(folder / f"{7:016x}.jpg", quality=95, **options)
    boxes = ImageBoxes(np.array([0, 2]), np.array([3, 0], np.int32), SHARES, np.array([4, 1], np.uint8))
    return ImageSet(ImageTable.unlabelled(np.array([7], np.uint64)), FlatFolderStore(folder)), boxes


def painted(height: int, width: int) -> np.ndarray:
    """White where the first of the boxes is."""
    pixels = np.zeros((height, width, 3), np.uint8)
    left, top, right, bottom = np.round(SHARES[0] * [width, height, width, height]).astype(int)
    pixels[top:bottom, left:right] = 255
    return pixels


def bright(image: np.ndarray) -> list[int]:
    rows, columns = np.nonzero(image[..., 0] > 127)
    return [int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1]


@pytest.mark.parametrize("size", [(100, 200), (1000, 1600), (64, 40), (333, 217)])
@pytest.mark.parametrize("margin", [0.0, 1.25])
def test_boxes_lie_on_their_content_whatever_the_size(tmp_path: Path, size: tuple[int, int], margin: float) -> None:
    images, boxes = one_image(tmp_path, painted(*size))
    sample = DetectionDataset(images, DetectionResize(100, 160), boxes, decode_margin=margin)[0]
    assert sample.image.shape[:2] == DetectionResize(100, 160).shape(*size)
    assert sample.image_id == 7 and sample.labels.tolist() == [4, 1]
    assert np.abs(sample.boxes[0] - bright(sample.image)).max() <= 1.5
    height, width = sample.image.shape[:2]
    np.testing.assert_allclose(sample.boxes, SHARES * [width, height, width, height], atol=1e-3)


def test_large_jpegs_are_decoded_smaller(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images, boxes = one_image(tmp_path, painted(1000, 1600))
    from landmarks.data.images import decoding as decode

    asked: list[int] = []
    whole = decode.EncodedImage.decode
    monkeypatch.setattr(decode.EncodedImage, "decode", lambda self, by: asked.append(by) or whole(self, by))
    for short, margin in ((100, 1.25), (400, 1.25), (400, 1.24), (500, 1.0), (100, 0.0)):
        DetectionDataset(images, DetectionResize(short, 5000), boxes, decode_margin=margin)[0]
    assert asked == [8, 2, 2, 2, 1]


def test_narrow_boxes_are_left_out_of_training(tmp_path: Path) -> None:
    images, boxes = one_image(tmp_path, painted(100, 200))
    for least, kept in ((0.0, [4, 1]), (1.99, [4, 1]), (2.01, [4]), (60.0, [])):
        sample = DetectionDataset(images, DetectionResize(100, 200), boxes, min_side=least)[(0, 0)]
        assert sample.labels.tolist() == kept and len(sample.boxes) == len(kept)


def test_only_draws_are_augmented(tmp_path: Path) -> None:
    images, boxes = one_image(tmp_path, painted(100, 200))
    flip = BoxAugmentation([A.HorizontalFlip(p=1.0)])
    dataset = DetectionDataset(images, DetectionResize(100, 200), boxes, flip)
    plain, flipped = dataset[0], dataset[(0, 5)]
    np.testing.assert_array_equal(flipped.image, plain.image[:, ::-1])
    np.testing.assert_allclose(flipped.boxes[:, [0, 2]], 200 - plain.boxes[:, [2, 0]], atol=1e-3)
    assert flipped.labels.tolist() == plain.labels.tolist()


def test_boxes_refer_to_the_pixels_as_stored(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # stored lying on its side
    images, boxes = one_image(tmp_path, painted(100, 200), exif=exif)
    resize = DetectionResize(100, 200)
    stored = DetectionDataset(images, resize, boxes)[0]
    assert np.abs(stored.boxes[0] - bright(stored.image)).max() <= 1.5
    upright = DetectionDataset(images, resize)[0]  # nothing refers to its pixels: as viewers show it
    assert upright.image.shape == (200, 100, 3)
    assert upright.boxes.shape == (0, 4) and upright.labels.shape == (0,)


def test_batches_of_several_sizes_and_what_could_not_be_read(tiny: Any) -> None:
    (tiny.root / "train" / f"{2:016x}.jpg").write_bytes(b"\xff\xd8\xff\xe0 corrupt")
    train = OpenImages(tiny.root, background=True).train()
    (tiny.root / "train" / f"{3:016x}.jpg").unlink()
    dataset = DetectionDataset(train.images, DetectionResize(50, 100), train.boxes)
    assert len(dataset) == 5
    batch = collate([dataset[row] for row in range(5)])
    assert batch["id"] == [1, 4, 9]
    assert [tuple(image.shape) for image in batch["image"]] == [(3, 50, 67), (3, 50, 50), (3, 44, 100)]
    assert all(image.dtype == torch.uint8 for image in batch["image"])
    assert [target["labels"].tolist() for target in batch["targets"]] == [[1, 3], [1], []]
    assert [tuple(target["boxes"].shape) for target in batch["targets"]] == [(2, 4), (1, 4), (0, 4)]
    for target in batch["targets"]:
        assert target["boxes"].dtype == torch.float32 and target["labels"].dtype == torch.int64
    (corrupt, why), (missing, where) = batch["unreadable"]
    assert (corrupt, missing) == (f"{2:016x}", f"{3:016x}")
    assert corrupt in why and f"{missing}.jpg" in where


def test_a_batch_of_nothing() -> None:
    batch = collate([Unreadable("a", "b")])
    assert batch == {"image": [], "targets": [], "id": [], "unreadable": [("a", "b")]}


@pytest.mark.parametrize("size", [(768, 1024), (1024, 768), (300, 300), (200, 900), (37, 53)])
def test_sizes_are_those_of_torchvision(size: tuple[int, int]) -> None:
    transform = GeneralizedRCNNTransform(80, 133, [0.0] * 3, [1.0] * 3)
    theirs = transform.resize(torch.zeros(3, *size), None)[0].shape[1:]
    ours = DetectionResize(80, 133).shape(*size)
    assert all(abs(one - other) <= 1 for one, other in zip(ours, theirs, strict=True))  # it rounds down


@given(height=st.integers(1, 5000), width=st.integers(1, 5000))
def test_no_side_is_too_long_and_one_limit_is_reached(height: int, width: int) -> None:
    resize = DetectionResize(800, 1333)
    rows, columns = resize.shape(height, width)
    assert 1 <= min(rows, columns) <= 800 and max(rows, columns) <= 1333
    assert min(rows, columns) == 800 or max(rows, columns) == 1333
    assert resize.scale(height, width) * max(height, width) == pytest.approx(max(rows, columns), abs=0.5)


def test_fine_lines_do_not_alias() -> None:
    lines = np.zeros((400, 400, 3), np.uint8)
    lines[:, ::2] = 255
    small = DetectionResize(100, 100)(lines)
    assert small.shape == (100, 100, 3) and np.ptp(small) <= 1 and abs(small.mean() - 127.5) < 1
    same = DetectionResize(400, 400)(lines)
    assert same is lines
    large = DetectionResize(800, 800)(lines)
    np.testing.assert_array_equal(large, cv2.resize(lines, (800, 800), interpolation=cv2.INTER_LINEAR))


@pytest.mark.parametrize(("short", "long"), [(0, 10), (800, 700)])
def test_impossible_sizes(short: int, long: int) -> None:
    with pytest.raises(LandmarksError, match=r"data\.image_size .* and data\.max_size"):
        DetectionResize(short, long)
