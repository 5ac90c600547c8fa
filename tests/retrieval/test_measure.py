import gc
import time

import numpy as np
import pytest

from landmarks.retrieval import measure
from landmarks.retrieval.measure import Cost, anonymous_mb


@pytest.mark.skipif(anonymous_mb() is None, reason="needs Linux, which tells the memory of a process")
def test_memory_freed_before_the_end_is_seen():
    gc.collect()  # garbage of other tests, collected meanwhile, would hide part of the rise
    with Cost() as cost:
        block = np.ones(512 * 2**20 // 8)
        time.sleep(0.1)
        del block
    assert cost.seconds >= 0.1
    assert 256 < cost.rise_mb < 700
    assert cost.peak_mb >= cost.rise_mb


def test_without_proc_memory_is_unknown(tmp_path, monkeypatch):
    monkeypatch.setattr(measure, "STATUS", tmp_path / "absent")
    with Cost() as cost:
        pass
    assert cost.peak_mb is None and cost.rise_mb is None and cost.seconds >= 0


def test_an_error_inside_comes_out():
    with pytest.raises(ZeroDivisionError), Cost():
        _ = 1 / 0
