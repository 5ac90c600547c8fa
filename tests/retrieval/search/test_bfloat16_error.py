import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from landmarks.retrieval.search import lowest_score, product_error, rounded_rows


def as_key(values):
    """bfloat16 numbers from 0 as the int16 that stands for them."""
    return torch.tensor(values).bfloat16().view(torch.int16).numpy()


def as_number(keys):
    return (keys.astype(np.int32) << 16).view(np.float32).astype(np.float64)


def test_rows_are_rounded_and_what_is_lost_is_bounded_from_above():
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((1500, 33)).astype(np.float32)
    rows[0], rows[1] = 1, 1e-30 * rows[1]
    rounded, lost = rounded_rows(rows, 1504)
    np.testing.assert_array_equal(rounded[:1500].float().numpy(), torch.from_numpy(rows).bfloat16().float().numpy())
    assert not rounded[1500:].any()
    true = np.linalg.norm(rows.astype(np.float64) - rounded[:1500].double().numpy(), axis=1)
    assert (lost >= true).all() and (lost <= true * 1.001 + 1e-17).all()
    # Seldom more than half of what the format allows.
    assert np.median(lost[2:] / np.linalg.norm(rows[2:], axis=1)) < 0.5 * 2.0**-8


@pytest.mark.filterwarnings("error")
def test_rows_that_may_not_be_written_to_are_rounded_without_a_warning():
    rows = np.ones((4, 3), np.float32)
    rows.flags.writeable = False
    assert rounded_rows(rows, 4)[0].float().sum() == 12


@given(
    seed=st.integers(0, 2**32 - 1),
    dim=st.sampled_from([1, 2, 17, 512]),
    scale=st.sampled_from([1e-25, 1e-3, 1, 1e4]),
    same_sign=st.booleans(),
)
def test_no_product_is_further_off_than_the_bound(seed, dim, scale, same_sign):
    rng = np.random.default_rng(seed)
    # All just below a half between two bfloat16 numbers, all signs alike: roundings add up instead of cancelling.
    rows = np.float32(scale) * (1 + 2.0**-8 * rng.uniform(0.9, 1, (40, dim))).astype(np.float32)
    if not same_sign:
        rows = rows * rng.choice([-1, 1], rows.shape).astype(np.float32)
    rounded, lost = rounded_rows(rows, len(rows))
    lengths = np.linalg.norm(rows.astype(np.float64), axis=1) * (1 + 1e-6)
    error = product_error(dim, lengths, lost, lengths.max(), lost.max())
    true = rows.astype(np.float64) @ rows.astype(np.float64).T
    computed = (rounded @ rounded.T).double().numpy()
    before_rounding = rounded.double().numpy() @ rounded.double().numpy().T
    assert (np.abs(before_rounding - true) <= error[:, None]).all()
    assert (np.abs(computed - true) <= error[:, None] + 2.0**-8 * np.abs(computed)).all()


def test_the_bound_is_as_tight_as_it_says():
    error = product_error(512, np.ones(1), np.full(1, 0.0016), 1.0, 0.0016)
    assert 0.0032 < error[0] < 0.0034
    assert np.isinf(product_error(512, np.full(1, 2.0**70), np.zeros(1), 2.0**70, 0.0)[0])


@given(kth=st.floats(2.0**-20, 2.0**20, width=32), error=st.floats(2.0**-30, 1))
def test_the_lowest_score_lies_below_all_that_may_belong_to_the_nearest(kth, error):
    key = as_key([kth])
    floor = lowest_score(key, np.array([error]))
    # The k-th may be half a step lower before rounding, and truly lower by the error; another that is as large, too.
    half_step = (as_number(key) - as_number(key - 1))[0] / 2
    worst = as_number(key)[0] - half_step - 2 * error
    if worst > 2.0**-90:
        assert 0 <= floor[0] <= as_key([worst])[0] <= floor[0] + 1
    else:
        assert floor[0] < 0


def test_there_is_no_telling_without_k_positive_scores_or_with_an_infinite_error():
    floor = lowest_score(np.array([-1, 0, -30000, *as_key([1.0])], np.int16), np.array([0.1, 0.1, 0.1, np.inf]))
    assert (floor < 0).all()
