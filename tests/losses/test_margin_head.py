"""What all margin losses share: scores, state in checkpoints, and the options they refuse."""

import copy
import math
from typing import Any

import pytest
import torch
from torch import Tensor

from landmarks.losses import AdaCos, AdaFace, CombinedMargin, CosFace, MarginHead

STATEFUL = {
    "lengths": lambda: AdaFace(7, 4, momentum=0.3),
    "scale": lambda: CosFace(7, 4, scale=AdaCos()),
    "random margins": lambda: CosFace(7, 4, margin_std=0.3),
    "all": lambda: AdaFace(
        7, 4, 0.4, AdaCos(), sub_centers=2, size_margin=0.5, margin_std=0.1, sort_margins=True, momentum=0.3
    ),
}


def batches() -> list[tuple[Tensor, Tensor]]:
    random = torch.Generator().manual_seed(1)
    return [(9 * torch.rand(5, 4, generator=random), torch.randint(7, (5,), generator=random)) for _ in range(6)]


@pytest.mark.parametrize("kind", STATEFUL)
def test_a_resumed_head_goes_on_as_if_nothing_had_happened(kind: str) -> None:
    head = STATEFUL[kind]()
    head.set_class_sizes(torch.arange(1, 8))
    losses, saved = [], {}
    for number, batch in enumerate(batches()):
        if number == 3:
            saved = copy.deepcopy(head.state_dict())
        losses.append(head(*batch).item())
    resumed = STATEFUL[kind]()
    resumed.set_class_sizes(torch.ones(7))
    resumed(*batches()[0])  # what it did before is forgotten
    resumed.load_state_dict(saved)
    assert [resumed(*batch).item() for batch in batches()[3:]] == losses[3:]
    fresh = STATEFUL[kind]()
    fresh.weight.data.copy_(head.weight)
    fresh.set_class_sizes(torch.arange(1, 8))
    assert [fresh(*batch).item() for batch in batches()[3:]] != losses[3:]


@pytest.mark.parametrize("kind", STATEFUL)
def test_evaluation_changes_nothing(kind: str) -> None:
    head = STATEFUL[kind]().eval()
    head.set_class_sizes(torch.arange(1, 8))
    before = copy.deepcopy(head.state_dict())
    values = {head(*batches()[0]).item() for _ in range(3)}
    assert len(values) == 1
    assert all(torch.equal(value, before[name]) for name, value in head.state_dict().items())


def test_random_margins_follow_the_seed_of_the_run() -> None:
    drawn = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        head = CosFace(7, 4, margin_std=0.3)
        torch.manual_seed(7)  # other random numbers do not matter
        head.weight.data.normal_()
        drawn.append(head(*batches()[0]).item())
    assert drawn[0] == drawn[1] != drawn[2]


def test_the_margin_can_be_raised_during_training() -> None:
    head = CombinedMargin(7, 4, 0.1)
    before = head(*batches()[0])
    head.margin = 0.4
    assert head(*batches()[0]) > before


def test_a_class_is_scored_by_its_nearest_center() -> None:
    head = CosFace(5, 4, scale=3.0, sub_centers=2)
    assert head.weight.shape == (5, 2, 4)
    x = torch.randn(3, 4)
    each = torch.stack([torch.cosine_similarity(x[:, None], head.weight[:, k], dim=2) for k in range(2)])
    torch.testing.assert_close(head.class_scores(x), 3 * each.amax(dim=0))
    parts = [head.class_scores(x, start, start + 2) for start in (0, 2, 4)]
    torch.testing.assert_close(torch.cat(parts, dim=1), head.class_scores(x))


def test_margins_by_size_need_the_sizes() -> None:
    head = CosFace(3, 4, size_margin=0.5)
    with pytest.raises(ValueError, match="set_class_sizes"):
        head(torch.randn(2, 4), torch.tensor([0, 1]))
    for wrong in (torch.tensor([1, 2]), torch.tensor([1, 0, 2])):
        with pytest.raises(ValueError, match="class sizes"):
            head.set_class_sizes(wrong)


@pytest.mark.parametrize(
    "options",
    [
        {"num_landmarks": 0},
        {"dim": 0},
        {"chunk": 0},
        {"sub_centers": 0},
        {"margin": -0.1},
        {"margin": math.inf},
        {"scale": 0.0},
        {"scale": math.inf},
        {"scale": math.nan},
        {"scale": AdaCos(), "num_landmarks": 2},
        {"label_smoothing": 1.0},
        {"label_smoothing": -0.1},
        {"size_margin": -1.0},
        {"size_power": math.nan},
        {"margin_std": -0.1},
    ],
)
def test_the_base_checks_what_all_share(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        CosFace(**{"num_landmarks": 3, "dim": 4, **options})


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (CombinedMargin, {"angle_factor": 0.0}),
        (CombinedMargin, {"cosine_margin": -1.0}),
        (CombinedMargin, {"clip": 2.0}),
        (AdaFace, {"concentration": -1.0}),
        (AdaFace, {"momentum": 0.0}),
    ],
)
def test_options_out_of_range(kind: type[MarginHead], options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        kind(3, 4, **options)


@pytest.mark.parametrize("kind", [CosFace, CombinedMargin, AdaFace])
def test_descriptors_on_top_of_their_landmark_stay_finite(kind: type[MarginHead]) -> None:
    head = kind(3, 4)
    x = torch.cat([head.weight.data, -head.weight.data]).requires_grad_()
    head(x, torch.tensor([0, 1, 2, 0, 1, 2])).backward()
    assert x.grad.isfinite().all() and head.weight.grad.isfinite().all()


def test_a_batch_of_one_image() -> None:
    assert AdaFace(3, 4)(torch.randn(1, 4), torch.tensor([1])).isfinite()


def test_what_is_printed() -> None:
    assert "margin=0.35, scale=64.0, sub_centers=2" in repr(CosFace(3, 4, sub_centers=2))
