import io

import numpy as np
import pytest

from landmarks.storage import read_header, write_header


def test_a_header_can_be_rewritten_for_more_rows():
    file = io.BytesIO()
    length = write_header(file, (0, 512), np.dtype(np.float32))
    data = np.ones((1000, 512), np.float32).tobytes()
    file.write(data)
    assert write_header(file, (1000, 512), np.dtype(np.float32)) == length
    assert file.getvalue()[length:] == data
    file.seek(0)
    assert np.load(file).shape == (1000, 512)
    file.seek(0)
    header = read_header(file)
    assert header == ((1000, 512), np.dtype(np.float32), length, False)
    assert header.file_bytes == len(file.getvalue())


@pytest.mark.parametrize(
    "fields",
    [
        {"descr": "|O", "fortran_order": False, "shape": (1,)},
        {"descr": "<f4", "fortran_order": True, "shape": (2, 2)},
        {"descr": "<f4", "fortran_order": False, "shape": (-1, 2)},
    ],
)
def test_what_is_no_plain_array_is_refused(fields):
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, fields)
    file.seek(0)
    with pytest.raises(ValueError, match=r"Python objects|is corrupt"):
        read_header(file)


def test_every_cut_of_a_header_is_a_value_error():
    file = io.BytesIO()
    write_header(file, (3, 2), np.dtype(np.float32))
    for length in range(len(file.getvalue())):
        with pytest.raises(ValueError):
            read_header(io.BytesIO(file.getvalue()[:length]))
