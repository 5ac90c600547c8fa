from types import SimpleNamespace
from typing import Any

import pytest
import torch

from landmarks.training.callbacks import BatchSeed


def draw(seed: int = 0, epoch: int = 0, batch: int = 0, rank: int = 0) -> float:
    trainer: Any = SimpleNamespace(current_epoch=epoch, global_rank=rank)
    BatchSeed(seed).on_train_batch_start(trainer, None, None, batch)  # type: ignore[arg-type]
    return torch.rand(()).item()


def test_chance_is_a_function_of_seed_epoch_batch_and_rank() -> None:
    torch.manual_seed(99)
    places = [{}, {"seed": 1}, {"epoch": 1}, {"batch": 1}, {"rank": 1}]
    drawn = [draw(**place) for place in places]
    assert len(set(drawn)) == len(places)
    assert drawn == [draw(**place) for place in places]


@pytest.mark.parametrize("seed", [0, 2**32 + 1])
def test_any_seed_will_do(seed: int) -> None:
    assert draw(seed) == draw(seed)
