"""The record of a run in its folder."""

import json
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from landmarks.config import record
from landmarks.errors import LandmarksError


def test_the_record_holds_resolved_config_versions_seed_and_commit(tmp_path: Path) -> None:
    record.write_record(OmegaConf.create({"job": "train", "seed": 7, "name": "run_${seed}"}), tmp_path / "run")
    config = OmegaConf.load(tmp_path / "run" / "config.yaml")
    assert config.name == "run_7"
    assert "${" not in (tmp_path / "run" / "config.yaml").read_text()
    written = json.loads((tmp_path / "run" / "run.json").read_text())
    assert record.read_kind(tmp_path / "run") == ("train", "landmarks")
    assert written["seed"] == 7
    assert {"python", "torch", "timm"} <= set(written["versions"])
    assert written["machine"]["cores"] >= 1
    assert written["git"] is None or len(written["git"]["commit"]) == 40


def test_json_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "metrics.json"
    record.write_json(path, {"a": 1})
    with pytest.raises(TypeError):
        record.write_json(path, {"a": object()})
    assert json.loads(path.read_text()) == {"a": 1}
    assert [file.name for file in tmp_path.iterdir()] == ["metrics.json"]


@pytest.mark.parametrize("text", ["", "{}", "[1]", "null", '{"job": "train"}', "[" * 100_000])
def test_an_empty_record_is_named(text: str, tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(LandmarksError, match=r"run\.json: is not the record of a run"):
        record.read_kind(tmp_path)
