"""Losses and miners of pytorch-metric-learning by name."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from pytorch_metric_learning import distances, losses, miners
from torch import nn

from landmarks.losses import PML

X = torch.randn(12, 5, generator=torch.Generator().manual_seed(0))
LANDMARKS = torch.arange(4).repeat_interleave(3)


@pytest.mark.parametrize(
    ("options", "theirs"),
    [
        ({}, losses.MultiSimilarityLoss()),
        ({"loss": "CircleLoss", "options": {"gamma": 40}}, losses.CircleLoss(gamma=40)),
        ({"loss": "pytorch_metric_learning.losses.FastAPLoss"}, losses.FastAPLoss()),
        (
            {"loss": "ContrastiveLoss", "options": {"distance": distances.LpDistance(p=1)}},
            losses.ContrastiveLoss(distance=distances.LpDistance(p=1)),
        ),
    ],
    ids=["default", "options", "path", "distance"],
)
def test_it_is_the_loss_of_the_library(options: dict[str, Any], theirs: nn.Module) -> None:
    assert torch.equal(PML(4, 5, **options)(X, LANDMARKS), theirs(X, LANDMARKS))


def test_a_miner_chooses_the_pairs() -> None:
    loss = PML(4, 5, loss="TripletMarginLoss", miner="TripletMarginMiner", miner_options={"type_of_triplets": "hard"})
    mined = miners.TripletMarginMiner(type_of_triplets="hard")(X, LANDMARKS)
    assert torch.equal(loss(X, LANDMARKS), losses.TripletMarginLoss()(X, LANDMARKS, mined))


@pytest.mark.parametrize(
    "name", ["ArcFaceLoss", "CosFaceLoss", "ProxyAnchorLoss", "SubCenterArcFaceLoss", "P2SGradLoss"]
)
def test_class_weights_fit_the_data(name: str) -> None:
    loss = PML(4, 5, loss=name)
    assert {5} <= set(next(loss.parameters()).shape)
    loss(X[::3], LANDMARKS[::3]).backward()  # of landmarks that all differ
    assert all(one.grad is not None and one.grad.any() for one in loss.parameters())


@pytest.mark.parametrize("after", [1, 3], ids=["filling", "full"])
def test_the_memory_goes_on_from_a_checkpoint(after: int, tmp_path: Path) -> None:
    def memory() -> PML:
        return PML(4, 5, loss="ContrastiveLoss", miner="PairMarginMiner", memory=30)

    whole, before = memory(), memory()
    batches = [X + step for step in range(5)]
    expected = [whole(x, LANDMARKS).item() for x in batches]
    assert [before(x, LANDMARKS).item() for x in batches[:after]] == expected[:after]
    torch.save(before.state_dict(), tmp_path / "memory.pt")
    resumed = memory()
    resumed.load_state_dict(torch.load(tmp_path / "memory.pt", weights_only=True))
    assert [resumed(x, LANDMARKS).item() for x in batches[after:]] == expected[after:]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"loss": "MultiSimilarityLos"}, r"loss\.loss=MultiSimilarityLos: .* has no class .*did you mean MultiSimil"),
        ({"options": {"alfa": 3}}, r"loss\.loss=MultiSimilarityLoss: .*unexpected keyword argument 'alfa'"),
        ({"miner": "HardMiner"}, r"loss\.miner=HardMiner: .*no class HardMiner; did you mean Batch"),
        ({"loss": "nowhere.Loss"}, r"loss\.loss=nowhere\.Loss: No module named 'nowhere'"),
        ({"miner": "PairMarginMiner", "miner_options": {"margin": 1}}, "unexpected keyword argument 'margin'"),
        ({"loss": "GenericPairLoss"}, "missing 1 required positional argument: 'mat_based_loss'"),
        ({"loss": "ArcFaceLoss", "memory": 64}, "not supported for ArcFaceLoss"),
    ],
)
def test_mistakes_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PML(4, 5, **options)


def test_a_batch_without_pairs_is_refused() -> None:
    with pytest.raises(ValueError, match="no two of the 4 images of this batch show the same landmark"):
        PML(4, 5)(X[::3], LANDMARKS[::3])


def test_a_memory_below_a_batch_is_refused() -> None:
    with pytest.raises(ValueError, match="memory=8 is less than a batch of all devices, 12"):
        PML(4, 5, loss="ContrastiveLoss", memory=8)(X, LANDMARKS)


def test_a_missing_library_is_named() -> None:
    code = (
        "import sys; sys.modules['pytorch_metric_learning'] = None\n"
        "from landmarks.losses import PML\n"
        "try: PML(4, 5)\n"
        "except ValueError as error: print(error)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert found == "needs pytorch-metric-learning: pip install 'landmarks[pml]'\n"
