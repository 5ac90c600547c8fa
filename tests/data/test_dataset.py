from pathlib import Path
from types import SimpleNamespace

import albumentations as A  # noqa: N812 - the name its users know
import numpy as np
import pytest
import torch

from landmarks.data.dataset import EvalDataset, Sample, TrainDataset, Unreadable, collate_eval, collate_train
from landmarks.data.ids import format_ids
from landmarks.data.source import ImageSet
from landmarks.data.stores.files import FileStore
from landmarks.data.table import ImageTable
from landmarks.data.transforms import Augmentation, EvalResize

PLAIN = Augmentation([A.Resize(16, 16)], 16)


@pytest.fixture
def images(tmp_path: Path, make: SimpleNamespace) -> ImageSet:
    """Eight pictures: 2 is cut off, 5 is no picture, 6 is gone."""
    ids = np.arange(8, dtype=np.uint64) * 1000 + 7
    paths = [tmp_path / f"{i}.jpg" for i in range(8)]
    for i, path in enumerate(paths):
        path.write_bytes(make.jpeg(i, 40 + 32 * (i % 2), 64))
    paths[2].write_bytes(make.jpeg(2)[:200])
    paths[5].write_bytes(b"text")
    store = FileStore(ids, paths)
    paths[6].unlink()
    landmarks = np.array([0, 0, 1, 1, 2, 2, 3, 3], dtype=np.int32)
    return ImageSet(ImageTable(ids, landmarks, np.array(["a", "b", "c", "d"])), store)


def test_a_sample_is_its_own_picture(images: ImageSet, make: SimpleNamespace) -> None:
    dataset = TrainDataset(images, PLAIN)
    for row in (0, 1, 3, 4, 7):
        sample = dataset[row, 0]
        assert isinstance(sample, Sample)
        assert (sample.row, sample.landmark) == (row, row // 2)
        expected = PLAIN(make.picture(row, 40 + 32 * (row % 2), 64), 0)
        assert np.abs(sample.image.astype(int) - expected).mean() < 4
    assert len(dataset) == 8


@pytest.mark.parametrize(("row", "reason"), [(2, "damaged"), (5, "not a picture"), (6, "6.jpg")])
def test_an_unreadable_picture_says_which_and_why(images: ImageSet, row: int, reason: str) -> None:
    name = format_ids(images.table.ids[[row]])[0]
    for sample in (TrainDataset(images, PLAIN)[row, 0], EvalDataset(images, EvalResize(32))[row]):
        assert isinstance(sample, Unreadable)
        assert sample.image_id == name and reason in sample.reason


def test_training_reads_large_pictures_smaller(tmp_path: Path, make: SimpleNamespace) -> None:
    shapes = []

    class Spy(Augmentation):
        def __call__(self, image: np.ndarray, seed: int) -> np.ndarray:
            shapes.append(image.shape)
            return super().__call__(image, seed)

    path = tmp_path / "large.jpg"
    path.write_bytes(make.jpeg(0, 400, 600))
    table = ImageTable.unlabelled(np.array([1], dtype=np.uint64))
    images, spy = ImageSet(table, FileStore(table.ids, [path])), Spy([A.Resize(16, 16)], 16)
    shapes.clear()
    for least in (None, 100, 150):
        TrainDataset(images, spy, least)[0, 0]
    assert shapes == [(400, 600, 3), (100, 150, 3), (200, 300, 3)]


def test_a_failing_transform_names_the_picture(images: ImageSet) -> None:
    class Broken(Augmentation):
        def __call__(self, image: np.ndarray, seed: int) -> np.ndarray:
            if seed:
                raise RuntimeError("boom")
            return super().__call__(image, seed)

    with pytest.raises(RuntimeError) as caught:
        TrainDataset(images, Broken([A.Resize(8, 8)], 8))[1, 5]
    assert "image 00000000000003ef" in caught.value.__notes__[0]


def test_train_batch_leaves_unreadable_pictures_out(images: ImageSet) -> None:
    dataset = TrainDataset(images, PLAIN)
    batch = collate_train([dataset[row, 0] for row in range(8)])
    assert batch["row"].tolist() == [0, 1, 3, 4, 7]
    assert batch["landmark"].tolist() == [0, 0, 1, 2, 3]
    assert batch["landmark"].dtype == torch.int64
    assert batch["image"].shape == (5, 3, 16, 16) and batch["image"].dtype == torch.uint8
    assert batch["image"].is_contiguous(memory_format=torch.channels_last)
    sample = dataset[3, 0]
    assert isinstance(sample, Sample)
    assert np.array_equal(batch["image"][2].permute(1, 2, 0).numpy(), sample.image)
    assert [name for name, _ in batch["unreadable"]] == format_ids(images.table.ids[[2, 5, 6]])


def test_an_unreadable_picture_takes_its_pair_with_it(images: ImageSet) -> None:
    dataset = TrainDataset(images, PLAIN)
    rows = [0, 1, 2, 3, 4, 5, 7, 0]
    batch = collate_train([dataset[row, 0] for row in rows], group=2)
    assert batch["row"].tolist() == [0, 1, 7, 0]
    assert len(batch["unreadable"]) == 2  # 3 and 4 are readable: not blamed


def test_nothing_readable_gives_an_empty_batch(images: ImageSet) -> None:
    dataset = TrainDataset(images, PLAIN)
    batch = collate_train([dataset[2, 0], dataset[5, 0]], group=2)
    assert len(batch["image"]) == len(batch["row"]) == len(batch["landmark"]) == 0
    assert collate_eval([dataset[2, 0]])["groups"] == []


def test_eval_batch_groups_by_shape(images: ImageSet) -> None:
    dataset = EvalDataset(images, EvalResize(64))
    batch = collate_eval([dataset[row] for row in range(8)])
    rows = {tuple(group["image"].shape[1:]): group["row"].tolist() for group in batch["groups"]}
    assert rows == {(3, 64, 96): [0, 4], (3, 64, 64): [1, 3, 7]}
    assert len(batch["unreadable"]) == 3
