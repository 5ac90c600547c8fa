import os
from types import SimpleNamespace

import pytest

from landmarks.data.gldv2.checks import ContainerCheck, check_containers, find_checked, open_tar
from landmarks.data.stores import LocalTars

TAR = "train/images_004.tar"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, make: SimpleNamespace) -> LocalTars:
    """A tar of which one image is tiny and one cannot be read, checked; tests leave it as it was."""
    tmp_path = tmp_path_factory.mktemp("checked")
    small = make.encoded(make.picture(0, 3, 5), "JPEG")
    make.write_tar(tmp_path / TAR, {"8000000000000001": b"bytes", f"{3:016x}": small, f"{4:016x}": make.jpeg()})
    files = LocalTars(tmp_path / "train")
    check_containers([open_tar("train", files, "images_004.tar")], files.folder, 1, lambda done: None)
    return files


def found(files: LocalTars) -> dict[str, ContainerCheck]:
    return find_checked([open_tar("train", files, "images_004.tar")], files.folder)


def test_a_record_holds_while_its_tar_is_the_same(files: LocalTars) -> None:
    check = found(files)[TAR]
    assert [bad[:2] for bad in check.bad] == [("8000000000000001", "unreadable"), (f"{3:016x}", "tiny")]
    assert check.bad[1][2] == "5 x 3 pixels" and check.md5 is not None and len(check.md5) == 32
    before = (files.folder / "images_004.tar").stat().st_mtime_ns
    for time, names in ((1, set()), (before, {TAR})):
        os.utime(files.folder / "images_004.tar", ns=(time, time))
        assert set(found(files)) == names


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"min_short_side": 32', '"min_short_side": 8'),
        ('"max_aspect": 5.0', '"max_aspect": 4.0'),
        ('"version": 1', '"version": 0'),
        ('"unreadable"', '"strange"'),
        ('"8000000000000001"', '"no id"'),
        ('"bad": [', '"bad": [[],'),
    ],
)
def test_other_rules_and_damaged_records_do_not_count(files: LocalTars, old: str, new: str) -> None:
    path = files.folder / "train" / "images_004.tar.json"
    text = path.read_text()
    assert old in text
    for content in (text.replace(old, new), text[:-3], "", "[]", "null", "{}"):
        path.write_text(content)
        assert found(files) == {}
    path.write_text(text)
    assert set(found(files)) == {TAR}
