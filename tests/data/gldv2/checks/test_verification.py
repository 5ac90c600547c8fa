import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from landmarks.data import Root, open_root
from landmarks.data.gldv2 import GLDv2
from landmarks.data.gldv2.checks import CHECKED_SPLITS, IMAGE_FAULTS, TABLE_FAULTS, Findings
from landmarks.data.gldv2.checks import verify as verify_shown
from landmarks.errors import LandmarksError
from landmarks.ids import format_ids
from shown import Shown

STRANGER = "00000000000000ff"
LABELS = "index_image_to_landmark"


def verify(root: Root, splits: Any = None, workers: int = 0) -> Findings:
    return verify_shown(root, Shown(), splits, workers)


def found(findings: Findings) -> dict[tuple[str, str], set[str]]:
    """The ids with each fault of each split."""
    result: dict[tuple[str, str], set[str]] = {}
    for fault in findings.faults:
        assert len(fault.where) == len(fault.ids) > 0
        result.setdefault((fault.kind, fault.split), set()).update(format_ids(fault.ids))
    for (kind, split), ids in result.items():
        assert findings.count(kind, split) == len(ids)  # type: ignore[arg-type]
    return result


def read_tar(path: Path) -> dict[str, bytes]:
    with tarfile.open(path) as tar:
        return {Path(member.name).stem: tar.extractfile(member).read() for member in tar}  # type: ignore[union-attr]


def test_a_sound_folder(shared_data: Path, tiny: Any) -> None:
    findings = verify(tiny.root)
    assert findings.can_train and findings.reasons == [] and not findings.faults and not findings.problems
    counts = {split: tuple(counts.values()) for split, counts in findings.counts.items()}
    assert counts == {
        "train": (12, 12, 0, 4, 1),
        "train_clean": (8, 8, 0, 2, 0),
        "index": (8, 8, 2, 2, 0),
        "test": (4, 4, 4, 0, 0),
    }
    keys = ("listed", "present", "without_landmark", "landmarks", "landmarks_with_one_image")
    assert all(tuple(counts) == keys for counts in findings.counts.values())


def test_images_that_are_missing_unlisted_or_stored_twice(tiny: Any, make: SimpleNamespace) -> None:
    path = tiny.root / "train" / "images_000.tar"
    members = read_tar(path)
    gone, *others = sorted(members)
    del members[gone]
    make.write_tar(path, {**members, STRANGER: make.jpeg()})
    make.write_tar(tiny.root / "train" / "images_002.tar", {others[0]: make.jpeg(), others[1]: make.jpeg()})
    findings = verify(tiny.root)
    in_clean = tiny.train[gone] in (7, 20)
    assert found(findings) == {
        ("missing", "train"): {gone},
        **({("missing", "train_clean"): {gone}} if in_clean else {}),
        ("unlisted", "train"): {STRANGER},
        ("stored_twice", "train"): set(others[:2]),
    }
    where = "train/images_000.tar and train/images_002.tar"
    assert findings.examples("stored_twice", "train")[0] == (others[0], where)
    assert findings.examples("unlisted", "train") == [(STRANGER, "train/images_000.tar")]
    assert not findings.usable("train") and not findings.usable("train_clean") and findings.usable("index")
    assert any(others[0] in problem.message for problem in findings.problems)


def test_a_partial_download_can_be_understood(tiny: Any) -> None:
    (tiny.root / "train" / "images_001.tar").unlink()
    findings = verify(tiny.root)
    assert findings.counts["train"]["present"] == 6 and findings.count("missing", "train") == 6
    clean = findings.counts["train_clean"]
    gone = clean["listed"] - clean["present"]
    assert findings.reasons == [
        f"images are missing, {gone} of 8 of train_clean: `landmarks data download --root "
        f"{tiny.root} --split train` downloads them, data.source.missing=skip trains without them"
    ]


def test_all_corrupt_files_are_named_at_once(tiny: Any) -> None:
    for split in ("train", "index"):
        path = tiny.root / split / "images_001.tar"
        path.write_bytes(path.read_bytes()[:1000])
    first = next(iter(tiny.train))
    tiny.edit("train", first, "nonsense")
    tiny.edit("test", tiny.test[0], "nonsense")
    tiny.csv(LABELS).write_text("id,landmark\n")
    messages = [problem.message for problem in verify(tiny.root).problems]
    for name in (
        "train/images_001.tar",
        "index/images_001.tar",
        "train.csv, line 2",
        "test.csv, line 2",
        f"{LABELS}.csv",
    ):
        assert sum(name in message for message in messages) == 1, (name, messages)


def test_tables_with_wrong_lines_tell_all_of_them(tiny: Any) -> None:
    ids = list(tiny.train)
    tiny.edit("train", f"{ids[3]},,7", f"{ids[3]},,")
    with tiny.csv("train").open("a") as file:
        file.write(f"{ids[8]},,100\n")
    findings = verify(tiny.root)
    assert found(findings) == {("unlabelled", "train"): {ids[3]}, ("listed_twice", "train"): {ids[8]}}
    assert not findings.usable("train") and findings.can_train  # train_clean has all that it needs of its own


def test_images_that_only_other_files_name(tiny: Any) -> None:
    clean, index = next(name for name, mark in tiny.train.items() if mark == 7), list(tiny.index)
    tiny.edit("train", clean, "00000000000000fe")
    tiny.edit("index", index[0], "00000000000000fd")
    tiny.edit("test", tiny.test[1], "00000000000000fc")
    faults = found(verify(tiny.root))
    unknown = {split: ids for (kind, split), ids in faults.items() if kind == "unknown"}
    assert unknown == {"train": {clean}, "index": {index[0]}, "test": {tiny.test[1]}}


def test_leaks_between_splits(tiny: Any, make: SimpleNamespace) -> None:
    """A train image that is searched, another that is asked for, a query that is in the index."""
    in_clean, other = next(iter(tiny.train)), next(name for name, mark in tiny.train.items() if mark == 3000)
    for name, split in ((in_clean, "index"), (other, "test"), (tiny.test[0], "index")):
        with tiny.csv(split).open("a") as file:
            file.write(f"{name}\n")
    faults = found(verify(tiny.root))
    leaked = {split: ids for (kind, split), ids in faults.items() if kind == "leaked"}
    assert leaked == {"train": {in_clean, other}, "train_clean": {in_clean}, "test": {tiny.test[0]}}


def remove(name: str) -> Callable[[Any], None]:
    return lambda tiny: (tiny.root / name).unlink()


def cut(name: str) -> Callable[[Any], None]:
    return lambda tiny: (tiny.root / name).write_bytes((tiny.root / name).read_bytes()[:-1500])


def append(name: str, line: str) -> Callable[[Any], None]:
    return lambda tiny: (tiny.root / name).write_text((tiny.root / name).read_text() + line + "\n")


def replaced(name: str, kind: str) -> Callable[[Any], None]:
    return lambda tiny: tiny.edit(
        name, getattr(tiny, kind)[0] if kind == "test" else next(iter(getattr(tiny, kind))), STRANGER
    )


def copy_tar(tiny: Any) -> None:
    shutil.copy(tiny.root / "test/images_000.tar", tiny.root / "test/images_007.tar")


SOLUTION = "ground_truth/retrieval_solution_v2.1.csv"
PLANTS: dict[str, Callable[[Any], object]] = {
    "nothing": lambda tiny: None,
    **{f"no {name}": remove(f"metadata/{name}.csv") for name in ("train", "train_clean", "index", LABELS, "test")},
    **{f"no tar of {name}": remove(f"{name}/images_000.tar") for name in ("train", "index", "test")},
    **{f"a cut tar of {name}": cut(f"{name}/images_001.tar") for name in ("train", "index", "test")},
    "a tar twice": copy_tar,
    "no folder": lambda tiny: shutil.rmtree(tiny.root / "test"),
    "no ground truth": remove(SOLUTION),
    "wrong ground truth": append(SOLUTION, "0,0,0"),
    "a query nobody knows": append(SOLUTION, f"{STRANGER},{STRANGER},Public"),
    "an ignored query nobody knows": append(SOLUTION, f"{STRANGER},None,Ignored"),
    "a bad train line": append("metadata/train.csv", "0,0,0"),
    "a train line without label": append("metadata/train.csv", f"{STRANGER},,"),
    "a train image that is not there": append("metadata/train.csv", f"{STRANGER},,7"),
    "a clean image that is not there": append("metadata/train_clean.csv", f"9999,{STRANGER}"),
    "an empty train_clean": lambda tiny: tiny.csv("train_clean").write_text("landmark_id,images\n"),
    "another id in train": replaced("train", "train"),
    "another id in index": replaced("index", "index"),
    "another labelled id": replaced(LABELS, "index"),
    "another id in test": replaced("test", "test"),
    "repeated test": lambda tiny: append("metadata/test.csv", tiny.test[1])(tiny),
    "repeated train": lambda tiny: append("metadata/train.csv", f"{next(iter(tiny.train))},,7")(tiny),
}


@pytest.mark.parametrize("plant", PLANTS)
def test_the_verdict_is_that_of_training(tiny: Any, plant: str) -> None:
    """`can_train` if and only if the data source of training opens everything."""
    PLANTS[plant](tiny)
    findings = verify(tiny.root)
    try:
        source = GLDv2(tiny.root)
        source.prepare()
        opened = [source.truth(), source.train(), source.queries(), source.index(), source.gallery()]
    except LandmarksError:
        opened = []
    assert findings.can_train == bool(opened)
    assert findings.can_train != bool(findings.reasons)


def test_only_needed_splits_decide(tiny: Any) -> None:
    tiny.csv("train_clean").unlink()
    assert not verify(tiny.root).can_train
    findings = verify(tiny.root, ["train", "index", "test"])
    assert findings.can_train and set(findings.counts) == {"train", "index", "test"}
    (tiny.root / "train/images_000.tar").unlink()
    assert not verify(tiny.root, ["train"]).can_train and verify(tiny.root, ["index", "test"]).can_train


def test_extracted_folders_are_checked_like_tars(tiny: Any, make: SimpleNamespace) -> None:
    def extracted(split: str, name: str) -> Path:
        return tiny.root / split / name[0] / name[1] / name[2] / f"{name}.jpg"

    tiny.remove_tars("train", "index", "test", extract=True)
    train = list(tiny.train)
    extracted("train", train[9]).unlink()
    extracted("train", train[8]).write_bytes(b"<html>")
    misplaced = tiny.root / "test" / "9" / "9" / "9" / f"{tiny.test[0]}.jpg"
    misplaced.parent.mkdir(parents=True)
    extracted("test", tiny.test[0]).rename(misplaced)
    extracted("index", STRANGER).parent.mkdir(parents=True, exist_ok=True)
    extracted("index", STRANGER).write_bytes(make.jpeg())
    first, again = Shown(), Shown()
    expected = {
        ("missing", "train"): {train[9]},
        ("unreadable", "train"): {train[8]},
        ("missing", "test"): {tiny.test[0]},
        ("unlisted", "index"): {STRANGER},
    }
    assert found(verify_shown(tiny.root, first, workers=1)) == expected
    assert first.shown["decoding images"][0] == (0, 23, None)
    assert first.shown["decoding images"][-1] == (23, 23, None)
    extracted("train", train[8]).write_bytes(make.jpeg())
    del expected["unreadable", "train"]
    assert found(verify_shown(tiny.root, again, workers=1)) == expected
    assert again.shown["decoding images"][-1][0] < 12  # the images that lie beside the one that has changed, no others


def test_deep_checks_find_bad_images_and_changed_tars(tiny: Any, make: SimpleNamespace, tmp_path: Path) -> None:
    path = tiny.root / "index" / "images_001.tar"
    members = read_tar(path)
    names = sorted(members)
    members[names[0]] = members[names[0]][:300]
    members[names[1]] = make.jpeg(0, 20, 40)
    members[names[2]] = make.jpeg(0, 40, 400)
    make.write_tar(path, members)
    md5 = tiny.root / "md5sum" / "index" / "md5.images_001.txt"
    md5.parent.mkdir(parents=True)
    md5.write_text(f"{'0' * 32}  images_001.tar\n")
    findings = verify(tiny.root, workers=2)
    kinds = [("unreadable", names[0]), ("tiny", names[1]), ("extreme_aspect", names[2])]
    assert found(findings) == {(kind, "index"): {name} for kind, name in kinds}
    assert findings.examples("tiny", "index") == [(names[1], "index/images_001.tar, 40 x 20 pixels")]
    assert len(findings.reasons) == 1 and f"published one {'0' * 32}" in findings.reasons[0]
    listed = tmp_path / "bad.csv"
    assert findings.write_list(listed) == 3
    lines = listed.read_text().splitlines()
    assert lines[0] == "id,kind,split,where" and len(lines) == 4
    assert f'{names[1]},tiny,index,"index/images_001.tar, 40 x 20 pixels"' in lines
    source = GLDv2(tiny.root, train_split="index", exclude=listed)
    assert not {names[0], names[1], names[2]} & set(format_ids(source.train().table.ids))
    md5.unlink()
    assert verify(tiny.root, workers=2).can_train  # a few bad images do not stop a run


def test_tars_at_an_address_are_checked_like_those_of_a_folder(
    tiny: Any, make: SimpleNamespace, http_server: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("LANDMARKS_CACHE", str(tmp_path / "cache"))
    members = read_tar(tiny.root / "train" / "images_000.tar")
    del members[min(members)]
    make.write_tar(tiny.root / "train" / "images_000.tar", members)
    md5 = tiny.root / "md5sum" / "test" / "md5.images_001.txt"
    md5.parent.mkdir(parents=True)
    md5.write_text(f"{'0' * 32}  images_001.tar\n")
    root = open_root(http_server(tiny.root).url)
    there, here = verify(root), verify(tiny.root)
    assert found(there) == found(here) and {kind for kind, _ in found(there)} == {"missing"}
    assert there.counts == here.counts
    (problem,) = verify(root, ["test"], workers=1).problems
    assert "test/images_001.tar: its MD5 is" in problem.message


def test_json_always_has_the_same_keys(tiny: Any) -> None:
    sound = verify(tiny.root).as_json()
    (tiny.root / "train/images_001.tar").unlink()
    tiny.csv("test").unlink()
    broken = verify(tiny.root).as_json()
    assert sound.keys() == broken.keys() == {"root", "deep", "can_train", "reasons", "needed", "splits", "problems"}
    keys = {"usable", "listed", "present", "without_landmark", "landmarks", "landmarks_with_one_image", "faults"}
    for report in (sound, broken):
        assert tuple(report["splits"]) == CHECKED_SPLITS
        for split in report["splits"].values():
            assert split.keys() == keys
            assert tuple(split["faults"]) == (*TABLE_FAULTS, *IMAGE_FAULTS)
            assert all(fault.keys() == {"count", "examples"} for fault in split["faults"].values())
            assert split["faults"]["tiny"]["count"] is None  # nothing was decoded
    missing = broken["splits"]["train"]["faults"]["missing"]
    assert missing["count"] == 6 and len(missing["examples"]) == 3
    assert missing["examples"][0].keys() == {"id", "where"}
