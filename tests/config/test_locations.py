"""Hydra finds our groups from anywhere, and the user's own beside them."""

import importlib
import sys
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from landmarks.config import (
    config_root,
    import_from_here,
    known_targets,
    named_code,
    register_resolvers,
    register_search_path,
)


def test_config_root_holds_all_three_folders() -> None:
    for folder in ("conf", "experiments", "sweeps"):
        assert (config_root() / folder).is_dir()


def test_experiments_are_found_from_another_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    register_search_path()
    register_resolvers()
    with initialize_config_dir(str(config_root() / "conf"), version_base="1.3"):
        config = compose("train", ["experiments=res152_npairs", "data.root=x"], return_hydra_config=True)
    assert config.loss._target_.endswith("NPairs")


def test_own_configs_in_the_working_directory_join_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "conf" / "optimizer").mkdir(parents=True)
    (tmp_path / "conf" / "optimizer" / "mine.yaml").write_text(
        "_target_: torch.optim.RMSprop\n_partial_: true\nlr: 0.5\n"
    )
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments" / "mine.yaml").write_text(
        "# @package _global_\ndefaults: [{override /optimizer: mine}]\nname: mine\n"
    )
    monkeypatch.chdir(tmp_path)
    register_search_path()
    register_resolvers()
    with initialize_config_dir(str(config_root() / "conf"), version_base="1.3"):
        config = compose("train", ["experiments=mine"])
    assert config.optimizer.lr == 0.5


def test_files_of_the_working_directory_can_be_imported_after_what_is_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "somebodys_loss.py").write_text("MARGIN = 3")
    for installed in ("json", "wave"):  # imported already and not
        (tmp_path / f"{installed}.py").write_text("raise AssertionError('taken for the installed one')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    import_from_here(["json.loads", "wave.open", "landmarks.losses.Softmax", "", "${odd}"])
    assert str(tmp_path) not in sys.path  # nothing there was named
    import_from_here(["somebodys_loss.Loss"])
    import_from_here(["somebodys_loss.Loss"])
    assert importlib.import_module("somebodys_loss").MARGIN == 3
    assert sys.path.count(str(tmp_path)) == 1 and sys.path[-1] == str(tmp_path)


def test_targets_of_the_working_directory_are_not_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "conf" / "loss").mkdir(parents=True)
    (tmp_path / "conf" / "loss" / "mine.yaml").write_text("_target_: my.Loss\n")
    monkeypatch.chdir(tmp_path)
    known_targets.cache_clear()
    assert "landmarks.losses.ArcMargin" in known_targets("loss") and "my.Loss" not in known_targets("loss")


def test_targets_of_a_configuration_are_found_at_any_depth() -> None:
    config = OmegaConf.create({"loss": {"_target_": "my.Loss", "parts": [{"a": {"_target_": "my.Part"}}]}})
    assert named_code(config) == ["my.Loss", "my.Part"]
    config.trust = ["my.Net"]
    assert named_code(config) == ["my.Loss", "my.Part", "my.Net"]
