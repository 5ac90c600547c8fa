from pathlib import Path

import pytest

from landmarks.data.gldv2 import metadata_files, parse_md5, parse_tar_numbers, tar_files
from landmarks.errors import LandmarksError

SUM = "58fca3b2e747643753b9074f851abf10"


def test_names_are_the_official_ones() -> None:
    (tar,) = tar_files("index", [99])
    assert (tar.path, tar.md5_path) == ("index/images_099.tar", "md5sum/index/md5.images_099.txt")
    assert "ground_truth/retrieval_solution_v2.1.csv" in [file.path for file in metadata_files()]
    assert sum(file.needed for file in metadata_files()) == 7 and len(metadata_files()) == 12


@pytest.mark.parametrize(
    ("text", "numbers"), [("7", [7]), ("0-3,8", [0, 1, 2, 3, 8]), (" 5 , 4-6", [4, 5, 6]), ("499", [499])]
)
def test_choice_of_tars(text: str, numbers: list[int]) -> None:
    assert parse_tar_numbers(text, "train") == numbers


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0-100", r"index has the tars 0-99 only, not 100"),
        ("5-3", r"runs backwards; write 3-5"),
        ("", r"'' is neither a number nor a range"),
        ("1,,2", r"'' is neither a number"),
        ("-1", r"'-1' is neither a number"),
        ("a", r"'a' is neither a number"),
        ("9" * 5000, r"is neither a number"),
    ],
)
def test_wrong_choice_is_named(text: str, message: str) -> None:
    with pytest.raises(LandmarksError, match=message):
        parse_tar_numbers(text, "index")


def test_md5_files_of_the_mini_release(shared_data: Path) -> None:
    assert parse_md5((shared_data / "gldv2_mini/md5sum/train/md5.images_000.txt").read_text(), "images_000.tar") == SUM


@pytest.mark.parametrize("line", [f"{SUM}  images_001.tar", SUM, "<html>", f"{SUM[1:]}  images_000.tar", ""])
def test_other_lines_are_no_md5_of_the_tar(line: str) -> None:
    assert parse_md5(line, "images_000.tar") is None


def test_first_lines_of_the_mini_release(shared_data: Path) -> None:
    for file in metadata_files():
        path = shared_data / "gldv2_mini" / file.path
        assert path.is_file() or not file.needed
        if path.is_file():
            assert file.is_first_line(path.open().readline().rstrip("\n"))


def test_first_line_of_something_else() -> None:
    for file in metadata_files():
        assert not file.is_first_line("<html>") and not file.is_first_line("") and not file.is_first_line("identity")
    (train,) = (file for file in metadata_files() if file.path == "metadata/train.csv")
    assert train.is_first_line('\ufeff"id","url","landmark_id"') and not train.is_first_line("id,landmark_id")
