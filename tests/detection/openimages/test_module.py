from pathlib import Path
from typing import Any

import albumentations as A  # noqa: N812 - the name its users know
import numpy as np
import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf

from landmarks.data.samplers import RepeatedBatches
from landmarks.detection.openimages import BoxAugmentation, DetectionDataModule, OpenImages
from landmarks.errors import LandmarksError

CONF = Path(__file__).resolve().parents[3] / "conf"


def build(root: Path, **changes: Any) -> DetectionDataModule:
    flip = BoxAugmentation([A.HorizontalFlip(p=0.5)])
    settings = {"image_size": 48, "max_size": 96, "batch_size": 2, "num_workers": 0, "augmentation": flip}
    return DetectionDataModule(root, changes.pop("source", OpenImages), **settings | changes)


def drawn(module: DetectionDataModule, epoch: int = 0) -> list[dict[str, Any]]:
    module.setup()
    loader = module.train_dataloader()
    loader.batch_sampler.set_epoch(epoch)
    return list(loader)


def same(one: list[dict[str, Any]], other: list[dict[str, Any]]) -> bool:
    return [batch["id"] for batch in one] == [batch["id"] for batch in other] and all(
        torch.equal(image, image2) and torch.equal(target["boxes"], target2["boxes"])
        for a, b in zip(one, other, strict=True)
        for image, image2, target, target2 in zip(a["image"], b["image"], a["targets"], b["targets"], strict=True)
    )


def test_the_module_from_its_config(tiny: Any) -> None:
    config = OmegaConf.create({"seed": 0, "data": OmegaConf.load(CONF / "data" / "openimages.yaml")})
    config.data.root = str(tiny.root)
    config.data.num_workers = 0
    config.data.batch_size = 2
    module = instantiate(config.data)
    assert isinstance(module, DetectionDataModule)
    module.setup("fit")
    assert (len(module.train_set), len(module.val_set), len(module.classes)) == (4, 3, 4)
    assert module.truth.classes.tolist() == module.classes.names.tolist() and len(module.truth.labels) == 5
    batch = next(iter(module.train_dataloader()))
    assert min(batch["image"][0].shape[1:]) == 800
    (scored,) = list(module.val_dataloader())
    assert scored["id"] == [10, 11, 12] and [len(target["labels"]) for target in scored["targets"]] == [2, 1, 0]


def test_what_is_scored_needs_no_train_files(tiny: Any) -> None:
    module = build(tiny.root)
    module.prepare_data()
    module.source.prepare = lambda *_: None
    tiny.boxes("train").unlink()
    module.setup("validate")
    assert len(module.val_set) == 3
    with pytest.raises(LandmarksError, match=r"train-annotations-bbox\.csv: cannot be read"):
        module.setup("fit")


def test_epochs_differ_and_do_not_depend_on_the_workers(tiny: Any) -> None:
    alone = drawn(build(tiny.root), epoch=1)
    assert sorted(image for batch in alone for image in batch["id"]) == [1, 2, 3, 4]
    assert same(alone, drawn(build(tiny.root, num_workers=2), epoch=1))
    assert any(not same(alone, drawn(build(tiny.root), epoch=epoch)) for epoch in (2, 3, 4))


def test_another_module_goes_on_in_the_middle_of_an_epoch(tiny: Any) -> None:
    whole = drawn(build(tiny.root, batch_size=1), epoch=2)
    first = build(tiny.root, batch_size=1)
    first.setup()
    assert first.state_dict() == {}
    loader = first.train_dataloader()
    loader.batch_sampler.set_epoch(2)
    iterator = iter(loader)
    next(iterator)
    second = build(tiny.root, batch_size=1)
    second.load_state_dict(first.state_dict())
    assert same(whole[1:], drawn(second, epoch=2))
    changed = build(tiny.root, batch_size=1, repeat_threshold=0.5)
    changed.load_state_dict(first.state_dict())
    with pytest.raises(LandmarksError, match="how often images are drawn"):
        drawn(changed, epoch=2)


def test_ranks_share_the_images(tiny: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[int]] = []
    scored: list[list[int]] = []
    for rank in (0, 1):
        module = build(tiny.root, eval_batch_size=1, batch_size=1)
        monkeypatch.setattr(module, "_rank", lambda rank=rank: (rank, 2))
        seen.append([image for batch in drawn(module) for image in batch["id"]])
        scored.append([image for batch in module.val_dataloader() for image in batch["id"]])
    assert sorted(seen[0] + seen[1]) == [1, 2, 3, 4] and len(seen[0]) == 2
    assert scored == [[10, 12], [11]]


def test_a_sample_of_what_is_scored_and_its_truth(tiny: Any) -> None:
    module = build(tiny.root, validation_images=2, seed=3)
    module.setup()
    chosen = module.val_set.images.table.ids
    assert len(chosen) == 2 and set(module.truth.image_ids.tolist()) <= set(chosen.tolist())
    assert set(module.truth.verified_image_ids.tolist()) == set(chosen.tolist())
    again = build(tiny.root, validation_images=2, seed=3)
    again.setup()
    assert again.val_set.images.table.ids.tolist() == chosen.tolist()
    everything = build(tiny.root, validation_images=5)
    everything.setup()
    assert len(everything.val_set) == 3


def test_rare_classes_and_aspect_groups(tiny: Any) -> None:
    module = build(tiny.root, batch_size=1, repeat_threshold=1.0)
    module.setup()
    sampler = module.train_dataloader().batch_sampler
    assert isinstance(sampler, RepeatedBatches)
    # of 4 images the tower is in 2; building, dog and castle in 1 each
    np.testing.assert_allclose(sampler.repeats, [2, 2, 2, 2**0.5])
    grouped = build(tiny.root, batch_size=2, aspect_groups=5, image_size=320, max_size=640)
    for batch in drawn(grouped):
        shapes = {tuple(image.shape[1:]) for image in batch["image"]}
        assert len(shapes) == 1


@pytest.mark.parametrize(
    ("key", "value"),
    [("batch_size", 0), ("num_workers", -1), ("validation_images", 0), ("repeat_threshold", -0.1)],
)
def test_impossible_settings(tiny: Any, key: str, value: float) -> None:
    with pytest.raises(LandmarksError, match=rf"data\.{key} is {value}: it must be"):
        build(tiny.root, **{key: value})


def test_too_few_images_for_a_batch(tiny: Any) -> None:
    module = build(tiny.root, batch_size=5)
    module.setup()
    with pytest.raises(LandmarksError, match="4 training images do not fill one batch of 5"):
        module.train_dataloader()
