from pathlib import Path

import numpy as np
import pytest

from landmarks.storage import Column, RowLog, check_folder

COLUMNS = {"ids": Column(np.uint64), "rows": Column(np.float32, (3,)), "none": Column(np.int8, (0,))}


def rows(start: int, stop: int) -> dict[str, np.ndarray]:
    ids = np.arange(start, stop)
    return {"ids": ids, "rows": np.stack([ids, ids + 1, ids + 2], axis=1), "none": np.empty((stop - start, 0))}


def test_numpy_reads_what_was_written_in_several_runs(tmp_path: Path) -> None:
    for start in (0, 4, 8):
        with RowLog(tmp_path / "set.partial", COLUMNS) as log:
            assert log.count == start
            log.add(rows(start, start + 4))
    with RowLog(tmp_path / "set.partial", COLUMNS) as log:
        assert log.read("rows", 3, 5).tolist() == [[3, 4, 5], [4, 5, 6]] and log.read("ids", 11, 99).tolist() == [11]
        log.cut(9)
        log.add(rows(9, 10))
        log.finish(tmp_path / "set")
    for name, expected in rows(0, 10).items():
        found = np.load(tmp_path / "set" / f"{name}.npy")
        assert found.dtype == COLUMNS[name].dtype and np.array_equal(found, expected)
    check_folder(tmp_path / "set")
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_a_finished_folder_can_be_extended(tmp_path: Path) -> None:
    with RowLog(tmp_path / "set.partial", COLUMNS) as log:
        log.add(rows(0, 4))
        log.finish(tmp_path / "set")
    (tmp_path / "set").rename(tmp_path / "set.partial")
    with RowLog(tmp_path / "set.partial", COLUMNS) as log:
        log.add(rows(4, 6))
        log.finish(tmp_path / "set")
    assert np.load(tmp_path / "set" / "ids.npy").tolist() == list(range(6))
    check_folder(tmp_path / "set")


def test_rows_of_another_kind_are_refused_by_name(tmp_path: Path) -> None:
    RowLog(tmp_path, COLUMNS).close()
    for other in (Column(np.float16, (3,)), Column(np.float32, (4,))):
        with pytest.raises(ValueError, match=r"rows\.npy: the existing file cannot be continued"):
            RowLog(tmp_path, {**COLUMNS, "rows": other})
