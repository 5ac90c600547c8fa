"""Values in configs that depend on the machine."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from omegaconf import DictConfig

from landmarks.config import best_precision, file_name


def test_precision_is_full_without_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert best_precision("auto") == "32-true"


@pytest.mark.parametrize(
    ("accelerator", "expected"), [("auto", "bf16-mixed"), ("gpu", "bf16-mixed"), ("cpu", "32-true")]
)
def test_precision_is_bfloat16_where_the_gpu_has_it(
    monkeypatch: pytest.MonkeyPatch, accelerator: str, expected: str
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: True)
    assert best_precision(accelerator) == expected


def test_file_names_lose_what_a_path_cannot_hold() -> None:
    assert file_name("model=res200,data.root=/a b/c") == "model=res200,data.root=-a-b-c"
    assert file_name("") == "default"
    assert len(file_name("x" * 500)) == 120


def test_each_metric_has_a_best_mode(compose_config: Callable[..., DictConfig], tmp_path: Path) -> None:
    for monitor, mode in (("public/map@100", "max"), ("private/mean_position", "min")):
        config = compose_config("train", f"monitor={monitor}", run_dir=tmp_path)
        assert config.callbacks.checkpoint.mode == mode
