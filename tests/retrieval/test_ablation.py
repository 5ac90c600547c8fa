import json
import subprocess
import sys

import pytest

from landmarks.retrieval import Cost, ablation, anonymous_mb

# In a process of its own: memory that other tests' threads give back meanwhile would hide the rise. It waits for the
# sampling thread instead of trusting it to run within some time, which a busy machine does not promise.
RISE = """
import json, time
import numpy as np
from landmarks.retrieval.ablation import Cost

with Cost() as cost:
    before = cost.peak_mb
    block = np.ones(512 * 2**20 // 8)
    while cost.peak_mb < before + 256 and time.perf_counter() - cost._start < 60:
        time.sleep(0.01)
    del block
print(json.dumps([cost.seconds, cost.rise_mb, cost.peak_mb]))
"""


@pytest.mark.skipif(anonymous_mb() is None, reason="needs Linux, which tells the memory of a process")
def test_memory_freed_before_the_end_is_seen():
    done = subprocess.run([sys.executable, "-c", RISE], capture_output=True, text=True, check=True)
    seconds, rise_mb, peak_mb = json.loads(done.stdout)
    assert 0 < seconds < 60
    assert 256 <= rise_mb < 700
    assert peak_mb >= rise_mb


def test_without_proc_memory_is_unknown(tmp_path, monkeypatch):
    monkeypatch.setattr(ablation, "STATUS", tmp_path / "absent")
    with Cost() as cost:
        pass
    assert cost.peak_mb is None and cost.rise_mb is None and cost.seconds >= 0


def test_an_error_inside_comes_out():
    with pytest.raises(ZeroDivisionError), Cost():
        _ = 1 / 0
