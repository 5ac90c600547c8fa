import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from landmarks.data.gldv2.checks.containers import open_tar
from landmarks.data.gldv2.checks.records import BadPicture, ContainerCheck, find_checked, write_record
from landmarks.data.stores.tar_files import LocalTars

TAR = "train/images_004.tar"
CUT_OFF = BadPicture(2**63 + 1, "unreadable", 'cut "off"\n')
CHECK = ContainerCheck(TAR, "0" * 32, (CUT_OFF, BadPicture(3, "tiny", "1 x 1 pixels")))


@pytest.fixture
def files(tmp_path: Path, make: SimpleNamespace) -> LocalTars:
    make.write_tar(tmp_path / TAR, {f"{3:016x}": b"bytes"})
    return LocalTars(tmp_path / "train")


def found(files: LocalTars) -> dict[str, ContainerCheck]:
    return find_checked([open_tar("train", files, "images_004.tar")], files.folder)


def test_a_record_holds_while_its_tar_is_the_same(files: LocalTars) -> None:
    assert found(files) == {}
    write_record(open_tar("train", files, "images_004.tar"), CHECK, files.folder)
    assert found(files) == {TAR: CHECK}
    os.utime(files.folder / "images_004.tar", ns=(1, 1))
    assert found(files) == {}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"min_short_side": 32', '"min_short_side": 8'),
        ('"version": 1', '"version": 0'),
        ('"unreadable"', '"strange"'),
        ('"8000000000000001"', '"no id"'),
        ('"bad": [', '"bad": [[],'),
    ],
)
def test_other_rules_and_damaged_records_do_not_count(files: LocalTars, old: str, new: str) -> None:
    write_record(open_tar("train", files, "images_004.tar"), CHECK, files.folder)
    path = files.folder / "train" / "images_004.tar.json"
    text = path.read_text()
    assert old in text
    for content in (text.replace(old, new), text[:-3], "", "[]", "null", "{}"):
        path.write_text(content)
        assert found(files) == {}
