"""Other people's .npy files: every plain one opens without a copy, everything else is named."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.lib.format import write_array

from landmarks.errors import LandmarksError
from landmarks.evaluation.precomputed import is_numpy, map_floats, map_numpy

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
        (b"", "no .npy file"),
        (b"id,landmark\n", "no .npy file"),
        (b"PK\x03\x04", "npz archive"),
        (PLAIN[:-1], "its header needs"),
        (PLAIN + b"x", "its header needs"),
        (PLAIN[:30], "cannot be used"),
        (saved(np.array([Trap()], dtype=object), allow_pickle=True), "Python objects"),
        (saved(np.empty((0, 4), np.float32)), "empty"),
        (saved(np.empty((4, 0), np.float32)), "empty"),
        (header("{'descr': '<f4', 'fortran_order': False, 'shape': (9223372036854775807, 8), }"), "header needs"),
        (header("{'descr': '<f4', 'fortran_order': False, 'shape': (-1, 8), }"), "damaged"),
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
def test_one_damaged_byte_is_an_array_or_a_message(tmp_path_factory, place, value):
    path = tmp_path_factory.getbasetemp() / "damaged.npy"
    path.write_bytes(PLAIN[:place] + bytes([value]) + PLAIN[place + 1 :])
    try:
        assert map_numpy(path).nbytes == VALUES.nbytes
    except LandmarksError as error:
        assert "damaged.npy" in str(error)


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
