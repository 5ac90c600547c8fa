"""Files in conf/ get the defaults of the constructors that they name, without importing them."""

import inspect
import subprocess
import sys
from pathlib import Path

import pytest
from hydra.utils import get_object
from omegaconf import OmegaConf

from landmarks.config import CompletedFiles, complete, config_root, plain_defaults
from landmarks.errors import LandmarksError

TARGETS = sorted(
    {
        line.split("_target_:")[1].split("#")[0].split(",")[0].strip(" {}\"'")
        for path in (config_root() / "conf").rglob("*.yaml")
        for line in path.read_text().splitlines()
        if "_target_: landmarks." in line
    }
)


@pytest.mark.parametrize("target", TARGETS)
def test_defaults_read_from_source_equal_those_of_the_constructor(target: str) -> None:
    parameters = inspect.signature(get_object(target)).parameters
    found = plain_defaults(target)
    for name, value in found.items():
        default = parameters[name].default
        assert value == (list(default) if isinstance(default, tuple) else default), name
    plain = {
        name
        for name, parameter in parameters.items()
        if parameter.default is None or type(parameter.default) in (int, float, bool, str)
    }
    assert plain <= set(found)


def test_a_value_of_the_file_stays_and_others_are_added() -> None:
    config = OmegaConf.create(
        {
            "schedule": {"_target_": "landmarks.training.cosine", "_partial_": True, "final": 0.1},
            "several": [{"_target_": "landmarks.data.ValidationSize"}],
            "library": {"_target_": "torch.optim.SGD", "lr": 1.0},
            "later": "${schedule}",
            "missing": "???",
        }
    )
    complete(config)
    assert config.schedule == {
        "_target_": "landmarks.training.cosine",
        "_partial_": True,
        "final": 0.1,
        "warmup": 0.05,
    }
    assert config.several[0].index_distractors is None
    assert config.library == {"_target_": "torch.optim.SGD", "lr": 1.0}


def test_classes_of_the_working_directory_are_completed_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "base.py").write_text("class Base:\n    def __init__(self, width=3, *, name='a'): ...\n")
    (tmp_path / "mine" / "net.py").write_text("from mine.base import Base\n\nclass Net(Base):\n    pass\n")
    monkeypatch.chdir(tmp_path)
    assert plain_defaults("mine.net.Net") == {"width": 3, "name": "a"}


@pytest.mark.parametrize("target", ["nowhere.Thing", "landmarks.nowhere.Thing", "landmarks", "", "torch.optim.SGD"])
def test_other_names_have_no_defaults(target: str) -> None:
    assert plain_defaults(target) == {}


def test_large_libraries_are_not_imported() -> None:
    code = (
        "import sys; from landmarks.config.defaults import plain_defaults\n"
        f"for target in {TARGETS!r}: plain_defaults(target)\n"
        "assert not {'torch', 'matplotlib', 'polars'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_class_named_after_another_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "late.yaml").write_text("defaults: [other, _self_]\n_target_: landmarks.data.ValidationSize\n")
    (tmp_path / "first.yaml").write_text("defaults: [_self_, other]\n_target_: landmarks.data.ValidationSize\n")
    source = CompletedFiles("test", f"completed://{tmp_path}")
    assert source.load_config("first").config["queries"] == "scored"
    with pytest.raises(LandmarksError, match=r"late.*put `_self_` first"):
        source.load_config("late")
