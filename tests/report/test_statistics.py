import io

import numpy as np
from rich.console import Console

from landmarks.data.gldv2.statistics import SolutionStatistics, SplitStatistics, Statistics
from landmarks.report.statistics import NONE, statistics_tables


def lines(statistics: Statistics) -> list[str]:
    console = Console(width=80, file=io.StringIO())
    with console.capture() as shown:
        console.print(statistics_tables(statistics))
    return shown.get().splitlines()


def row(found: list[str], start: str) -> list[str]:
    return next(line for line in found if line.strip().startswith(start)).split()


NONE_MEASURED = np.empty((0, 2), np.int64)


def test_the_full_size_fits_into_80_columns() -> None:
    images = np.concatenate([np.full(60_000, 1), np.full(143_093, 20), np.array([10_000])])
    big = SplitStatistics(4_132_914, images, 500, 500 * 10**9, np.tile([[600, 800], [800, 300]], (500, 1)))
    splits = {
        "train": big,
        "train_clean": big,
        "index": big,
        "test": SplitStatistics(117_577, images[:0], 0, 0, NONE_MEASURED),
    }
    found = lines(Statistics("GLDV2", splits, {"retrieval": SolutionStatistics(379, 750, 116_448)}))
    assert not any("…" in line for line in found)
    assert row(found, "pictures  ") == ["pictures", "4,132,914", "4,132,914", "4,132,914", "117,577"]
    assert row(found, "landmarks  ") == ["landmarks", "203,094", "203,094", "203,094", NONE]
    assert row(found, "pictures of one, median")[-4:] == ["20", "20", "20", NONE]
    assert row(found, "size") == ["size", *["500.0", "GB"] * 3, NONE]
    assert row(found, "pictures measured")[-4:] == ["1,000", "1,000", "1,000", "0"]
    assert row(found, "short side")[-4:] == ["300-600", "300-600", "300-600", NONE]
    assert row(found, "longer than 2:1")[-4:] == ["50.0%", "50.0%", "50.0%", NONE]
    assert row(found, "1 ") == ["1", *["60,000", "30%", "██▏"] * 3]
    assert row(found, "2-4") == ["2-4", *["0", "0%"] * 3]
    assert row(found, "2000+") == ["2000+", *["1", "0%", "▏"] * 3]
    assert row(found, "retrieval") == ["retrieval", "379", "750", "116,448"]


def test_a_split_alone_needs_no_histogram() -> None:
    found = lines(Statistics("GLDV2", {"test": SplitStatistics(3, np.empty(0, np.int64), 1, 10, NONE_MEASURED)}, {}))
    assert row(found, "size") == ["size", "10", "bytes"]
    assert not any("Landmarks by" in line or "Queries" in line for line in found)
