"""Torch files are zip archives, of which a flipped bit can name any place."""

import struct
from pathlib import Path

import pytest
import torch

from landmarks.storage import ChangedError, check_archive


def test_an_entry_that_lies_before_the_file_is_damage_and_no_error_of_the_system(tmp_path: Path) -> None:
    path = tmp_path / "weights.pt"
    torch.save({"weight": torch.ones(3)}, path)
    check_archive(path)
    data = bytearray(path.read_bytes())
    place = data.rindex(b"PK\6\6") + 48  # of the directory's offset, from which all entries are counted
    (begin,) = struct.unpack_from("<Q", data, place)
    struct.pack_into("<Q", data, place, begin + 100_000)
    path.write_bytes(data)
    with pytest.raises(ChangedError, match=r"weights\.pt: corrupt"):
        check_archive(path)
