"""Hashes of weights and the choice of what to resume; the rest is tested where it is used."""

import multiprocessing
import random
import time
from pathlib import Path

import pytest
import torch
from torch import nn

from landmarks.errors import LandmarksError
from landmarks.training.checkpoints import WholeFiles, find_resume, load_model, open_checkpoint, weights_hash


def test_the_hash_sees_every_weight_and_buffer() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    before = weights_hash(net)
    assert before == weights_hash(net.to(memory_format=torch.channels_last))
    net[1].running_mean[2] += 1e-3
    assert weights_hash(net) != before


def test_resume_last_is_the_newest_checkpoint_of_the_folder(tmp_path: Path) -> None:
    assert find_resume(None, tmp_path) is None
    last = tmp_path / "checkpoints" / "last.ckpt"
    WholeFiles().save_checkpoint({"state_dict": {}}, last)
    assert find_resume("last", tmp_path) == str(last)
    last.write_bytes(last.read_bytes()[:-9])
    with pytest.raises(LandmarksError, match=r"last\.ckpt: damaged"):
        find_resume("last", tmp_path)
    with pytest.raises(LandmarksError, match="there is no checkpoint"):
        find_resume(str(tmp_path / "other.ckpt"), tmp_path)


def test_a_truncated_checkpoint_is_named(tmp_path: Path) -> None:
    path = tmp_path / "best.ckpt"
    torch.save({"state_dict": {"a": torch.zeros(10_000)}}, path)
    path.write_bytes(path.read_bytes()[:20_000])
    with pytest.raises(LandmarksError, match=r"best\.ckpt"):
        open_checkpoint(path)


def test_a_checkpoint_of_another_program_is_named(tmp_path: Path) -> None:
    torch.save({"state_dict": {}}, tmp_path / "other.ckpt")
    with pytest.raises(LandmarksError, match="was not written by this version of landmarks"):
        load_model(tmp_path / "other.ckpt")
    torch.save([1, 2], tmp_path / "list.ckpt")
    with pytest.raises(LandmarksError, match="holds no state_dict"):
        load_model(tmp_path / "list.ckpt")


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
