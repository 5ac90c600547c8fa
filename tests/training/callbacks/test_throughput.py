"""Pictures a second, counted over ranks and since the last report."""

from types import SimpleNamespace
from typing import Any

import pytest

from landmarks.training.callbacks import Throughput, throughput


def test_it_reports_once_an_interval_over_all_ranks(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 100.0, 102.0])
    monkeypatch.setattr(throughput.time, "perf_counter", lambda: next(clock))
    logged: list[tuple[str, float]] = []
    module: Any = SimpleNamespace(log=lambda name, value, **_: logged.append((name, value)))
    trainer: Any = SimpleNamespace(world_size=2, log_every_n_steps=3, global_step=0)
    meter = Throughput()
    meter.on_train_epoch_start(trainer, module)
    for step in range(3):
        trainer.global_step = step
        meter.on_train_batch_end(trainer, module, None, {"image": [0] * 10}, step)
    assert logged == [("train/images_per_second", 2 * 30 / 2.0)]
