"""What recognition needs is looked for before the first step of training, not after the epoch."""

from collections.abc import Callable
from pathlib import Path

import pytest
from omegaconf import DictConfig

from landmarks.errors import LandmarksError
from landmarks.training import train

Compose = Callable[..., DictConfig]


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["loss=npairs", "monitor=public/classifier_gap"], "monitor=public/classifier_gap: there is no classifier"),
        (["loss=softmax", "extraction.flip=true", "monitor=public/classifier_top1"], "there is no classifier"),
        (["predictions=nowhere"], "nowhere: no such folder of predictions"),
        (["detections=nowhere"], "nowhere: no such folder of detections"),
        (["recognition=classifier", "loss=npairs"], "needs what a classifier says"),
    ],
)
def test_it_is_refused_before_any_work(
    compose_config: Compose, tiny_run: list[str], tmp_path: Path, overrides: list[str], words: str
) -> None:
    config = compose_config("train", *tiny_run, *overrides, "evaluate_untrained=false", run_dir=tmp_path)
    with pytest.raises(LandmarksError, match=words):
        train(config, tmp_path)
    assert not (tmp_path / "checkpoints").exists() and not (tmp_path / "descriptors").exists()
