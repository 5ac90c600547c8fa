import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from landmarks.data.stores import ReadTar, RefusedTarError, announces, picture_id

ID = 0x0123456789ABCDEF
NAME = f"0/1/2/{ID:016x}.jpg"


def header(name: str = NAME, size: int = 5, kind: bytes = tarfile.REGTYPE) -> bytes:
    info = tarfile.TarInfo(name)
    info.size, info.type = size, kind
    return info.tobuf(tarfile.USTAR_FORMAT)[:512]


def holds(records: bytes) -> ReadTar:
    return lambda offset, length: records[offset - 512 : offset - 512 + length]


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**28), st.sampled_from(["", "./", "0/1/2/", "train/"]))
def test_pictures_are_known_by_their_names(number: int, size: int, folder: str) -> None:
    block = header(f"{folder}{number:016x}.jpg", size)
    assert picture_id(block, size, 1024, holds(b"")) == number
    assert announces(block, number, size)
    assert not announces(block, number ^ 1, size) and not announces(block, number, size + 1)


@pytest.mark.parametrize("block", [bytes(512), b"\xff" * 512, header()[:100] + b"x" * 412, header(f"x{ID:016x}.jpg")])
def test_other_blocks_announce_nothing(block: bytes) -> None:
    assert not announces(block, ID, 5)


def test_folders_and_harmless_pax_headers_are_none() -> None:
    assert picture_id(header("0/1/2", 0, tarfile.DIRTYPE), 0, 0, holds(b"")) is None
    assert picture_id(header("x", 12, tarfile.XHDTYPE), 12, 0, holds(b"12 comment=\n")) is None


def test_what_a_pax_header_says_is_shown_as_it_can_be_printed() -> None:
    records = b"17 GNU.sparse\x1b\xff=\n"
    with pytest.raises(RefusedTarError, match=r"changes 'GNU\.sparse\\x1b\\\\xff' of the member"):
        picture_id(header("x", 17, tarfile.XHDTYPE), 17, 0, holds(records))
    with pytest.raises(RefusedTarError, match="claims 65,537 bytes, at most 65,536 are read"):
        picture_id(header("x", 65537, tarfile.XHDTYPE), 65537, 0, holds(b""))
