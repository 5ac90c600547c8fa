"""Samplers and losses in a plain torch loop."""

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from landmarks.data import BalancedBatches, PairBatches, PlainBatches, ShuffledBatches
from landmarks.losses import ArcMargin, NPairs, Softmax

LABELS = np.repeat(np.arange(6), [1, 2, 3, 4, 5, 6])


def test_rows_of_any_data_set_for_a_loader_of_torch() -> None:
    data = TensorDataset(torch.arange(21), torch.from_numpy(LABELS))
    batches = PlainBatches(PairBatches(LABELS, 8))
    loader = DataLoader(data, batch_sampler=batches)
    first, second = list(loader), list(loader)
    assert len(first) == len(loader) == len(batches) == 2
    for _, labels in first:
        assert torch.equal(labels[0::2], labels[1::2]) and len(labels[0::2].unique()) == 4
    assert not all(torch.equal(a[0], b[0]) for a, b in zip(first, second, strict=True)), "another epoch, other batches"
    batches.set_epoch(0)
    assert all(torch.equal(a[0], b[0]) for a, b in zip(first, loader, strict=True))
    rows = [row for batch in PlainBatches(ShuffledBatches(21, 7)) for row in batch]
    assert sorted(rows) == list(range(21))
    batch = next(iter(PlainBatches(BalancedBatches(LABELS.tolist(), 8, 4, 0.5))))
    assert len(set(LABELS[batch])) == 2


@pytest.mark.parametrize("loss", [ArcMargin(6, 4), Softmax(6, 4), NPairs(6, 4)])
def test_losses_train_what_gives_descriptors(loss: torch.nn.Module) -> None:
    torch.manual_seed(0)
    points = torch.randn(6, 10)[LABELS] + 0.1 * torch.randn(21, 10)
    net = torch.nn.Linear(10, 4)
    optimizer = torch.optim.Adam([*net.parameters(), *loss.parameters()], 0.02)
    loader = DataLoader(
        TensorDataset(points, torch.from_numpy(LABELS)), batch_sampler=PlainBatches(PairBatches(LABELS, 8))
    )
    values = []
    for _ in range(20):
        for descriptors, labels in loader:
            optimizer.zero_grad()
            value = loss(net(descriptors), labels)
            value.backward()
            optimizer.step()
            values.append(float(value.detach()))
    assert np.mean(values[-5:]) < 0.8 * np.mean(values[:5])
