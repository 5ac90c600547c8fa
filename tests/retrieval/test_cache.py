import logging
import multiprocessing
import os
import signal

import numpy as np
import pytest

from landmarks.errors import LandmarksError
from landmarks.retrieval import Cache, Progress, fingerprint, progress
from landmarks.storage import Column, RowLog

COLUMNS = {"rows": Column(np.int64), "squares": Column(np.float32, (2,))}


INPUTS = (np.arange(3),)


class Work:
    """Makes rows and counts the calls."""

    def __init__(self):
        self.made = []

    def __call__(self, start, stop):
        self.made.append((start, stop))
        rows = np.arange(start, stop)
        return {"rows": rows, "squares": np.stack([rows**2, rows], axis=1)}


def run(cache, work, inputs=INPUTS, parameters=None, count=10):
    return cache.rows("numbers", count, COLUMNS, work, 4, inputs, parameters or {"k": 1})


def test_made_once_and_found_by_content(tmp_path):
    cache, work = Cache(tmp_path), Work()
    first = run(cache, work)
    assert work.made == [(0, 4), (4, 8), (8, 10)]
    assert first["rows"].tolist() == list(range(10)) and first["squares"][3].tolist() == [9, 3]
    assert not first["rows"].flags.writeable
    run(Cache(tmp_path), work, inputs=[np.arange(3)])
    assert len(work.made) == 3
    for inputs, parameters in (([np.arange(4)], {"k": 1}), ([np.arange(3)], {"k": 2}), ([np.arange(3.0)], {"k": 1})):
        before = len(work.made)
        run(cache, work, inputs, parameters)
        assert len(work.made) == before + 3


def test_a_changed_array_is_another_array(tmp_path):
    cache, work, values = Cache(tmp_path), Work(), np.arange(3)
    run(cache, work, [values])
    values[0] = 7
    run(cache, work, [values])
    assert len(work.made) == 6


class Killed(Work):
    def __call__(self, start, stop):
        if start == 8:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().__call__(start, stop)


def test_a_kill_loses_what_is_not_whole_and_the_rest_is_as_if_nothing_had_happened(tmp_path):
    process = multiprocessing.get_context("fork").Process(target=run, args=(Cache(tmp_path), Killed()))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    partial = next(tmp_path.glob("*.partial"))
    with (partial / "rows.npy").open("r+b") as file:  # and the disk lost the end of the second chunk
        file.truncate(file.seek(0, 2) - 3)
    work = Work()
    resumed = run(Cache(tmp_path), work)
    assert work.made == [(4, 8), (8, 10)] and not list(tmp_path.glob("*.partial"))
    assert all(np.array_equal(resumed[name], rows) for name, rows in Work()(0, 10).items())


def run_until_all_is_made(folder):
    RowLog.finish = lambda *arguments: os.kill(os.getpid(), signal.SIGKILL)
    run(Cache(folder), Work())


def test_a_kill_after_the_last_chunk_loses_nothing(tmp_path):
    process = multiprocessing.get_context("fork").Process(target=run_until_all_is_made, args=(tmp_path,))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    work = Work()
    resumed = run(Cache(tmp_path), work)
    assert not work.made and resumed["rows"].tolist() == list(range(10))


@pytest.mark.parametrize("name", ["squares.npy", "checksums.txt"])
@pytest.mark.parametrize("damage", ["truncated", "removed", "rubbish"])
def test_a_corrupt_entry_is_made_again(tmp_path, damage, name):
    run(Cache(tmp_path), Work())
    path = next(tmp_path.glob("numbers-*")) / name
    if damage == "removed":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-1] if damage == "truncated" else b"rubbish")
    work = Work()
    assert run(Cache(tmp_path), work)["squares"][9].tolist() == [81, 9]
    assert len(work.made) == 3


def test_a_flipped_bit_is_never_another_number(tmp_path):
    first = {name: rows.copy() for name, rows in run(Cache(tmp_path), Work()).items()}
    rng = np.random.default_rng(0)
    made = 0
    for name in ("rows.npy", "squares.npy", "checksums.txt", "key.json"):
        for _ in range(15):
            path = next(tmp_path.glob("numbers-*")) / name
            data = bytearray(path.read_bytes())
            data[rng.integers(len(data))] ^= 1 << int(rng.integers(8))
            path.write_bytes(data)
            work = Work()
            found = run(Cache(tmp_path), work)
            assert all(np.array_equal(found[column], rows) for column, rows in first.items())
            made += bool(work.made)
    assert made > 40


def test_the_least_recently_used_goes_first_and_what_is_in_use_stays(tmp_path):
    cache = Cache(tmp_path, limit_gb=0)
    for k in (1, 2):
        run(cache, Work(), parameters={"k": k})
    assert len(list(tmp_path.iterdir())) == 2
    cache.release()
    run(cache, Work(), parameters={"k": 3})
    assert len(list(tmp_path.iterdir())) == 1


def test_nothing_is_kept_where_nothing_is_to_be_kept(tmp_path):
    cache = Cache(tmp_path, keep=False)
    kept = run(cache, Work())
    folder = cache.folder
    cache.release()
    assert not folder.exists() and not list(tmp_path.iterdir())
    assert kept["rows"].tolist() == list(range(10))


def test_no_room_is_an_error_that_says_what_to_do(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(LandmarksError, match=r"could not write.*cache\.folder"):
        run(Cache(tmp_path / "file"), Work())
    with pytest.raises(LandmarksError, match=r"cache\.limit_gb"):
        Cache(tmp_path, limit_gb=-1)


def test_fingerprints_see_shape_type_and_every_byte():
    base = np.zeros((300_000, 20), np.float32)  # more than one block
    prints = {fingerprint(base), fingerprint(base.reshape(20, -1)), fingerprint(base.view(np.int32))}
    for row in (0, 299_999):
        other = base.copy()
        other[row, 19] = 1
        prints.add(fingerprint(other))
    assert len(prints) == 5
    assert fingerprint(base[:, ::2]) == fingerprint(np.ascontiguousarray(base[:, ::2]))


def test_long_work_says_share_rate_and_time_left(caplog, monkeypatch):
    monkeypatch.setattr(progress, "PERIOD_SECONDS", 0.0)
    with caplog.at_level(logging.INFO):
        work = Progress("graph", 2000, done=500)
        work.advance(500)
    assert caplog.messages[0] == "graph: resuming after 500 of 2,000"
    assert "graph: 1,000 of 2,000" in caplog.messages[1] and "left" in caplog.messages[1]


def test_short_work_says_nothing(caplog):
    with caplog.at_level(logging.INFO):
        Progress("graph", 10).advance(10)
    assert not caplog.messages
