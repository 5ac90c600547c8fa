from pathlib import Path

import numpy as np

from landmarks.models.local_features import LocalFeatures
from landmarks.retrieval.local import RECORD, FeatureFiles, find, is_sound

DIM = 4


def features(count: int, value: int) -> LocalFeatures:
    points = np.full((count, 2), value, np.float32)
    return LocalFeatures(points, points[:, 0], np.full((count, DIM), value, np.uint8), (3, 5))


def key(letter: str) -> bytes:
    return letter.encode() * 15 + bytes(1)  # a key may end in zeros


def test_records_are_found_by_key_when_the_files_are_opened_again(tmp_path: Path) -> None:
    with FeatureFiles(tmp_path, DIM) as files:
        assert len(files.known) == 0 and len(files.columns().points) == 0
        files.append([(key("b"), features(2, 7), True), (key("a"), features(0, 0), False)])
        files.append([(key("c"), features(1, 9), True)])
        files.sync()
    with FeatureFiles(tmp_path, DIM) as files:
        assert [int(one["count"]) for one in files.known] == [0, 2, 1]
        found = find(files.known, key("c"))
        assert found is not None and found["first"] == 2 and (found["height"], found["width"]) == (3, 5)
        assert files.columns().descriptors[2].tolist() == [9] * DIM
        assert find(files.known, key("d")) is None and find(files.known[:0], key("a")) is None
        assert all(is_sound(one, files.columns()) for one in files.known)


def test_the_last_record_of_a_picture_counts(tmp_path: Path) -> None:
    with FeatureFiles(tmp_path, DIM) as files:
        files.append([(key("a"), features(2, 1), True)])
        files.append([(key("a"), features(3, 2), True)])
    with FeatureFiles(tmp_path, DIM) as files:
        assert files.known["count"].tolist() == [3]


def test_features_without_a_record_and_half_records_are_cut_off(tmp_path: Path) -> None:
    with FeatureFiles(tmp_path, DIM) as files:
        files.append([(key("a"), features(2, 1), True)])
    with (tmp_path / "descriptors.bin").open("ab") as file:
        file.write(b"x" * 9)
    with (tmp_path / "records.bin").open("ab") as file:
        file.write(b"y" * (RECORD.itemsize - 1))
    with FeatureFiles(tmp_path, DIM) as files:
        assert files.rows == 2
        files.append([(key("b"), features(1, 3), True)])
    with FeatureFiles(tmp_path, DIM) as files:
        assert files.known["first"].tolist() == [0, 2]
        assert all(is_sound(one, files.columns()) for one in files.known)


def test_a_record_that_promises_more_than_there_is_does_not_count(tmp_path: Path) -> None:
    with FeatureFiles(tmp_path, DIM) as files:
        files.append([(key("a"), features(2, 1), True)])
        files.append([(key("b"), features(2, 1), True)])
    data = bytearray((tmp_path / "records.bin").read_bytes())
    data[16:24] = (10**15).to_bytes(8, "little")
    (tmp_path / "records.bin").write_bytes(data)
    with FeatureFiles(tmp_path, DIM) as files:
        assert [bytes(one)[:1] for one in files.known["key"]] == [b"b"]
