from pathlib import Path

import pytest

from landmarks.data.gldv2.checks import TableCheck, check_table
from landmarks.ids import format_ids

A, B, C, D = (f"{number:016x}" for number in (10, 11, 12, 2**63 + 5))


def check(tmp_path: Path, name: str, *lines: str) -> TableCheck:
    path = tmp_path / f"{name}.csv"
    path.write_text("\n".join(lines) + "\n")
    return check_table(name, path)


def labels(found: TableCheck) -> dict[str, str | None]:
    table = found.table
    return {
        name: str(table.landmark_names[mark]) if mark >= 0 else None
        for name, mark in zip(format_ids(table.ids), table.landmarks, strict=True)
    }


def test_a_valid_table_equals_that_of_training(tmp_path: Path) -> None:
    found = check(tmp_path, "train", "id,url,landmark_id", f'{A},"u,v",7', f"{D},,3")
    assert found.problem is None and found.is_known
    assert labels(found) == {A: "7", D: "3"}
    assert len(found.repeated) == len(found.unlabelled) == 0


def test_all_wrong_lines_of_a_table_are_found(tmp_path: Path) -> None:
    rows = [f"{A},,7", f"{B},,", f"{C},,x", "zz,,8", f"{A},,9", f"{D},u,8"]
    found = check(tmp_path, "train", "id,url,landmark_id", *rows)
    assert found.problem is not None and "train.csv, line" in found.problem
    assert "3 lines have a wrong id or landmark: 3, 4, 5" in found.problem
    assert labels(found) == {A: "7", B: None, C: None, D: "8"}
    assert format_ids(found.repeated) == [A] and format_ids(found.unlabelled) == [B]


def test_only_the_first_wrong_lines_are_shown(tmp_path: Path) -> None:
    found = check(tmp_path, "test", "id", *["bad"] * 9, A)
    assert found.problem is not None and "9 lines have a wrong id or landmark: 2, 3, 4, 5, 6, …" in found.problem
    assert format_ids(found.table.ids) == [A]


@pytest.mark.parametrize(
    ("name", "header", "row"),
    [
        ("train_clean", "landmark_id,images", f"7,{A} {B} {A}"),
        ("index", "id", f"{A}\n{B}\n{A}"),
        ("index_image_to_landmark", "id,landmark_id", f"{A},7\n{B},7\n{A},7"),
    ],
)
def test_repeated_images_are_named(tmp_path: Path, name: str, header: str, row: str) -> None:
    found = check(tmp_path, name, header, row)
    assert found.problem is not None and f"{name}.csv" in found.problem
    assert format_ids(found.repeated) == [A] and format_ids(found.table.ids) == [A, B]
    names = [] if name == "index" else ["index:7" if name.startswith("index") else "7"]
    assert found.table.landmark_names.tolist() == names


def test_a_bad_image_in_the_middle_of_a_clean_line_leaves_the_others(tmp_path: Path) -> None:
    found = check(tmp_path, "train_clean", "landmark_id,images", f"7,{A} nonsense {B}", f"8,{C}")
    assert found.problem is not None and "line 2" in found.problem
    assert labels(found) == {A: "7", B: "7", C: "8"}


@pytest.mark.parametrize("content", [b"", b"ID\n0\n", b'id\n"never closed\n', bytes(range(256)) * 9])
def test_another_file_is_a_problem_without_images(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "test.csv"
    path.write_bytes(content)
    found = check_table("test", path)
    assert found.problem is not None and found.problem.startswith(str(path))
    assert len(found.table) == 0 and not found.is_known


def test_a_table_without_images_is_known(tmp_path: Path) -> None:
    assert check(tmp_path, "test", "id").is_known
