from functools import partial

import pytest
import pytorch_lightning as pl
import torch

from landmarks.errors import LandmarksError
from landmarks.training import build_optimizers, cosine


class Frozen(pl.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.trained = torch.nn.Linear(2, 2)
        self.frozen = torch.nn.Linear(2, 2).requires_grad_(False)

    def training_step(self, batch: torch.Tensor, batch_idx: int) -> torch.Tensor:
        return self.trained(batch).sum()

    def configure_optimizers(self) -> object:
        self.built = build_optimizers(self, partial(torch.optim.SGD, lr=0.5), cosine)
        return self.built


def fit(**options: object) -> Frozen:
    module = Frozen()
    trainer = pl.Trainer(accelerator="cpu", logger=False, enable_progress_bar=False, enable_checkpointing=False,
                         enable_model_summary=False, **options)  # fmt: skip
    trainer.fit(module, torch.utils.data.DataLoader(torch.ones(8, 2), batch_size=2))
    return module


def test_what_is_frozen_stays_out_and_the_schedule_spans_the_run() -> None:
    built = fit(max_epochs=3).built
    assert [len(group["params"]) for group in built["optimizer"].param_groups] == [2]
    assert built["lr_scheduler"]["interval"] == "step"
    assert built["optimizer"].param_groups[0]["lr"] == pytest.approx(0.0, abs=1e-9)  # at the end of 12 steps


def test_a_run_without_an_end_is_refused() -> None:
    with pytest.raises(LandmarksError, match=r"set trainer\.max_epochs or trainer\.max_steps"):
        fit(max_epochs=-1)
