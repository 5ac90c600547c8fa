"""Columns of a CSV file by name, and the line and field of whatever is wrong in it."""

import itertools
from pathlib import Path

import numpy as np
import pytest

from landmarks.metrics import csv_rows
from landmarks.metrics.csv_rows import Kind, Rows, read_rows
from landmarks.metrics.errors import FormatError

ID = "0123456789abcdef"
HEADER = "ImageID,Source,LabelName,X,Last"
COLUMNS = {"X": Kind.NUMBER, "ImageID": Kind.ID, "LabelName": Kind.NAME}


def read(path: Path, *lines: str | bytes, end: bytes = b"\n", header: str = HEADER) -> list[Rows]:
    text = [line.encode() if isinstance(line, str) else line for line in (header, *lines)]
    path.write_bytes(end.join(text) + end)
    return list(read_rows(path, COLUMNS))


def content(blocks: list[Rows]) -> list[tuple[int, int, str, float]]:
    codes: dict[str, int] = {}
    found = []
    for rows in blocks:
        ids, labels, numbers = rows.ids("ImageID"), rows.codes("LabelName", codes), rows.numbers("X")
        assert ids.dtype == np.uint64
        assert labels.dtype == np.int32
        names = [list(codes)[code] for code in labels.tolist()]
        found += zip(rows.lines.tolist(), ids.tolist(), names, numbers.tolist(), strict=True)
    return found


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "rows.csv"


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_columns_are_found_by_name(path: Path, end: bytes) -> None:
    lines = (f"{ID},a,/m/b,.5,1", f"{ID[::-1]},a,/m/a,-1e-3,1", f"{ID},,/m/b,5,")
    assert content(read(path, *lines, end=end)) == [
        (2, int(ID, 16), "/m/b", 0.5),
        (3, int(ID[::-1], 16), "/m/a", -0.001),
        (4, int(ID, 16), "/m/b", 5.0),
    ]


def test_what_tools_write_is_tolerated(path: Path) -> None:
    lines = ("", f'"{ID}","a,b","/m/a","1",2', "\r", f"{ID},,/m/a,2,2\r", "", "")
    found = content(read(path, *lines, header=f'\ufeff"{HEADER.replace(",", chr(34) + "," + chr(34))}"\r'))
    assert [(line, number) for line, *_, number in found] == [(3, 1.0), (5, 2.0)]
    path.write_text(f"{HEADER}\n{ID},a,/m/a,1,2")
    assert content(list(read_rows(path, COLUMNS))) == [(2, int(ID, 16), "/m/a", 1.0)]


def test_no_rows(path: Path) -> None:
    assert read(path) == []
    assert read(path, "", "\r", "") == []


@pytest.mark.parametrize("size", [70, 100, 1000])
def test_blocks_of_any_size_give_the_same_rows_and_lines(
    path: Path, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_rows, "BLOCK_BYTES", size)
    lines = [f"{row:016x},a,/m/{row % 7},{row / 8},1" if row % 5 else "" for row in range(40)]
    expected = [(row + 2, row, f"/m/{row % 7}", row / 8) for row in range(40) if row % 5]
    blocks = read(path, *lines)
    assert content(blocks) == expected
    assert len(blocks) > 1 or size == 1000
    with pytest.raises(FormatError, match="line 43, field 'X': 'x' is not a finite number"):
        read(path, *lines, f"{ID},a,/m/a,1,1", f"{ID},a,/m/a,x,1")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (f"{ID},a,/m/a,x,1", "field 'X': 'x' is not a finite number"),
        (f"{ID},a,/m/a,,1", "field 'X': '' is not a finite number"),
        (f"{ID},a,/m/a,nan,1", "field 'X': 'nan' is not a finite number"),
        (f"{ID},a,/m/a,1e999,1", "field 'X': '1e999' is not a finite number"),
        (f"{ID},a,/m/a,1_0,1", "field 'X': '1_0' is not a finite number"),
        (f"{ID},a,/m/a,1 ,1", "field 'X': '1 ' is not a finite number"),
        (f"{ID},a,/m/a,\u0661,1", "field 'X': '\u0661' is not a finite number"),
        (f"{ID},a,,1,1", "field 'LabelName': '' is not a name"),
        (f"{ID[1:]},a,/m/a,1,1", "field 'ImageID': '123456789abcdef' is not an image id"),
        (f"{ID.upper()},a,/m/a,1,1", "field 'ImageID': '0123456789ABCDEF' is not an image id"),
        (",a,/m/a,1,1", "field 'ImageID': '' is not an image id"),
        (f"{ID},a,/m/a,1", "4 fields instead of 5; write 'ImageID,Source,LabelName,X,Last'"),
        (f"{ID},a,/m/a,1,2,3", "6 fields instead of 5"),
        (ID, "1 fields instead of 5"),
        (",,,,", "field 'X': '' is not a finite number"),
        (f'{ID},a,/m/a,1,"1', "a quote is not closed"),
        (f'{ID},a,"/m/\na",1,1', "a quote is not closed"),
        (f'{ID},a,/m"a,1,1', "a quote is not closed"),
        (f"{ID},a,/m/a,1,1\r{ID},a,/m/a,1,1", "a carriage return inside a line"),
        (ID.encode() + b",\xff,/m/a,1,1", "is not UTF-8"),
    ],
)
def test_a_wrong_line_is_named(path: Path, line: str | bytes, message: str) -> None:
    good = f"{ID},a,/m/a,1,1"
    # A block with a blank line is read otherwise than one without.
    for before, after, end in itertools.product((["", good], [good, good]), ([], [good]), (b"\n", b"\r\n")):
        with pytest.raises(FormatError) as caught:
            content(read(path, *before, line, *after, end=end))
        assert str(caught.value).startswith(f"{path}, line 4")
        assert message in str(caught.value)


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("", "the file is empty; its first line should name the columns X,ImageID,LabelName"),
        ("ImageID,LabelName,Y\n", "line 1: column 'X' is missing in the header 'ImageID,LabelName,Y'"),
        ("ImageID,LabelName,X,X\n", "line 1: column 'X' is there twice"),
        ("ImageID,LabelName,X\r1", "not plain text"),
        ("ImageID,LabelName,X\0\n", "not plain text"),
        ("ImageID,LabelName,X\u00e9\n", "not plain text"),
    ],
)
def test_a_wrong_header_is_named(path: Path, header: str, message: str) -> None:
    path.write_bytes(header.encode())
    with pytest.raises(FormatError) as caught:
        list(read_rows(path, COLUMNS))
    assert message in str(caught.value)


def test_a_file_that_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for path, problem in ((tmp_path / "none.csv", "No such file"), (tmp_path, "Is a directory")):
        with pytest.raises(FormatError, match=f"cannot be read \\({problem}"):
            list(read_rows(path, COLUMNS))
    monkeypatch.setattr(csv_rows, "BLOCK_BYTES", 100)
    with pytest.raises(FormatError, match="line 3: a line never ends"):
        read(tmp_path / "long.csv", f"{ID},a,/m/a,1,1", "x" * 300)


def test_columns_that_nobody_asks_for_may_share_a_name_or_be_empty(path: Path) -> None:
    lines = (f"{ID},,/m/a,1,,", f"{ID},,/m/a,2,,")
    assert len(content(read(path, *lines, header="ImageID,Y,LabelName,X,Y,Y"))) == 2
