from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from landmarks.data import read_image_list
from landmarks.data.gldv2 import read_clean, write_clean
from landmarks.data.gldv2 import tables as module
from landmarks.errors import LandmarksError


@settings(max_examples=15)
@given(counts=st.lists(st.integers(1, 9), min_size=1, max_size=12), block=st.integers(1, 20), seed=st.integers(0, 9))
def test_what_is_written_is_read_again(
    tmp_path_factory: pytest.TempPathFactory, counts: list[int], block: int, seed: int
) -> None:
    path = tmp_path_factory.mktemp("clean") / "train_clean.csv"
    ids = np.random.default_rng(seed).choice(1 << 60, sum(counts), replace=False).astype(np.uint64)
    numbers = np.repeat(np.arange(len(counts)) * 7, counts)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "BLOCK", block)
        write_clean(path, ids, numbers.astype(str))
    table = read_clean(path)
    assert (table.ids == ids).all() and (table.landmark_names[table.landmarks].astype(int) == numbers).all()
    assert (read_image_list(path).ids == ids).all()  # data.source.include takes it as it is


def test_the_bytes_are_the_official_ones(tmp_path: Path) -> None:
    path = tmp_path / "new" / "clean.csv"
    write_clean(path, np.array([10, 11, 255], np.uint64), np.array(["1", "1", "203093"]))
    lines = ["landmark_id,images", "1,000000000000000a 000000000000000b", "203093,00000000000000ff", ""]
    assert path.read_bytes().decode() == "\n".join(lines)


def test_a_failure_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "clean.csv"
    path.write_text("before")

    def full(ids: np.ndarray) -> list[str]:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "format_ids", full)
    with pytest.raises(LandmarksError, match=r"clean\.csv: cannot be written \(No space left on device\)"):
        write_clean(path, np.array([10], np.uint64), np.array(["1"]))
    assert path.read_text() == "before" and list(tmp_path.iterdir()) == [path]
