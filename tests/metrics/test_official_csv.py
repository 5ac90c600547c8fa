"""Lines, line ends, headers and broken files, whatever the size of a block."""

import csv
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from landmarks.metrics import official_csv
from landmarks.metrics.errors import FormatError
from landmarks.metrics.official_csv import read_blocks

HEADER = b"id,images\n"
A, B, C = b"00000000000000aa", b"00000000000000bb", b"ffffffffffffffff"


def rows_of(path: Path) -> list[tuple[int, int, list[int]]]:
    """Line number, id and images of every row."""
    rows = []
    for block in read_blocks(path, ("id", "images")):
        images, offsets = block.image_ids(1)
        for row, image_id in enumerate(block.row_ids().tolist()):
            found = images[offsets[row] : offsets[row + 1]].tolist()
            rows.append((int(block.lines[row]), image_id, found))
    return rows


def written(folder: Path, content: bytes) -> Path:
    path = folder / "file.csv"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    "content",
    [
        HEADER + A + b"," + B + b" " + C + b"\n" + B + b",\n",
        HEADER + A + b"," + B + b" " + C + b"\n" + B + b",",
        HEADER + A + b"," + B + b" " + C + b" \n" + B + b", \n",
        (HEADER + A + b"," + B + b" " + C + b"\n" + B + b",\n").replace(b"\n", b"\r\n"),
        b"\xef\xbb\xbf" + HEADER + A + b"," + B + b" " + C + b"\n" + B + b",\n",
        b'"id","images"\n"' + A + b'","' + B + b" " + C + b'"\n"' + B + b'",""\n',
        b'"id","images"\r\n"' + A + b'","' + B + b" " + C + b'"\r\n"' + B + b'",""\r\n',
    ],
    ids=["plain", "no last line end", "trailing space", "CRLF", "UTF-8 mark", "quotes", "quotes and CRLF"],
)
def test_tolerated_spellings(tmp_path: Path, content: bytes) -> None:
    assert rows_of(written(tmp_path, content)) == [(2, 0xAA, [0xBB, 2**64 - 1]), (3, 0xBB, [])]


def test_blank_lines_are_skipped_and_still_counted(tmp_path: Path) -> None:
    content = HEADER + b"\n" + A + b"," + B + b"\n\r\n\n" + B + b",\n\n"
    assert rows_of(written(tmp_path, content)) == [(3, 0xAA, [0xBB]), (6, 0xBB, [])]


def test_a_header_alone_has_no_rows(tmp_path: Path) -> None:
    assert rows_of(written(tmp_path, HEADER)) == []
    assert rows_of(written(tmp_path, b"id,images")) == []


HEX = st.integers(0, 2**64 - 1).map(lambda value: f"{value:016x}")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(HEX, st.lists(HEX, max_size=6))), st.sampled_from(["\n", "\r\n"]), st.integers(130, 500))
def test_equals_the_csv_module_for_any_block_size(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    rows: list[tuple[str, list[str]]],
    line_end: str,
    block_bytes: int,
) -> None:
    monkeypatch.setattr(official_csv, "BLOCK_BYTES", block_bytes)
    path = tmp_path / "file.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator=line_end)
        writer.writerow(["id", "images"])
        writer.writerows([image_id, " ".join(images)] for image_id, images in rows)
    expected = [
        (line, int(image_id, 16), [int(image, 16) for image in images])
        for line, (image_id, images) in enumerate(rows, start=2)
    ]
    assert rows_of(path) == expected


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from([A, B, b",", b" ", b"\n", b"\r\n", b"\r", b'"', b"\0", b"\xff", b"x"])))
def test_noise_is_read_or_refused_but_never_crashes(tmp_path: Path, parts: list[bytes]) -> None:
    path = written(tmp_path, HEADER + b"".join(parts))
    try:
        rows = rows_of(path)
    except FormatError as error:
        assert f"{path}, line " in str(error)
        return
    # What is read is what the csv module reads, but for the one tolerated space.
    with path.open(newline="") as file:
        lines = [row for row in csv.reader(file) if any(row)][1:]
    assert [(f"{i:016x}", " ".join(f"{image:016x}" for image in images)) for _, i, images in rows] == [
        (image_id.removesuffix(" "), images.removesuffix(" ")) for image_id, images in lines
    ]


LINE = A + b"," + B + b"\n"
BROKEN = {
    "empty file": (b"", "the file is empty; a retrieval submission begins with the line 'id,images'"),
    "other task": (b"id,landmarks\n", "line 1: this is a recognition submission; give a retrieval submission"),
    "a solution": (b"id,images,Usage\n", "line 1: this is a retrieval solution; give a retrieval submission"),
    "other task, quoted": (b'"id","landmarks","Usage"\r\n', "line 1: this is a recognition solution"),
    "missing column": (b"id\n", "line 1: column 'images' is missing in the header 'id'"),
    "no header": (LINE, "line 1: column 'id' is missing in the header '00000000000000aa,00000000000000bb'"),
    "more columns": (b"id,images,score\n", "line 1: other columns or another order in the header"),
    "other order": (b"images,id\n", "line 1: other columns or another order"),
    "UTF-16": (HEADER.decode().encode("utf-16"), "line 1: is not plain text (UTF-8); save it as CSV in UTF-8"),
    "old Mac": (HEADER[:-1] + b"\r" + LINE, "line 1: lines end with a carriage return alone"),
    "zip": (b"PK\x03\x04\x00\n", "line 1: is not plain text"),
    "Latin-1": (HEADER + LINE + b"caf\xe9,\n", "line 3: byte 0xe9 does not belong in such a file"),
    "tab": (HEADER + LINE + A + b"\t\n", "line 3: byte 0x09 does not belong"),
    "stray CR": (HEADER + LINE + b"\n" + A + b"\r," + B, "line 4: byte 0x0d does not belong"),
    "too few fields": (HEADER + LINE + b"\n" + A + b"\n", "line 4: 1 fields instead of 2; write 'id,images'"),
    "too many fields": (HEADER + LINE + A + b",,\n", "line 3: 3 fields instead of 2"),
    "short id": (HEADER + LINE + A[1:] + b",\n", "line 3, field 'id': '0000000000000aa' is not an image id"),
    "empty id": (HEADER + LINE + b"," + A + b"\n", "line 3, field 'id': the id is empty"),
    "two ids": (HEADER + A + b" " + B + b",\n", "line 2, field 'id': there is more than one id"),
    "upper case": (HEADER + LINE + A.upper() + b",\n", "line 3, field 'id': '00000000000000AA' is not an image id"),
    "bad image": (HEADER + LINE + B + b"," + A + b" 12\n", "line 3, field 'images': '12' is not an image id"),
    "None": (HEADER + LINE + B + b",None\n", "line 3, field 'images': 'None' is not an image id"),
    "two spaces": (HEADER + A + b"," + A + b"  " + B + b"\n", "line 2, field 'images': there is a space too many"),
    "two trailing spaces": (HEADER + A + b"," + A + b"  \n", "line 2, field 'images': there is a space too many"),
    "leading space": (HEADER + A + b", " + A + b"\n", "line 2, field 'images': there is a space too many"),
    "half a quote": (HEADER + A + b',"' + A + b"\n", "line 2, field 'images': '\"00000000000000aa' is not an"),
    "long word": (HEADER + A + b"," + b"f" * 99 + b"\n", "f…' is not an image id; write 16 lowercase hex digits"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_refused_is_named(tmp_path: Path, name: str) -> None:
    content, message = BROKEN[name]
    path = written(tmp_path, content)
    with pytest.raises(FormatError) as refused:
        rows_of(path)
    assert str(refused.value).startswith(str(path))
    assert message in str(refused.value)


def test_line_numbers_go_on_over_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(official_csv, "BLOCK_BYTES", 70)
    with pytest.raises(FormatError, match="line 23, field 'images': 'x' is not"):
        rows_of(written(tmp_path, HEADER + LINE * 20 + b"\n" + A + b",x\n" + LINE * 9))


def test_a_line_without_end_is_refused_before_it_fills_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(official_csv, "BLOCK_BYTES", 64)
    with pytest.raises(FormatError, match="line 3: a line never ends"):
        rows_of(written(tmp_path, HEADER + LINE + A + b"," + B * 50))


def test_missing_files_and_folders(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"none\.csv: cannot be read \(No such file or directory\); give the path"):
        rows_of(tmp_path / "none.csv")
    with pytest.raises(FormatError, match="Is a directory"):
        rows_of(tmp_path)
