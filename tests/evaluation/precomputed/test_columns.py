"""Ids and labels in every format that people have them in."""

import numpy as np
import pytest

from landmarks.errors import LandmarksError
from landmarks.evaluation.precomputed import read_ids, read_labels

IDS = np.array([0x002CE818FF144749, 0xF000000000000001, 7], dtype=np.uint64)
HEX = [f"{number:016x}" for number in IDS.tolist()]


def write(path, content):
    if isinstance(content, np.ndarray):
        np.save(path, content)
        return path.with_suffix(".npy")
    path.write_text(content)
    return path


@pytest.mark.parametrize(
    "content",
    [
        IDS,
        np.array(HEX),
        np.array(HEX, dtype="S16"),
        "\n".join(HEX),
        "\r\n".join(HEX) + "\r\n\n",
        "id\n" + "\n".join(HEX) + "\n",
        "id,url,landmark_id\n" + "".join(f'{name},"https://a,b",3\n' for name in HEX),
    ],
)
def test_ids_in_any_format(tmp_path, content):
    found = read_ids(write(tmp_path / "ids", content), 3)
    assert found.dtype == np.uint64 and found.tolist() == IDS.tolist()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (IDS[[0, 1, 0]], "002ce818ff144749 occurs twice, again in row 2"),
        ("\n".join([HEX[0], HEX[1], HEX[1]]), "occurs twice"),
        (IDS[:2], "2 ids for 3 descriptors"),
        (np.array([1, -2, 3]), "row 1 holds a negative id"),
        (IDS.astype(np.float64), "found float64"),
        (IDS[None], "found uint64"),
        ("\n".join([HEX[0], "nonsense", HEX[1]]), "entry 1 is 'nonsense'"),
        ("", "is empty"),
        ("id\n", "0 ids for 3"),
    ],
)
def test_bad_ids_are_named_with_their_place(tmp_path, content, words):
    path = write(tmp_path / "ids", content)
    with pytest.raises(LandmarksError, match=words) as refused:
        read_ids(path, 3)
    assert path.name in str(refused.value)


@pytest.mark.parametrize(
    "content", [np.array([3, -1, 2**40]), np.array([3, -1, 2**40], dtype=">i8"), "3\n-1\n1099511627776\n"]
)
def test_labels_in_any_format(tmp_path, content):
    found = read_labels(write(tmp_path / "labels", content), 3)
    assert found.dtype == np.int64 and found.tolist() == [3, -1, 2**40]
    assert read_labels(write(tmp_path / "small", np.array([1, 0, 5], dtype=np.uint8)), 3).tolist() == [1, 0, 5]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (np.array([1.0, 2.0, 3.0]), "expected integers"),
        (np.array([True, False, True]), "expected integers"),
        (np.array([[1, 2, 3]]), "expected integers"),
        (np.array([1, 2]), "2 labels for 3 descriptors"),
        (np.array([1, -7, 2]), "row 1 holds -7"),
        (np.array([1, 2**63 + 5, 2], dtype=np.uint64), "row 1 holds -"),
        ("1\ntwo\n3\n", "line 2: 'two' is not a label"),
        ("1\n2\n99999999999999999999\n", "line 3: .* is not a label"),
        ("\n", "is empty"),
    ],
)
def test_bad_labels_are_named_with_their_place(tmp_path, content, words):
    path = write(tmp_path / "labels", content)
    with pytest.raises(LandmarksError, match=words) as refused:
        read_labels(path, 3)
    assert path.name in str(refused.value)


def test_other_files_are_refused(tmp_path):
    (tmp_path / "picture").write_bytes(b"\xff\xd8\xff\xe0\x00\x10JFIF")
    for read in (read_ids, read_labels):
        with pytest.raises(LandmarksError, match=r"neither an \.npy file nor a text"):
            read(tmp_path / "picture", 3)
        with pytest.raises(LandmarksError, match="No such file"):
            read(tmp_path / "none", 3)
