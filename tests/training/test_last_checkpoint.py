"""When `last.ckpt` is written, with real signals; that runs go on from it exactly is tested in test_resume."""

import logging
import signal
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from landmarks.training import LastCheckpoint


class Net(pl.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Linear(1, 1)

    def training_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        loss: Tensor = self.net(batch).mean()
        return loss

    def validation_step(self, batch: Tensor, batch_idx: int) -> None:
        pass

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


class Signals(pl.Callback):
    """Sends this process signals while a batch is computed."""

    def __init__(self, signals: list[int], during: str, batch: int) -> None:
        self.signals, self.during, self.batch = signals, during, batch

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        if self.during == "training" and batch_idx == self.batch:
            for number in self.signals:
                signal.raise_signal(number)  # to this thread: two sent to the process may arrive as one

    def on_validation_batch_start(self, *args: Any) -> None:
        if self.during == "evaluation":
            for number in self.signals:
                signal.raise_signal(number)  # to this thread: two sent to the process may arrive as one


def fit(path: Path, minutes: float, *callbacks: pl.Callback, **options: Any) -> list[int]:
    """Train for 2 epochs of 10 batches; return the steps at which `path` was written."""
    written: list[int] = []

    class Note(LastCheckpoint):
        def _write(self, trainer: pl.Trainer) -> None:
            written.append(trainer.global_step)
            super()._write(trainer)

    trainer = pl.Trainer(
        **{
            "max_epochs": 2,
            "accelerator": "cpu",
            "logger": False,
            "callbacks": [*callbacks, Note(path, minutes)],
            "num_sanity_val_steps": 0,
            "enable_progress_bar": False,
            "enable_model_summary": False,
            **options,
        }
    )
    loader = DataLoader(torch.ones(10, 1))  # type: ignore[arg-type]
    try:
        trainer.fit(Net(), loader, loader)
    except SystemExit as stop:
        written.append(-int(str(stop.code)))
    return written


@pytest.mark.parametrize(
    ("minutes", "options", "expected"),
    [
        (1e9, {}, [10, 10, 20, 20]),  # before and after each evaluation
        (1e9, {"check_val_every_n_epoch": 2}, [20, 20]),
        (1e9, {"check_val_every_n_epoch": 3}, [20]),  # at the end all the same
        (1e9, {"val_check_interval": 4}, [4, 4, 8, 8, 14, 14, 18, 18, 20]),
        (1e9, {"max_steps": 7, "max_epochs": -1}, [7]),
        (0.0, {"max_steps": 7, "max_epochs": -1}, [1, 2, 3, 4, 5, 6, 7]),
        (0.0, {"max_epochs": 1, "accumulate_grad_batches": 4}, [1, 2, 3, 3]),  # never while gradients accumulate
        (0.0, {"max_epochs": 1, "fast_dev_run": True}, []),
    ],
    ids=str,
)
def test_it_is_written_at_these_steps(
    tmp_path: Path, minutes: float, options: dict[str, Any], expected: list[int]
) -> None:
    if options.get("fast_dev_run"):
        fit(tmp_path / "last.ckpt", minutes, **options)
        assert not (tmp_path / "last.ckpt").exists()
    else:
        assert fit(tmp_path / "last.ckpt", minutes, **options) == expected


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_lets_the_batch_finish_and_writes(
    tmp_path: Path, number: int, caplog: pytest.LogCaptureFixture
) -> None:
    before = signal.getsignal(number)
    path = tmp_path / "last.ckpt"
    with caplog.at_level(logging.WARNING):
        assert fit(path, 1e9, Signals([number], "training", 3)) == [4, -128 - number]
    assert "resume=last goes on after step 4" in caplog.text
    assert torch.load(path, weights_only=True)["global_step"] == 4
    assert signal.getsignal(number) is before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_during_the_first_evaluation_keeps_what_was_trained(
    tmp_path: Path, number: int, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "last.ckpt"
    with caplog.at_level(logging.WARNING):
        assert fit(path, 1e9, Signals([number], "evaluation", 0)) == [10, -128 - number]
    assert "resume=last goes on after step 10" in caplog.text
    assert torch.load(path, weights_only=True)["global_step"] == 10


def test_a_signal_in_the_last_batch_before_an_evaluation_stops_before_it(tmp_path: Path) -> None:
    stop = Signals([signal.SIGTERM], "training", 9)
    assert fit(tmp_path / "last.ckpt", 1e9, stop) == [10, -128 - signal.SIGTERM]


def test_a_second_ctrl_c_ends_at_once(tmp_path: Path) -> None:
    # Python's own, whatever it was: a test whose training ended by Ctrl-C leaves the signal ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        # Lightning catches the KeyboardInterrupt and exits with 1
        assert fit(tmp_path / "last.ckpt", 1e9, Signals([signal.SIGINT] * 2, "training", 3)) == [-1]
    finally:
        signal.signal(signal.SIGINT, before)  # it leaves the signal ignored


def test_two_checkpoint_callbacks_live_together(tmp_path: Path) -> None:
    best = pl.callbacks.ModelCheckpoint(tmp_path, "best", save_on_train_epoch_end=False, enable_version_counter=False)
    assert fit(tmp_path / "last.ckpt", 0.0, best, max_epochs=1) == [*range(1, 11), 10]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["best.ckpt", "last.ckpt"]
    saved = torch.load(tmp_path / "last.ckpt", weights_only=True)["callbacks"]
    assert [state["best_model_path"] for state in saved.values()] == [str(tmp_path / "best.ckpt")]
