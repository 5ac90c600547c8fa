"""Training a local branch: which weights learn, and runs with one, from the configuration to the opened checkpoint."""

import csv
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import DictConfig

from landmarks.errors import LandmarksError
from landmarks.local_features import DelfPyramid
from landmarks.losses import ArcMargin, LocalLoss
from landmarks.models import DescriptorNet, load_weights, open_checkpoint, open_model, timm_net
from landmarks.training import LandmarkModule, cosine, train

Compose = Callable[..., DictConfig]
LOCAL = ["model.local_dim=8", "evaluate_untrained=false", "trainer.max_steps=3", "trainer.max_epochs=null"]


@pytest.mark.parametrize("frozen", [False, True])
def test_every_weight_that_is_optimised_gets_a_gradient(frozen: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    model = timm_net("test_resnet", dim=8, local_dim=4, frozen_global=frozen)
    loss, local_loss = None if frozen else ArcMargin(5, 8), LocalLoss(5, 192)
    module = LandmarkModule(model, loss, partial(torch.optim.SGD, lr=0.1), cosine, local_loss=local_loss).train()
    logged: dict[str, torch.Tensor] = {}
    monkeypatch.setattr(module, "log", lambda name, value, **_: logged.update({name: value}))
    monkeypatch.setattr(module, "log_dict", lambda values, **_: logged.update(values))
    batch = {"image": torch.randint(0, 256, (4, 3, 64, 64), dtype=torch.uint8), "landmark": torch.arange(4)}
    module.training_step(batch, 0).backward()
    learning = {name for name, one in module.named_parameters() if one.requires_grad}
    # distributed training waits for every weight that could learn
    assert learning == {name for name, one in module.named_parameters() if one.grad is not None}
    parts = {name.split(".")[0] if name.startswith("loss") else ".".join(name.split(".")[:2]) for name in learning}
    everything = {"model.local", "local_loss.head", "model.backbone", "model.fc", "loss"}
    assert parts == ({"model.local", "local_loss.head"} if frozen else everything)
    assert torch.equal(logged["train/loss"], logged["train/local_loss"]) == frozen
    assert logged["train/local_loss"] > 10 * logged["train/reconstruction_error"] > 0


@pytest.mark.parametrize("frozen", [False, True])
def test_a_run_goes_on_exactly_and_its_checkpoint_opens(
    compose_config: Compose, tiny_run: list[str], tmp_path: Path, frozen: bool
) -> None:
    def run(name: str, *overrides: str) -> dict[str, torch.Tensor]:
        both = ["scheduler=step", "scheduler.milestones=[]", "trainer.log_every_n_steps=1", *LOCAL, *overrides]
        config = compose_config("train", *tiny_run, f"model.frozen_global={frozen}", *both, run_dir=tmp_path / name)
        assert train(config, tmp_path / name) is not None
        state: dict[str, torch.Tensor] = open_checkpoint(tmp_path / name / "checkpoints" / "last.ckpt")["state_dict"]
        return state

    whole = run("whole")
    run("parts", "trainer.max_steps=1")
    parts = run("parts", "trainer.max_steps=3", "resume=last")
    assert all(torch.equal(one, parts[name]) for name, one in whole.items())
    assert any(name.startswith("loss.") for name in whole) != frozen

    rows = list(csv.DictReader((tmp_path / "whole" / "logs" / "metrics.csv").open()))
    assert [bool(row.get("public/map@100")) for row in rows].count(True) == 1
    opened = open_model(tmp_path / "whole" / "checkpoints" / "best.ckpt")
    assert opened.record.task == ("retrieval" if frozen else "classification")
    assert isinstance(opened.network, DescriptorNet) and not opened.network.frozen_global
    assert all(torch.equal(one, whole[f"model.{name}"]) for name, one in opened.network.state_dict().items())
    assert DelfPyramid(opened.network).branch.dim == 8

    plain = timm_net("test_resnet", dim=32)  # a network without the branch takes the rest, and gives the same
    load_weights(plain, tmp_path / "whole" / "checkpoints" / "last.ckpt")
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(plain.eval()(images), opened.network(images))


def test_a_trained_network_gets_a_branch_and_keeps_its_weights(
    compose_config: Compose, tiny_run: list[str], trained_run: Any, tmp_path: Path
) -> None:
    frozen = ["model.frozen_global=true", f"model.pretrained={trained_run.checkpoint}"]
    train(compose_config("train", *tiny_run, *LOCAL, *frozen, run_dir=tmp_path), tmp_path)
    before, after = (
        open_model(one).network for one in (trained_run.checkpoint, tmp_path / "checkpoints" / "best.ckpt")
    )
    kept = {name: one for name, one in after.state_dict().items() if not name.startswith("local.")}
    assert kept.keys() == before.state_dict().keys()
    assert all(torch.equal(one, kept[name]) for name, one in before.state_dict().items())


def test_settings_that_cannot_train_are_named(compose_config: Compose, tiny_run: list[str], tmp_path: Path) -> None:
    for overrides, message in (
        (["model.name=test_convnext", "model.local_dim=8"], r"train with model\.local_relu=false"),
        (["model.local_dim=8", "local_loss.attention_weight=-1"], "local_loss: weights are 0 or more"),
    ):
        with pytest.raises(LandmarksError, match=message):
            train(compose_config("train", *tiny_run, *overrides, run_dir=tmp_path), tmp_path)
