import time

import numpy as np
import pytest

from landmarks.retrieval import measure
from landmarks.retrieval.measure import Cost, anonymous_mb


@pytest.mark.skipif(anonymous_mb() is None, reason="needs Linux, which tells the memory of a process")
def test_memory_freed_before_the_end_is_seen():
    with Cost() as cost:
        block = np.ones(64 * 2**20 // 8)
        time.sleep(0.1)
        del block
    assert cost.seconds >= 0.1
    assert 60 < cost.rise_mb < 200
    assert cost.peak_mb >= cost.rise_mb


def test_without_proc_memory_is_unknown(tmp_path, monkeypatch):
    monkeypatch.setattr(measure, "STATUS", tmp_path / "absent")
    with Cost() as cost:
        pass
    assert cost.peak_mb is None and cost.rise_mb is None and cost.seconds >= 0


def test_an_error_inside_comes_out():
    with pytest.raises(ZeroDivisionError), Cost():
        _ = 1 / 0
