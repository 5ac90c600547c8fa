"""Class weights divided between ranks: gradients, checkpoints and resumed runs of one process, on 1, 2 and 4 ranks."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from landmarks.losses import ArcMargin, Softmax
from landmarks.models import open_checkpoint
from landmarks.training import BatchSeed, LandmarkModule, ShardedModule, WholeFiles, step
from ranks import run_ranks

CLASSES, DIM, BATCH, EPOCH = 11, 6, 8, 4
MARGIN = partial(ArcMargin, margin=0.3, scale=8.0)


class Net(nn.Module):
    dim = DIM

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, DIM)

    def forward(self, images: Tensor) -> Tensor:
        found: Tensor = self.linear(images.mean(dim=(2, 3)))
        return found


def batches(rank: int, ranks: int) -> DataLoader[Any]:
    torch.manual_seed(5)
    images = torch.randint(0, 256, (BATCH * EPOCH, 3, 2, 2), dtype=torch.uint8)
    rows = [{"image": image, "landmark": number * 7 % CLASSES} for number, image in enumerate(images)]
    share = BATCH // ranks
    mine = [list(range(first + rank * share, first + (rank + 1) * share)) for first in range(0, len(rows), BATCH)]
    return DataLoader(rows, batch_sampler=mine)  # type: ignore[arg-type]


def fit(
    folder: Path,
    rank: int = 0,
    ranks: int = 1,
    sharded: bool = True,
    loss: Any = MARGIN,
    rate: float = 1.0,
    epochs: int = 2,
    resume: str | None = None,
    write: str = "last.ckpt",
    **options: Any,
) -> LandmarkModule:
    """Train as a rank of a process group that is there, and write a checkpoint."""
    loader = batches(rank, ranks)
    torch.manual_seed(0)
    net, make = Net(), partial(loss, CLASSES, DIM)
    more = {"optimizer": partial(torch.optim.AdamW, lr=0.01), "scheduler": partial(step, milestones=[])}
    module = ShardedModule(net, make, rate, **more) if sharded else LandmarkModule(net, make(), **more)
    trainer = pl.Trainer(
        accelerator="cpu",
        strategy="ddp" if ranks > 1 else "auto",
        devices=ranks,
        logger=False,
        callbacks=[BatchSeed(0)],
        plugins=[WholeFiles(mapped=sharded)],
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        max_epochs=epochs,
        default_root_dir=str(folder),
        **options,
    )
    trainer.fit(module, loader, ckpt_path=resume, weights_only=True)
    trainer.save_checkpoint(folder / write)
    return module


def tensors(path: Path) -> dict[str, Tensor]:
    """Weights and moments in a checkpoint."""
    found = open_checkpoint(path)
    (optimizer,) = found["optimizer_states"]
    moments = {f"{number}.{name}": one for number, of in optimizer["state"].items() for name, one in of.items()}
    return {**found["state_dict"], **moments}


def assert_close(one: Path, other: Path, **tolerance: float) -> None:
    mine, theirs = tensors(one), tensors(other)
    assert mine.keys() == theirs.keys()
    for name, value in mine.items():
        torch.testing.assert_close(value, theirs[name], msg=lambda text, name=name: f"{name}: {text}", **tolerance)


@pytest.mark.parametrize("ranks", [1, 2, 4])
@pytest.mark.parametrize(
    ("loss", "options"),
    [
        (MARGIN, {}),
        (Softmax, {"gradient_clip_val": 0.02}),
        (Softmax, {"accumulate_grad_batches": 2}),
    ],
    ids=["margin", "bias, clipped", "accumulated"],
)
def test_checkpoints_are_those_of_one_process(loss: Any, options: dict[str, Any], ranks: int, tmp_path: Path) -> None:
    fit(tmp_path, sharded=False, loss=loss, write="alone.ckpt", **options)

    def of_rank(rank: int) -> int:
        module = fit(tmp_path, rank, ranks, loss=loss, **options)
        return len(module.loss.weight)  # type: ignore[union-attr, arg-type]

    shares = [of_rank(0)] if ranks == 1 else run_ranks(of_rank, tmp_path, ranks)
    assert sum(shares) == CLASSES and max(shares) - min(shares) <= 1
    assert_close(tmp_path / "last.ckpt", tmp_path / "alone.ckpt", rtol=1e-4, atol=1e-6)
    assert sorted(path.suffix for path in tmp_path.iterdir() if path.is_file()).count(".ckpt") == 2


@pytest.mark.parametrize("rate", [1.0, 0.5])
def test_resumed_on_as_many_ranks_it_is_exact(rate: float, tmp_path: Path) -> None:
    def of_rank(rank: int) -> None:
        fit(tmp_path, rank, 2, rate=rate, write="whole.ckpt")
        fit(tmp_path, rank, 2, rate=rate, epochs=1, write="half.ckpt")
        fit(tmp_path, rank, 2, rate=rate, resume=str(tmp_path / "half.ckpt"))

    run_ranks(of_rank, tmp_path)
    assert_close(tmp_path / "last.ckpt", tmp_path / "whole.ckpt", rtol=0, atol=0)


@pytest.mark.parametrize(("before", "after"), [(2, 4), (4, 1), (1, 2)])
def test_resumed_on_other_ranks_it_is_the_same_run(before: int, after: int, tmp_path: Path) -> None:
    def run(ranks: int, **options: Any) -> None:
        def of_rank(rank: int) -> None:
            fit(tmp_path, rank, ranks, sharded=ranks > 1, **options)

        folder = tmp_path / str(ranks)
        folder.mkdir()
        run_ranks(of_rank, folder, ranks)

    run(before, epochs=1, write="half.ckpt")
    run(after, resume=str(tmp_path / "half.ckpt"))
    fit(tmp_path, sharded=False, write="alone.ckpt")
    assert_close(tmp_path / "last.ckpt", tmp_path / "alone.ckpt", rtol=1e-4, atol=1e-6)
