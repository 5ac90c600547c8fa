import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from landmarks.models import AveragePool, GeM


def test_average() -> None:
    features = torch.tensor([[[[1.0, 2.0], [3.0, 6.0]], [[0.0, 0.0], [0.0, -4.0]]]])
    assert AveragePool()(features).tolist() == [[3.0, -1.0]]


def test_gem_by_hand() -> None:
    features = torch.tensor([[[[1.0, 2.0, -5.0, 3.0]]]])
    torch.testing.assert_close(GeM()(features), torch.tensor([[(36.0 / 4) ** (1 / 3)]]))


@given(seed=st.integers(0, 2**20), p=st.floats(1.0, 8.0), factor=st.floats(0.5, 20.0))
def test_gem_lies_between_average_and_maximum_and_scales(seed: int, p: float, factor: float) -> None:
    torch.manual_seed(seed)
    features = torch.rand(2, 3, 4, 5) + 0.01
    pooled = GeM(p)(features)
    assert (pooled >= AveragePool()(features) * (1 - 1e-5)).all()
    assert (pooled <= features.amax(dim=(2, 3)) * (1 + 1e-5)).all()
    torch.testing.assert_close(GeM(p)(factor * features), factor * pooled, rtol=1e-4, atol=0)


def test_gem_of_one_is_the_average_and_of_many_the_maximum() -> None:
    features = torch.rand(2, 3, 4, 5) + 0.01
    torch.testing.assert_close(GeM(1.0)(features), AveragePool()(features))
    torch.testing.assert_close(GeM(80.0)(features), features.amax(dim=(2, 3)), rtol=0.05, atol=0)


def test_gem_learns_its_exponent_even_from_a_dead_map() -> None:
    pool = GeM()
    features = torch.zeros(1, 2, 3, 3, requires_grad=True)
    pool(features).sum().backward()
    assert pool.p.grad.isfinite() and features.grad.isfinite().all()
    pool.zero_grad()
    pool(torch.rand(1, 2, 3, 3)).sum().backward()
    assert pool.p.grad > 0


@pytest.mark.parametrize("pool", [AveragePool(), GeM()])
def test_autocast_leaves_the_pool_in_float32(pool: torch.nn.Module) -> None:
    features = 30 * torch.rand(2, 3, 14, 14)
    with torch.autocast("cpu", torch.bfloat16):
        pooled = pool(features)
    assert pooled.dtype == torch.float32
    assert torch.equal(pooled, pool(features))
    assert pool(features.bfloat16()).dtype == torch.float32


def test_gem_refuses_exponents_that_make_no_mean() -> None:
    for options in ({"p": 0.0}, {"p": -1.0}, {"eps": 0.0}):
        with pytest.raises(ValueError, match="above 0"):
            GeM(**options)
