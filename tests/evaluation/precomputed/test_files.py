"""Other people's files: every plain array opens without a copy, ids and labels in every format, all else is named."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.lib.format import write_array

from landmarks.errors import LandmarksError
from landmarks.evaluation.precomputed import is_numpy, map_floats, map_numpy, read_ids, read_labels

VALUES = np.arange(12, dtype=np.float32).reshape(3, 4)


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
@pytest.mark.parametrize("dtype", ["<f2", "<f4", "<f8", ">f4"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_every_plain_file_is_mapped_and_never_copied(tmp_path, version, dtype, order):
    path = tmp_path / "a.npy"
    with path.open("wb") as file:
        write_array(file, np.asarray(VALUES.astype(dtype), order=order), version=version)
    found = map_floats(path, 2, "[N, D]")
    assert isinstance(found, np.memmap) and not found.flags.writeable and found.dtype == np.dtype(dtype)
    assert found.flags.c_contiguous == (order == "C")
    np.testing.assert_array_equal(found, VALUES)
    assert is_numpy(path)


class Trap:
    def __reduce__(self):
        return (print, ("sprung",))


def saved(array, **options):
    file = io.BytesIO()
    np.save(file, array, **options)
    return file.getvalue()


def header(text, version=b"\x01\x00"):
    padded = text.encode() + b" " * (-(len(text) + 11) % 64) + b"\n"
    return b"\x93NUMPY" + version + len(padded).to_bytes(2, "little") + padded


PLAIN = saved(VALUES)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "not an .npy file"),
        (b"id,landmark\n", "not an .npy file"),
        (b"PK\x03\x04", "npz archive"),
        (PLAIN[:-1], "its header needs"),
        (PLAIN + b"x", "its header needs"),
        (PLAIN[:30], "cannot be used"),
        (saved(np.array([Trap()], dtype=object), allow_pickle=True), "Python objects"),
        (saved(np.empty((0, 4), np.float32)), "empty"),
        (saved(np.empty((4, 0), np.float32)), "empty"),
        (header("{'descr': '<f4', 'fortran_order': False, 'shape': (9223372036854775807, 8), }"), "header needs"),
        (header("{'descr': '<f4', 'fortran_order': False, 'shape': (-1, 8), }"), "corrupt"),
        (header("{'descr': '<f4', 'fortran_order': False, 'shape': ("), "cannot be used"),
        (header("{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }", b"\x09\x00"), r"\(9, 0\)"),
    ],
)
def test_what_is_no_plain_array_is_refused_with_its_path(tmp_path, capsys, content, words):
    path = tmp_path / "a.npy"
    path.write_bytes(content)
    with pytest.raises(LandmarksError, match=f"a.npy: cannot be used: .*{words}|a.npy: {words}"):
        map_numpy(path)
    assert "sprung" not in capsys.readouterr().out


@settings(max_examples=150)
@given(st.integers(0, len(PLAIN) - 1), st.integers(0, 255))
def test_one_corrupt_byte_is_an_array_or_a_message(tmp_path_factory, place, value):
    path = tmp_path_factory.getbasetemp() / "corrupt.npy"
    path.write_bytes(PLAIN[:place] + bytes([value]) + PLAIN[place + 1 :])
    try:
        assert map_numpy(path).nbytes == VALUES.nbytes
    except LandmarksError as error:
        assert "corrupt.npy" in str(error)


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (VALUES[0], r"expected an array \[N, D\], found shape \(4,\)"),
        (VALUES[None], "found shape"),
        (VALUES.astype(np.int64), "expected float16, float32 or float64, found int64"),
        (VALUES.astype(str), "found <U"),
        (VALUES.astype(np.complex64), "found complex64"),
        (VALUES.astype(np.longdouble), "expected float16"),
    ],
)
def test_descriptors_are_matrices_of_floats(tmp_path, array, words):
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(LandmarksError, match=words):
        map_floats(tmp_path / "a.npy", 2, "[N, D]")


def test_a_missing_file_is_named(tmp_path):
    for read in (map_numpy, is_numpy):
        with pytest.raises(LandmarksError, match=r"none\.npy: .*No such file"):
            read(tmp_path / "none.npy")


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
    (tmp_path / "image").write_bytes(b"\xff\xd8\xff\xe0\x00\x10JFIF")
    for read in (read_ids, read_labels):
        with pytest.raises(LandmarksError, match=r"neither an \.npy file nor a text"):
            read(tmp_path / "image", 3)
        with pytest.raises(LandmarksError, match="No such file"):
            read(tmp_path / "none", 3)
