"""Hashes of weights and the choice of what to resume; the rest is tested where it is used."""

from pathlib import Path

import pytest
import torch
from torch import nn

from landmarks.errors import LandmarksError
from landmarks.training.checkpoints import find_resume, open_checkpoint, open_record, weights_hash


def test_the_hash_sees_every_weight_and_buffer() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    before = weights_hash(net)
    assert before == weights_hash(net.to(memory_format=torch.channels_last))
    net[1].running_mean[2] += 1e-3
    assert weights_hash(net) != before


def test_resume_last_is_the_newest_checkpoint_of_the_folder(tmp_path: Path) -> None:
    assert find_resume(None, tmp_path) is None
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "last.ckpt").touch()
    assert find_resume("last", tmp_path) == str(tmp_path / "checkpoints" / "last.ckpt")
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
        open_record(tmp_path / "other.ckpt")
    torch.save([1, 2], tmp_path / "list.ckpt")
    with pytest.raises(LandmarksError, match="holds no state_dict"):
        open_record(tmp_path / "list.ckpt")
