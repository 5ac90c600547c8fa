import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from landmarks.data.gldv2.checks import (
    ContainerCheck,
    TarContainer,
    check_containers,
    check_image,
    find_checked,
    open_tar,
)
from landmarks.data.stores import LocalTars

RUN_UNTIL_RECORDED = """
import sys, time
from pathlib import Path
from landmarks.data.gldv2.checks.containers import open_tar
from landmarks.data.gldv2.checks.images import check_containers
from landmarks.data.stores.tar_files import LocalTars

def stop_when_recorded(done, total):
    if list(records.glob("train/*.json")):
        print("recorded", flush=True)
        time.sleep(60)

folder, records = map(Path, sys.argv[1:])
files = LocalTars(folder)
check_containers([open_tar("train", files, name) for name in files.names()], records, 1, stop_when_recorded)
"""


def name(number: int) -> str:
    return f"{number:016x}"


@pytest.fixture
def folder(tmp_path: Path, make: SimpleNamespace) -> Path:
    """Five tars of three images; the first of the last tar is cut off."""
    good = make.jpeg()
    for tar in range(5):
        members = {name(10 * tar + number): good for number in range(3)}
        if tar == 4:
            members[name(40)] = good[: len(good) // 2]
        make.write_tar(tmp_path / "train" / f"images_00{tar}.tar", members)
    return tmp_path / "train"


def containers(folder: Path) -> list[TarContainer]:
    files = LocalTars(folder)
    return [open_tar("train", files, tar) for tar in files.names()]


def ignore(done: int, total: int) -> None:
    pass


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((32, 32), None),
        ((31, 60), ("tiny", "60 x 31 pixels")),
        ((40, 200), None),
        ((40, 201), ("extreme_aspect", "201 x 40 pixels")),
        ((1001, 200), ("extreme_aspect", "200 x 1001 pixels")),  # decoded at a smaller scale, judged at its own
        ((1000, 200), None),
    ],
)
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_sizes_are_judged(make: SimpleNamespace, size: tuple[int, int], expected: object, kind: str) -> None:
    assert check_image(make.encoded(make.image(0, *size), kind)) == expected


@pytest.mark.parametrize("height", [60, 700])
def test_damage_is_found_at_any_scale(make: SimpleNamespace, height: int) -> None:
    good = make.jpeg(0, height, height)
    assert check_image(good) is None
    for data in (b"", bytes(100), b"<html>", good[: len(good) // 2], good[:-600] + bytes(600)):
        found = check_image(data)
        assert found is not None and found[0] == "unreadable" and found[1]


def test_a_killed_check_goes_on_with_what_is_left(folder: Path, tmp_path: Path) -> None:
    records = tmp_path / "checks"
    command = [sys.executable, "-c", RUN_UNTIL_RECORDED, str(folder), str(records)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "recorded\n"
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        process.send_signal(signal.SIGKILL)
    assert children
    deadline = time.monotonic() + 20
    while any(is_running(pid) for pid in children):  # nobody is left waiting for work
        assert time.monotonic() < deadline
        time.sleep(0.05)
    whole = containers(folder)
    left = 3 * (5 - len(find_checked(whole, records)))
    told: list[tuple[int, int]] = []
    checks = check_containers(whole, records, 1, lambda *amounts: told.append(amounts))
    assert told[0] == (0, left) and told[-1] == (left, left) and 0 < left < 15
    assert [image_id for check in checks.values() for image_id, _, _ in check.bad] == [name(40)]
    assert len(checks) == 5 and all(check.md5 and len(check.md5) == 32 for check in checks.values())
    assert find_checked(whole, records) == checks


def is_running(pid: str) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_what_cannot_be_read_now_is_reported_and_tried_again_later(folder: Path, tmp_path: Path) -> None:
    records = tmp_path / "checks"
    chosen = containers(folder)[:3]
    (folder / "images_001.tar").rename(folder / "away")
    os.truncate(folder / "images_002.tar", 700)
    first, second, third = check_containers(chosen, records, 1, ignore).values()
    assert first.bad == [] and first.md5 == hashlib.md5((folder / "images_000.tar").read_bytes()).hexdigest()
    assert [fault for _, fault, _ in second.bad] == ["unreadable"] * 3 and second.md5 is None
    assert "cannot be read" in second.bad[0][2]
    assert third.bad[2][2] == "the tar has become shorter since its headers were read"
    assert set(find_checked(chosen, records)) == {"train/images_000.tar"}


TAR = "train/images_004.tar"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, make: SimpleNamespace) -> LocalTars:
    """A tar of which one image is tiny and one cannot be read, checked; tests leave it as it was."""
    tmp_path = tmp_path_factory.mktemp("checked")
    small = make.encoded(make.image(0, 3, 5), "JPEG")
    make.write_tar(tmp_path / TAR, {"8000000000000001": b"bytes", f"{3:016x}": small, f"{4:016x}": make.jpeg()})
    files = LocalTars(tmp_path / "train")
    check_containers([open_tar("train", files, "images_004.tar")], files.folder, 1, ignore)
    return files


def found(files: LocalTars) -> dict[str, ContainerCheck]:
    return find_checked([open_tar("train", files, "images_004.tar")], files.folder)


def test_a_record_holds_while_its_tar_is_the_same(files: LocalTars) -> None:
    check = found(files)[TAR]
    assert [bad[:2] for bad in check.bad] == [("8000000000000001", "unreadable"), (f"{3:016x}", "tiny")]
    assert check.bad[1][2] == "5 x 3 pixels" and check.md5 is not None and len(check.md5) == 32
    before = (files.folder / "images_004.tar").stat().st_mtime_ns
    for stamp, names in ((1, set()), (before, {TAR})):
        os.utime(files.folder / "images_004.tar", ns=(stamp, stamp))
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
def test_other_rules_and_corrupt_records_do_not_count(files: LocalTars, old: str, new: str) -> None:
    path = files.folder / "train" / "images_004.tar.json"
    text = path.read_text()
    assert old in text
    for content in (text.replace(old, new), text[:-3], "", "[]", "null", "{}"):
        path.write_text(content)
        assert found(files) == {}
    path.write_text(text)
    assert set(found(files)) == {TAR}
