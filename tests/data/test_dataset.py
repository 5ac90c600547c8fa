from types import SimpleNamespace

import albumentations as A  # noqa: N812 - the name its users know
import numpy as np
import pytest
import torch

from images import image_set
from landmarks.data import (
    EvalDataset,
    ImageSet,
    ImageTable,
    Sample,
    TrainDataset,
    Unreadable,
    Views,
    collate_eval,
    collate_train,
)
from landmarks.data.images import Augmentation, Preprocessing, decode
from landmarks.ids import format_ids

PLAIN = Augmentation([A.Resize(16, 16)], 16)


@pytest.fixture
def images(make: SimpleNamespace) -> ImageSet:
    """Eight images: 2 is cut off, 5 is no image, 6 is gone."""
    encoded: list[bytes | None] = [make.jpeg(i, 40 + 32 * (i % 2), 64) for i in range(8)]
    encoded[2], encoded[5], encoded[6] = make.jpeg(2)[:200], b"text", None
    images = image_set(encoded, first_id=1000)
    landmarks = np.array([0, 0, 1, 1, 2, 2, 3, 3], dtype=np.int32)
    return ImageSet(ImageTable(images.table.ids, landmarks, np.array(["a", "b", "c", "d"])), images.store)


def test_a_sample_is_its_own_image(images: ImageSet, make: SimpleNamespace) -> None:
    dataset = TrainDataset(images, [PLAIN])
    for row in (0, 1, 3, 4, 7):
        sample = dataset[row, 0]
        assert isinstance(sample, Sample)
        assert (sample.row, sample.landmark) == (row, row // 2)
        expected = PLAIN(make.image(row, 40 + 32 * (row % 2), 64), 0)
        assert np.abs(sample.image.astype(int) - expected).mean() < 4
    assert len(dataset) == 8


@pytest.mark.parametrize(("row", "reason"), [(2, "corrupt"), (5, "not an image"), (6, "nowhere")])
def test_an_unreadable_image_says_which_and_why(images: ImageSet, row: int, reason: str) -> None:
    name = format_ids(images.table.ids[[row]])[0]
    for sample in (TrainDataset(images, [PLAIN])[row, 0], EvalDataset(images, [Preprocessing("aspect", 32)])[row]):
        assert isinstance(sample, Unreadable)
        assert sample.image_id == name
        assert sample.reason.startswith((f"image {name}: ", f"image {name} is ")) and reason in sample.reason


class Spy(Augmentation):
    """Notes the shapes that it is given."""

    def __init__(self, transforms: list[A.BasicTransform], image_size: int) -> None:
        self.seen: list[tuple[int, ...]] = []
        super().__init__(transforms, image_size)
        self.seen.clear()

    def __call__(self, image: np.ndarray, seed: int, full_size: tuple[int, int] | None = None) -> np.ndarray:
        self.seen.append(image.shape[:2])
        return super().__call__(image, seed, full_size)


@pytest.mark.parametrize(
    ("margin", "shape"),
    [(0, (400, 600)), (1, (50, 75)), (3.1, (50, 75)), (3.2, (100, 150)), (12.5, (200, 300)), (30, (400, 600))],
)
def test_large_jpegs_are_decoded_smaller(make: SimpleNamespace, margin: float, shape: tuple[int, int]) -> None:
    spy = Spy([A.Resize(16, 16)], 16)
    images = image_set([make.jpeg(0, 400, 600)])
    assert isinstance(TrainDataset(images, [spy], decode_margin=margin)[0, 0], Sample)
    assert spy.seen == [shape]


@pytest.mark.parametrize(
    "first", [A.HorizontalFlip(p=0.5), A.RandomResizedCrop((16, 16), p=0.5), A.RandomCrop(16, 16), A.OneOf([A.Blur()])]
)
def test_unknown_crops_get_the_full_image(make: SimpleNamespace, first: A.BasicTransform) -> None:
    spy = Spy([first, A.Resize(16, 16)], 16)
    TrainDataset(image_set([make.jpeg(0, 400, 600)]), [spy], decode_margin=0.1)[0, 0]
    assert spy.seen == [(400, 600)]


def test_the_crop_decides_how_much_is_decoded(make: SimpleNamespace) -> None:
    spy = Spy([A.RandomResizedCrop((16, 16), scale=(0.01, 1.0))], 16)
    dataset = TrainDataset(image_set([make.jpeg(0, 200, 300)]), [spy], decode_margin=1)
    for seed in range(40):
        dataset[0, seed]
        divisor = 200 / spy.seen[-1][0]
        assert divisor == next((d for d in (8, 4, 2) if spy.shrink(200, 300, seed) >= d), 1)
    assert len(set(spy.seen)) == 3


def test_a_failing_transform_names_the_image(images: ImageSet) -> None:
    class Broken(Augmentation):
        def __call__(self, image: np.ndarray, seed: int, full_size: tuple[int, int] | None = None) -> np.ndarray:
            if seed:
                raise RuntimeError("boom")
            return super().__call__(image, seed)

    with pytest.raises(RuntimeError) as caught:
        TrainDataset(images, [Broken([A.Resize(8, 8)], 8)])[1, 5]
    assert "image 00000000000003e9" in caught.value.__notes__[0]


def test_train_batch_leaves_unreadable_images_out(images: ImageSet) -> None:
    dataset = TrainDataset(images, [PLAIN])
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


def test_an_unreadable_image_takes_its_pair_with_it(images: ImageSet) -> None:
    dataset = TrainDataset(images, [PLAIN])
    rows = [0, 1, 2, 3, 4, 5, 7, 0]
    batch = collate_train([dataset[row, 0] for row in rows], group=2)
    assert batch["row"].tolist() == [0, 1, 7, 0]
    assert len(batch["unreadable"]) == 2  # 3 and 4 are readable: not blamed


def test_nothing_readable_gives_an_empty_batch(images: ImageSet) -> None:
    dataset = TrainDataset(images, [PLAIN])
    batch = collate_train([dataset[2, 0], dataset[5, 0]], group=2)
    assert len(batch["image"]) == len(batch["row"]) == len(batch["landmark"]) == 0
    assert collate_eval([EvalDataset(images, [Preprocessing("aspect", 32)])[2]])["groups"] == []


def test_eval_batch_groups_by_shape(images: ImageSet) -> None:
    dataset = EvalDataset(images, [Preprocessing("aspect", 64)])
    batch = collate_eval([dataset[row] for row in range(8)])
    rows = {tuple(group["images"][0].shape[1:]): group["row"].tolist() for group in batch["groups"]}
    assert rows == {(3, 64, 96): [0, 4], (3, 64, 64): [1, 3, 7]}
    assert len(batch["unreadable"]) == 3


def test_every_scale_is_resized_from_the_original(images: ImageSet) -> None:
    resizes = [Preprocessing("aspect", 64), Preprocessing("aspect", 32), Preprocessing("square", 96)]
    dataset = EvalDataset(images, resizes)
    views = dataset[0]
    assert isinstance(views, Views)
    original = decode(images.read(0))
    assert all(np.array_equal(found, resize(original)) for found, resize in zip(views.images, resizes, strict=True))
    groups = collate_eval([dataset[row] for row in (0, 1, 4)])["groups"]
    assert [group["row"].tolist() for group in groups] == [[0, 4], [1]]
    assert [tuple(scale.shape) for scale in groups[0]["images"]] == [(2, 3, 64, 96), (2, 3, 32, 32), (2, 3, 96, 96)]
    assert groups[0]["images"][1].is_contiguous(memory_format=torch.channels_last)
