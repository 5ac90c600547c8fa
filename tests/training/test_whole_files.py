"""Checkpoints are written atomically, whatever happens meanwhile."""

import multiprocessing
import random
import time
from pathlib import Path

import pytest
import torch

from landmarks.errors import LandmarksError
from landmarks.models import open_checkpoint
from landmarks.training import WholeFiles


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
        unfinished += any(path.parent.glob(".last.ckpt.*.partial"))
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


def test_a_flipped_bit_is_an_error_or_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "last.ckpt"
    written = {"state_dict": {"weight": torch.arange(300.0), "bias": torch.ones(3)}, "landmarks": {"name": "run"}}
    WholeFiles().save_checkpoint(written, path)
    good, chance, noticed = path.read_bytes(), random.Random(0), 0
    for mapped in (False, True):
        for _ in range(200):
            bad = bytearray(good)
            bad[chance.randrange(len(bad))] ^= 1 << chance.randrange(8)
            path.write_bytes(bad)
            try:
                found = open_checkpoint(path, mapped)
            except LandmarksError as error:
                assert str(path) in str(error)
                noticed += 1
            else:
                assert found["landmarks"] == written["landmarks"]
                for name, values in written["state_dict"].items():
                    assert torch.equal(found["state_dict"][name], values)
    assert noticed > 200
