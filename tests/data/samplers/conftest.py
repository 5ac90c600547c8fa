"""One sampler of each kind over 30 landmarks of five images each, with and without groups."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest

from landmarks.data.samplers import BalancedBatches, EpochBatches, PairBatches, ShuffledBatches

LANDMARKS = np.repeat(np.arange(30, dtype=np.int32), 5)
GROUPS = np.arange(150) % 4 // 2  # two groups, both with every landmark at least twice
KINDS: dict[str, Callable[..., EpochBatches]] = {
    "shuffled": partial(ShuffledBatches, len(LANDMARKS)),
    "pairs": partial(PairBatches, LANDMARKS),
    "balanced": partial(BalancedBatches, LANDMARKS, images_per_landmark=4, size_power=0.5),
}


@pytest.fixture(params=[(kind, grouped) for kind in KINDS for grouped in (False, True)], ids=str)
def make_sampler(request: pytest.FixtureRequest) -> Callable[..., EpochBatches]:
    kind, grouped = request.param

    def make(**changes: Any) -> EpochBatches:
        return KINDS[kind](**{"batch_size": 8, "seed": 1, "groups": GROUPS if grouped else None, **changes})

    return make
