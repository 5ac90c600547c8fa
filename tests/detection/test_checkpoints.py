from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hydra.utils import instantiate
from omegaconf import DictConfig

from landmarks.data.images import Preprocessing
from landmarks.detection import load_detector
from landmarks.errors import LandmarksError
from landmarks.models import checkpoint_record, read_model_record
from landmarks.recognition.detections import DetectionClasses

Compose = Callable[..., DictConfig]
CLASSES = DetectionClasses(np.array(["/m/a", "/m/b"]), np.array(["Ä", "B"]))


@pytest.fixture
def config(compose_config: Compose, small_run: list[str], tmp_path: Path) -> DictConfig:
    return compose_config("train", *small_run, run_dir=tmp_path)


def write(path: Path, config: DictConfig, **changes: object) -> torch.nn.Module:
    torch.manual_seed(3)
    model: torch.nn.Module = instantiate(config.model, fill=False)(num_classes=2)
    state = {f"model.{name}": value for name, value in model.state_dict().items()}
    prepared = Preprocessing("detection", 48, 80)
    names, titles = CLASSES.names.tolist(), CLASSES.titles.tolist()
    record = checkpoint_record(config, prepared, task="detection", class_names=names, class_titles=titles) | changes
    torch.save({"state_dict": state, "landmarks": record}, path)
    return model


def test_a_detector_is_built_again_with_its_weights_and_classes(config: DictConfig, tmp_path: Path) -> None:
    model = write(tmp_path / "d.ckpt", config)
    trained = load_detector(tmp_path / "d.ckpt")
    assert read_model_record(tmp_path / "d.ckpt").task == "detection"
    assert trained.classes.titles.tolist() == ["Ä", "B"]
    assert trained.name == "test"
    state = trained.model.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())


def test_records_do_not_resolve_environment_variables(
    config: DictConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_TOKEN", "hunter2")
    write(tmp_path / "d.ckpt", config)
    found = torch.load(tmp_path / "d.ckpt", weights_only=True)
    found["landmarks"]["config"]["name"] = "run_${oc.env:MY_TOKEN}"
    torch.save(found, tmp_path / "d.ckpt")
    assert load_detector(tmp_path / "d.ckpt").name == "run_${oc.env:MY_TOKEN}"


def test_one_that_was_tuned_from_weights_needs_them_no_more(config: DictConfig, tmp_path: Path) -> None:
    config.model.pretrained = str(tmp_path / "gone.pth")
    write(tmp_path / "d.ckpt", config)
    assert load_detector(tmp_path / "d.ckpt").network["pretrained"] is True


def test_other_checkpoints_are_refused(config: DictConfig, tmp_path: Path) -> None:
    path = tmp_path / "d.ckpt"
    write(path, config, record_version=99)
    with pytest.raises(LandmarksError, match="not written by this version"):
        load_detector(path)
    write(path, config, task="landmarks")
    with pytest.raises(LandmarksError, match="its record is invalid"):
        load_detector(path)
    found = torch.load(path, weights_only=True)
    found["landmarks"] |= {"task": "detection"}
    found["landmarks"]["config"]["model"]["forgotten"] = 1
    torch.save(found, path)
    with pytest.raises(LandmarksError, match=r"d\.ckpt: .*forgotten"):
        load_detector(path)
    write(path, config, class_names=["/m/a"], class_titles=["A"])
    with pytest.raises(LandmarksError, match="do not fit its architecture"):
        load_detector(path)
