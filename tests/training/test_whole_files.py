"""A checkpoint is whole or not there, whatever happens while it is written."""

import multiprocessing
import random
import time
from pathlib import Path

import pytest
import torch

from landmarks.models.checkpoints import open_checkpoint
from landmarks.training.whole_files import WholeFiles


def write_on_and_on(path: Path) -> None:
    for step in range(100_000):
        WholeFiles().save_checkpoint({"state_dict": {"step": torch.full((1_000_000,), step)}}, path)


def test_a_killed_process_leaves_the_checkpoint_before(tmp_path: Path) -> None:
    path = tmp_path / "checkpoints" / "last.ckpt"
    WholeFiles().save_checkpoint({"state_dict": {"step": torch.full((1_000_000,), -1)}}, path)
    chance = random.Random(0)
    unfinished = 0
    for _ in range(12):
        writer = multiprocessing.get_context("fork").Process(target=write_on_and_on, args=(path,))
        writer.start()
        time.sleep(chance.uniform(0.02, 0.12))
        writer.kill()
        writer.join()
        steps = open_checkpoint(path)["state_dict"]["step"]
        assert len(steps) == 1_000_000 and (steps == steps[0]).all()
        unfinished += path.with_name(".last.ckpt.partial").exists()
    assert unfinished  # else no kill came while a file was written
    WholeFiles().save_checkpoint({"state_dict": {}}, path)
    assert list(path.parent.iterdir()) == [path]


def test_a_checkpoint_that_cannot_be_written_leaves_the_one_before(tmp_path: Path) -> None:
    path = tmp_path / "last.ckpt"
    WholeFiles().save_checkpoint({"state_dict": {}}, path)
    with pytest.raises(Exception, match="pickle"):
        WholeFiles().save_checkpoint({"state_dict": {"first": torch.zeros(1000), "then": lambda: None}}, path)
    assert open_checkpoint(path) == {"state_dict": {}}
    assert list(tmp_path.iterdir()) == [path]
