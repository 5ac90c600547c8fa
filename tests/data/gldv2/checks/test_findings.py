from pathlib import Path

import numpy as np
import pytest

from landmarks.data import read_image_list
from landmarks.data.gldv2.checks import Fault, FileProblem, Findings
from landmarks.ids import format_ids

COUNTS = {"listed": 10, "present": 9, "without_landmark": 0, "landmarks": 3, "landmarks_with_one_image": 1}


def fault(kind: str, split: str, *ids: int, blocks: tuple[str, ...] = ()) -> Fault:
    where = [f"tar of {number}, a, b" for number in ids]
    return Fault(kind, split, np.array(ids, dtype=np.uint64), where, frozenset(blocks))  # type: ignore[arg-type]


def findings(*faults: Fault, problems: tuple[FileProblem, ...] = ()) -> Findings:
    counts = dict.fromkeys(("train", "train_clean", "index", "test"), COUNTS)
    return Findings("GLDV2", True, ("train_clean", "index", "test"), counts, faults, problems)  # type: ignore[arg-type]


def test_the_list_names_what_training_can_leave_out(tmp_path: Path) -> None:
    found = findings(
        fault("tiny", "train", 1, 2),
        fault("tiny", "train_clean", 2),
        fault("unreadable", "train", 2),
        fault("leaked", "index", 4),
        fault("missing", "train", 5),
        fault("extreme_aspect", "test", 6),
        fault("unlisted", "train", 7),
        fault("listed_twice", "index", 8),
    )
    path = tmp_path / "bad.csv"
    assert found.write_list(path) == 4
    assert sorted(read_image_list(path).ids.tolist()) == [1, 2, 2, 4, 5]
    assert (
        path.read_text().splitlines()[1]
        == f'{format_ids(np.array([1], dtype=np.uint64))[0]},tiny,train,"tar of 1, a, b"'
    )


@pytest.mark.parametrize("kind", ["missing", "unknown", "unreadable"])
def test_what_blocks_a_needed_split_is_a_reason(kind: str) -> None:
    needed = findings(fault(kind, "index", 1, blocks=("index",)))
    assert not needed.can_train and len(needed.reasons) == 1 and not needed.usable("index") and needed.usable("test")
    other = findings(fault(kind, "train", 1, blocks=("train",)))
    assert other.can_train and other.reasons == [] and not other.usable("train")


def test_an_id_that_two_files_name_counts_once() -> None:
    assert findings(fault("unknown", "test", 1, 2), fault("unknown", "test", 2)).count("unknown", "test") == 2
    found = findings(fault("unknown", "test", 1), fault("unknown", "test", 2, 3, 4))
    assert [image_id[-1] for image_id, _ in found.examples("unknown", "test")] == ["1", "2", "3"]


REMEDIES = [("train_clean", "data.source.exclude"), ("index", "data.max_unreadable")]


@pytest.mark.parametrize(("split", "remedy"), REMEDIES)
def test_unreadable_images_have_a_remedy_that_works_for_their_split(split: str, remedy: str) -> None:
    (reason,) = findings(fault("unreadable", split, *range(101), blocks=(split,))).reasons
    assert "101 images" in reason and remedy in reason
