"""Losses that compare the images of a batch give, on several ranks, value and gradients of one process."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from landmarks.losses import PML, NPairs, gather_batch
from ranks import run_ranks

BATCH, DIM = 8, 6
LANDMARKS = torch.tensor([4, 4, 1, 1, 0, 0, 3, 3])
LOSSES: dict[str, Callable[[], nn.Module]] = {
    "npairs": lambda: NPairs(5, DIM),
    "multi similarity with its miner": lambda: PML(5, DIM, miner="MultiSimilarityMiner"),
    "triplets": lambda: PML(5, DIM, loss="TripletMarginLoss"),
    "class weights": lambda: PML(5, DIM, loss="ArcFaceLoss"),
    "proxies": lambda: PML(5, DIM, loss="ProxyAnchorLoss"),
    "a memory that overflows": lambda: PML(5, DIM, loss="ContrastiveLoss", memory=11),
}


def trained(loss: nn.Module, images: Tensor, landmarks: Tensor, wrap: bool) -> list[Any]:
    """Value of the loss, gradients and memory after three steps of a network and its loss."""
    torch.manual_seed(1)
    net = nn.Linear(DIM, DIM).double()
    network = DistributedDataParallel(net) if wrap else net
    losses = DistributedDataParallel(loss) if wrap and list(loss.parameters()) else loss
    values = []
    for step in range(3):
        net.zero_grad()
        loss.zero_grad()
        value = losses(*gather_batch(network(images + step), landmarks))
        value.backward()
        values.append(value.item())
    grads = [one.grad.tolist() for one in (*net.parameters(), *loss.parameters())]
    return [values, grads, [one.tolist() for one in loss.buffers()]]


@pytest.mark.parametrize("name", LOSSES)
def test_value_and_gradients_of_one_process(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    images, loss = torch.randn(BATCH, DIM, dtype=torch.float64), LOSSES[name]().double()
    share = BATCH // 2

    def of_rank(rank: int) -> list[Any]:
        mine = slice(rank * share, (rank + 1) * share)
        return trained(loss, images[mine], LANDMARKS[mine], wrap=True)

    found = run_ranks(of_rank, tmp_path)
    expected = trained(loss, images, LANDMARKS, wrap=False)
    for one in found:
        for got, wanted in zip(one, expected, strict=True):
            for mine, theirs in zip(got, wanted, strict=True):
                assert torch.allclose(torch.tensor(mine), torch.tensor(theirs), rtol=1e-9, atol=1e-12)


def test_parts_of_gradients_are_summed(tmp_path: Path) -> None:
    """Each rank scores one class: the sum of both is the whole."""
    x, weight = torch.arange(8.0).reshape(4, 2), torch.tensor([[1.0, 2.0], [30.0, 40.0]])

    def of_rank(rank: int) -> list[list[float]]:
        mine = x[2 * rank : 2 * rank + 2].clone().requires_grad_()
        gathered, landmarks = gather_batch(mine, torch.tensor([rank, rank]), partial=True)
        assert torch.equal(gathered, x) and landmarks.tolist() == [0, 0, 1, 1]
        (gathered @ weight[rank]).sum().backward()
        assert mine.grad is not None
        return (mine.grad / 2).tolist()

    assert run_ranks(of_rank, tmp_path) == [[[31.0, 42.0]] * 2] * 2


def test_one_process_gathers_nothing() -> None:
    x, landmarks = torch.randn(2, 3), torch.arange(2)
    assert all(one is other for one, other in zip(gather_batch(x, landmarks), (x, landmarks), strict=True))
