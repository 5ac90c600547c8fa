import shutil
from collections.abc import Callable
from copy import deepcopy
from functools import cache, partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import pytest
import pytorch_lightning as pl
import torch
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from torch.utils.data import DataLoader

from landmarks.config import config_root, register_resolvers, register_search_path
from landmarks.data import LandmarkDataModule, Sample, ValidationSize, single_thread
from landmarks.data.gldv2 import GLDv2
from landmarks.data.images import Preprocessing, decode
from landmarks.errors import LandmarksError
from tiny_sets import jpeg

Build = Callable[..., LandmarkDataModule]


@cache
def composed(data: str, augmentation: str, sampler: str) -> DictConfig:
    register_search_path()
    register_resolvers()
    GlobalHydra.instance().clear()
    choices = [f"data={data}", f"augmentation={augmentation}", f"sampler={sampler}", "data.root=there", "run_dir=here"]
    with initialize_config_dir(str(config_root() / "conf"), version_base="1.3"):
        return compose("train", choices)


def build(
    data: str,
    root: Path | str,
    augmentation: str = "original",
    sampler: str = "default",
    arguments: dict[str, Any] | None = None,
    **changes: Any,
) -> LandmarkDataModule:
    """The data module as conf/ builds it, with some keys changed and further arguments."""
    config = deepcopy(composed(data, augmentation, sampler))
    for key, value in {"root": str(root), "num_workers": 0, "image_size": 48, **changes}.items():
        OmegaConf.update(config.data, key.replace("__", "."), value)
    module = instantiate(config.data, _partial_=True)(**(arguments or {}))
    assert isinstance(module, LandmarkDataModule)
    return module


@pytest.mark.parametrize("augmentation", ["original", "strong", "none"])
def test_mini_loaders_from_the_configs(shared_data: Path, augmentation: str) -> None:
    module = build(
        "gldv2",
        shared_data / "gldv2_mini",
        augmentation,
        source__train_split="train",
        batch_size=16,
        validation__index_distractors=10,
        validation__gallery_images=40,
    )
    module.setup()
    assert (module.num_landmarks, len(module.train_set)) == (66, 1472)
    batch = next(iter(module.train_dataloader()))
    assert batch["image"].shape == (16, 3, 48, 48) and batch["image"].dtype == torch.uint8
    assert batch["landmark"].tolist() == module.train_set.table.landmarks[batch["row"]].tolist()
    assert batch["unreadable"] == []
    assert len(module.train_dataloader()) == 1472 // 16
    assert len(module.query_set) == 416 and len(module.gallery_set) == 40
    assert module.truth.retrieval is not None
    positives = set(module.truth.retrieval.positives.tolist())
    index = set(module.index_set.table.ids.tolist())
    assert positives <= index and len(index) == len(positives) + 10


def test_validation_loaders_cover_each_set_once_and_in_order(tiny: Any) -> None:
    module = build("gldv2", tiny.root, batch_size=2, eval_batch_size=3)
    module.setup("fit")
    assert (len(module.query_set), len(module.index_set), len(module.gallery_set)) == (3, 8, 8)
    sets = (module.query_set, module.index_set, module.gallery_set)
    for images, loader in zip(sets, module.val_dataloader(), strict=True):
        rows = [row for batch in loader for group in batch["groups"] for row in group["row"].tolist()]
        assert rows == list(range(len(images)))
    assert len(module.test_dataloader()) == 3


def batches(module: LandmarkDataModule) -> list[dict[str, Any]]:
    module.setup()
    loader = module.train_dataloader()
    loader.batch_sampler.set_epoch(2)  # type: ignore[union-attr]
    return list(loader)


def test_batches_do_not_depend_on_the_workers(tiny: Any) -> None:
    alone = batches(build("gldv2", tiny.root, "strong", batch_size=2, pairs=True))
    for workers in (1, 2):
        others = batches(build("gldv2", tiny.root, "strong", batch_size=2, pairs=True, num_workers=workers))
        assert len(alone) == len(others) == 4
        for one, other in zip(alone, others, strict=True):
            assert torch.equal(one["image"], other["image"])
            assert torch.equal(one["row"], other["row"])


def test_pairs_share_a_landmark(tiny: Any) -> None:
    module = build("gldv2", tiny.root, batch_size=4, pairs=True)
    for batch in batches(module):
        marks = batch["landmark"].tolist()
        assert marks[0] == marks[1] != marks[2] == marks[3]
    module.batch_size = 6
    with pytest.raises(LandmarksError, match=r"2 landmarks have 2 or more .* at most 4"):
        module.train_dataloader()


def test_balanced_batches_from_the_config(tiny: Any) -> None:
    module = build("gldv2", tiny.root, sampler="balanced", batch_size=8)
    (batch,) = batches(module)
    marks = batch["landmark"].tolist()
    assert len(set(marks[:4])) == len(set(marks[4:])) == 1 and marks[0] != marks[4]
    module = build("gldv2", tiny.root, sampler="balanced", batch_size=8, pairs=True)
    module.setup()
    with pytest.raises(LandmarksError, match="sampler=balanced cannot be used with this loss"):
        module.train_dataloader()


@pytest.mark.parametrize("workers", [0, 2])
def test_another_module_goes_on_in_the_middle_of_an_epoch(tiny: Any, workers: int) -> None:
    whole = batches(build("gldv2", tiny.root, "strong", batch_size=2))
    first = build("gldv2", tiny.root, "strong", batch_size=2, num_workers=workers)
    first.setup()
    assert first.state_dict() == {}
    loader = first.train_dataloader()
    loader.batch_sampler.set_epoch(2)  # type: ignore[union-attr]
    iterator = iter(loader)
    next(iterator)
    second = build("gldv2", tiny.root, "strong", batch_size=2, num_workers=workers)
    second.load_state_dict(first.state_dict())
    rest = batches(second)
    assert len(rest) == len(whole) - 1 == 3
    for one, other in zip(whole[1:], rest, strict=True):
        assert torch.equal(one["row"], other["row"]) and torch.equal(one["image"], other["image"])


def test_a_corrupt_image_is_reported_from_a_worker(tiny: Any) -> None:
    tiny.remove_tars("train", extract=True)
    victim = sorted((tiny.root / "train").rglob("*.jpg"))[0]
    victim.write_bytes(victim.read_bytes()[:300])
    module = build("gldv2", tiny.root, "none", source__train_split="train", batch_size=12, num_workers=1)
    module.setup()
    (batch,) = module.train_dataloader()
    assert len(batch["row"]) == 11
    assert [name for name, _ in batch["unreadable"]] == [victim.stem]
    assert batch["image"].flatten(1).float().std(dim=1).min() > 0  # no zeros in its place


def test_each_rank_reads_its_own_share(tiny: Any) -> None:
    seen: list[list[int]] = [[], []]
    train: list[list[int]] = [[], []]
    for rank in (0, 1):
        module = build("gldv2", tiny.root, batch_size=4)
        module.setup()
        module.trainer = pl.Trainer(logger=False, enable_checkpointing=False, accelerator="cpu")
        module._rank = partial(lambda rank: (rank, 2), rank)  # type: ignore[method-assign]
        (batch,) = module.train_dataloader()
        train[rank] = batch["row"].tolist()
        for batch in module.val_dataloader()[1]:
            seen[rank] += [row for group in batch["groups"] for row in group["row"].tolist()]
    assert sorted(seen[0] + seen[1]) == list(range(8))
    assert sorted(train[0] + train[1]) == list(range(8))


def test_opencv_stays_on_one_thread_in_workers() -> None:
    def threads(samples: list[Sample]) -> int:
        return cv2.getNumThreads()

    before = cv2.getNumThreads()
    loader = DataLoader(
        range(2),  # type: ignore[arg-type]
        num_workers=1,
        worker_init_fn=single_thread,
        collate_fn=threads,
    )
    assert set(loader) == {1}
    assert cv2.getNumThreads() == before


def test_validation_on_landmarks_held_out_of_training(tiny: Any) -> None:
    sizes = {"held_out__queries": 1, "held_out__distractors": 1, "held_out__non_landmark": 0}
    module = build("gldv2", tiny.root, source__train_split="train", held_out__landmarks=1, batch_size=4, **sizes)
    module.setup()
    sets = (module.train_set, module.query_set, module.index_set)
    assert len({int(i) for images in sets for i in images.table.ids}) == sum(map(len, sets)) <= 12
    assert module.num_landmarks == 2 and len(module.query_set) == 1
    assert len(module.index_set) == len(module.gallery_set) + 1
    assert module.truth.retrieval is not None
    assert set(module.truth.retrieval.positives.tolist()) == set(module.gallery_set.table.ids.tolist())
    assert next(iter(module.train_dataloader()))["image"].shape == (4, 3, 48, 48)


def test_a_search_alone_reads_no_train_images(tiny: Any) -> None:
    shutil.rmtree(tiny.root / "train")
    module = build("gldv2", tiny.root, arguments={"splits": ["queries", "index"]})
    module.setup("validate")
    assert list(module.evaluated) == ["queries", "index"]
    assert len(module.val_dataloader()) == 2
    with pytest.raises(LandmarksError, match="not a complete Google Landmarks v2 folder"):
        build("gldv2", tiny.root).setup("validate")


def test_a_moved_set_is_the_same_one_and_another_of_the_same_names_is_not(tmp_path: Path) -> None:
    def identity(root: Path) -> dict[str, str]:
        module = build("folder", root)
        module.setup("fit")
        return module.evaluation_identity()

    for root, first in (("one", 0), ("other", 100)):
        for number in range(12):
            (folder := tmp_path / root / f"place {number % 2}").mkdir(parents=True, exist_ok=True)
            (folder / f"{number}.jpg").write_bytes(jpeg(first + number))
    one = identity(tmp_path / "one")
    other = identity(tmp_path / "other")
    assert identity((tmp_path / "one").rename(tmp_path / "moved")) == one
    assert {name for name in one if one[name] != other[name]} == {"queries", "index", "gallery"}


def test_tables_are_read_once(tiny: Any) -> None:
    module = build("gldv2", tiny.root)
    module.setup("fit")
    first = module.train_set
    module.setup("test")
    assert module.train_set is first and isinstance(module.source, GLDv2)


@pytest.mark.parametrize(
    ("key", "value"),
    [("batch_size", 0), ("eval_batch_size", 0), ("num_workers", -1), ("max_unreadable", -1), ("decode_margin", -0.5)],
)
def test_impossible_values_are_named(tiny: Any, key: str, value: float) -> None:
    with pytest.raises(Exception, match=f"data.{key} is {value}"):
        build("gldv2", tiny.root, **{key: value})


def test_one_size_unless_evaluation_has_its_own(tiny: Any) -> None:
    assert build("gldv2", tiny.root).validation == ValidationSize("scored", 50000, 50000)
    assert build("gldv2", tiny.root).preprocessing == Preprocessing("aspect", 48)
    assert build("gldv2", tiny.root, resize__short_side=55).preprocessing == Preprocessing("aspect", 55)
    with pytest.raises(Exception, match=r"data\.image_size: no value given"):
        build("gldv2", tiny.root, image_size=None)
    with pytest.raises(Exception, match=r"data\.resize\.mode: no value given"):
        build("gldv2", tiny.root, resize__mode=None)


@pytest.mark.parametrize(
    ("changes", "used"),
    [
        ({"image_size": None, "resize__mode": None}, Preprocessing("crop", 96)),
        ({"image_size": 128, "resize__mode": None}, Preprocessing("crop", 128)),
        ({"image_size": 128, "resize__short_side": 144, "resize__mode": None}, Preprocessing("crop", 144)),
        ({"image_size": None, "resize__mode": "square"}, Preprocessing("square", 96)),
    ],
)
def test_what_weights_were_trained_with_holds_where_nothing_else_is_said(
    tiny: Any, changes: dict[str, Any], used: Preprocessing
) -> None:
    trained = Preprocessing("crop", 96)
    assert build("gldv2", tiny.root, arguments={"trained": trained}, **changes).preprocessing == used


@pytest.fixture
def wide_and_high(photo_folder: Callable[[dict[str, int]], Path], make: SimpleNamespace) -> Path:
    """Photographs of two landmarks, high, square and wide in turn."""
    root = photo_folder({"Arch": 24, "Bridge": 24})
    for number, path in enumerate(sorted(root.rglob("*.jpg"))):
        path.write_bytes(make.jpeg(number, *((80, 40), (60, 60), (40, 80))[number % 3]))
    return root


@pytest.mark.parametrize("augmentation", ["original", "strong", "none"])
def test_batches_of_one_aspect_ratio(wide_and_high: Path, augmentation: str) -> None:
    module = build("folder", wide_and_high, augmentation, image_size=96, batch_size=4, aspect_groups=5)
    alone = batches(module)
    assert {tuple(batch["image"].shape) for batch in alone} == {(4, 3, 128, 64), (4, 3, 96, 96), (4, 3, 64, 128)}
    for batch in alone:
        for row in batch["row"].tolist():
            height, width = decode(module.train_set.read(row)).shape[:2]
            assert (height > width) == (batch["image"].shape[2] > batch["image"].shape[3])
    others = batches(
        build("folder", wide_and_high, augmentation, image_size=96, batch_size=4, aspect_groups=5, num_workers=2)
    )
    assert all(torch.equal(one["image"], other["image"]) for one, other in zip(alone, others, strict=True))


@pytest.mark.parametrize("workers", [0, 2])
def test_training_images_change_their_size_between_epochs(wide_and_high: Path, workers: int) -> None:
    """Persistent workers see it, groups keep their shapes, and evaluation images keep their size."""
    module = build("folder", wide_and_high, image_size=96, batch_size=4, aspect_groups=5, num_workers=workers)
    assert set(module.training_shapes(0.5)) == {(64, 32), (64, 64), (32, 64)}
    module.setup("fit")
    loader = module.train_dataloader()
    for share, shapes in ((0.5, {(64, 32), (64, 64), (32, 64)}), (1.0, {(128, 64), (96, 96), (64, 128)})):
        module.resize_training(share)
        assert {tuple(batch["image"].shape[2:]) for batch in loader} <= shapes
    module.resize_training(0.5)
    assert module.preprocessing.short_side == 96 and module.input_shapes()[0][1] == (128, 64)


def test_evaluation_batches_of_one_shape(wide_and_high: Path) -> None:
    module = build("folder", wide_and_high, image_size=32, eval_batch_size=4)
    module.setup()
    images = module.index_set
    groups = [group for batch in module.eval_loader(images) for group in batch["groups"]]
    assert sorted(row for group in groups for row in group["row"].tolist()) == list(range(len(images)))
    shapes = [tuple(group["images"][0].shape[2:]) for group in groups]
    assert set(shapes) == {(64, 32), (32, 32), (32, 64)}
    assert sum(len(group["row"]) == 4 for group in groups) >= len(groups) - 3  # one rest for each shape
    plain = build("folder", wide_and_high, image_size=32, eval_batch_size=4, resize__mode="square")
    plain.setup()
    rows = [row for batch in plain.eval_loader(images) for row in batch["groups"][0]["row"].tolist()]
    assert rows == list(range(len(images)))


def test_scales_sets_and_what_is_embedded_may_be_chosen(wide_and_high: Path) -> None:
    plain = build("folder", wide_and_high)
    plain.setup()
    assert list(plain.evaluated) == ["queries", "index", "gallery"]
    chosen = {"splits": ["train"], "scales": [1.0, 2.0]}
    module = build("folder", wide_and_high, arguments=chosen, image_size=32, eval_batch_size=4)
    module.setup()
    ids = module.train_set.table.ids
    assert list(module.evaluated) == ["train"] and len(module.val_dataloader()) == 1
    loader = module.eval_loader(module.train_set, ids[:7])
    groups = [group for batch in loader for group in batch["groups"]]
    assert sorted(row for group in groups for row in group["row"].tolist()) == list(range(7, len(ids)))
    for group in groups:
        small, large = (images.shape for images in group["images"])
        assert large[2:] == (2 * small[2], 2 * small[3])
    assert len(loader) == len(groups)  # one shape a batch
