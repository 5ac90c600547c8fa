"""Columns, lines, line ends, headers and broken files, whatever the size of a block."""

import csv
import io
import itertools
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from landmarks.errors import FormatError
from landmarks.storage import Rows, read_rows
from landmarks.storage import csv as csv_reader

HEADER = b"id,images\n"
A, B, C = b"00000000000000aa", b"00000000000000bb", b"ffffffffffffffff"
LINE = A + b"," + B + b"\n"
PER_FUNCTION = [HealthCheck.function_scoped_fixture]


def rows_of(path: Path) -> list[tuple[int, int, list[int]]]:
    """Line number, id and images of every row."""
    found = []
    for rows in read_rows(path, ("id", "images")):
        images, offsets = rows.id_lists("images")
        for row, image_id in enumerate(rows.ids("id").tolist()):
            found.append((int(rows.lines[row]), image_id, images[offsets[row] : offsets[row + 1]].tolist()))
    return found


def texts_of(path: Path, *columns: str, any_bytes: bool = False) -> list[tuple[int, tuple[str, ...]]]:
    """Line number and texts of every row."""
    return [
        (int(line), fields)
        for rows in read_rows(path, columns, any_bytes=any_bytes)
        for line, fields in zip(rows.lines, zip(*map(rows.texts, columns), strict=True), strict=True)
    ]


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
        HEADER + A + b" ," + B + b" " + C + b"\n" + B + b",\n",
        (HEADER + A + b"," + B + b" " + C + b"\n" + B + b",\n").replace(b"\n", b"\r\n"),
        b"\xef\xbb\xbf" + HEADER + A + b"," + B + b" " + C + b"\n" + B + b",\n",
        b'"id","images"\n"' + A + b'","' + B + b" " + C + b'"\n"' + B + b'",""\n',
        b'"id","images"\r\n"' + A + b'","' + B + b" " + C + b'"\r\n"' + B + b'",""\r\n',
        b"images,x,id\n" + B + b" " + C + b',"1,2",' + A + b"\n,," + B + b"\n",
    ],
    ids=["plain", "no last line end", "trailing space", "space behind an id", "CRLF", "UTF-8 mark", "quotes",
         "quotes and CRLF", "more columns, another order"],
)  # fmt: skip
def test_tolerated_spellings(tmp_path: Path, content: bytes) -> None:
    assert rows_of(written(tmp_path, content)) == [(2, 0xAA, [0xBB, 2**64 - 1]), (3, 0xBB, [])]


def test_blank_lines_are_skipped_and_still_counted(tmp_path: Path) -> None:
    content = HEADER + b"\n" + A + b"," + B + b"\n\r\n\n" + B + b",\n\n"
    assert rows_of(written(tmp_path, content)) == [(3, 0xAA, [0xBB]), (6, 0xBB, [])]
    assert texts_of(written(tmp_path, b"id\r\n\r\na\r\n\nb\n\r\n"), "id") == [(3, ("a",)), (5, ("b",))]


def test_a_header_alone_has_no_rows(tmp_path: Path) -> None:
    assert rows_of(written(tmp_path, HEADER)) == []
    assert rows_of(written(tmp_path, b"id,images")) == []
    assert rows_of(written(tmp_path, HEADER + b"\n\r\n")) == []


FIELDS = st.text(st.sampled_from('ab0,"  é%'), max_size=12)


@settings(max_examples=60)
@given(
    rows=st.lists(st.tuples(FIELDS, FIELDS, FIELDS), max_size=12),
    end=st.sampled_from(["\n", "\r\n"]),
    mark=st.booleans(),
    finished=st.booleans(),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    block=st.sampled_from([100, 250, 1 << 20]),
)
def test_fields_are_those_of_the_csv_module(
    rows: list[tuple[str, str, str]],
    end: str,
    mark: bool,
    finished: bool,
    quoting: int,
    block: int,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Whatever block a line falls into."""
    text = io.StringIO()
    csv.writer(text, lineterminator=end, quoting=quoting).writerows([("id", "url", "mark"), *rows])  # type: ignore[arg-type]
    content = ("\ufeff" if mark else "") + (text.getvalue() if finished else text.getvalue().removesuffix(end))
    path = written(tmp_path_factory.mktemp("csv"), content.encode())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(csv_reader, "BLOCK_BYTES", block)
        found = texts_of(path, "mark", "id")
    assert found == [(line, (mark, image)) for line, (image, _, mark) in enumerate(rows, start=2)]


@settings(max_examples=300, suppress_health_check=PER_FUNCTION)
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


BROKEN = {
    "empty file": (b"", "the file is empty; its first line should name the columns id,images"),
    "missing column": (b"id\n", "line 1: column 'images' is missing in the header 'id'"),
    "no header": (LINE, "line 1: column 'id' is missing in the header '00000000000000aa,00000000000000bb'"),
    "twice": (b"id,images,images\n", "line 1: column 'images' is there twice in the header"),
    "UTF-16": (HEADER.decode().encode("utf-16"), "line 1: is not plain text (UTF-8); save it as CSV in UTF-8"),
    "old Mac": (HEADER[:-1] + b"\r" + LINE, "line 1: lines end with a carriage return alone"),
    "zip": (b"PK\x03\x04\x00\n", "line 1: is not plain text"),
    "accents": ("id,imágenes\n".encode(), "line 1: is not plain text"),
    "Latin-1": (HEADER + LINE + b"caf\xe9,\n", "line 3, field 'id': 'caf\ufffd' is not UTF-8; save it as plain CSV"),
    "tab": (HEADER + LINE + A + b"\t,\n", "line 3, field 'id': '00000000000000aa\\t' is not an image id"),
    "stray CR": (HEADER + LINE + b"\n" + A + b"\r," + B, "line 4: a carriage return inside a line"),
    "too few fields": (HEADER + LINE + b"\n" + A + b"\n", "line 4: 1 fields instead of 2; write 'id,images'"),
    "too few and too many": (HEADER + LINE + A + b"\n" + A + b",,\n", "line 3: 1 fields instead of 2"),
    "short id": (HEADER + LINE + A[1:] + b",\n", "line 3, field 'id': '0000000000000aa' is not an image id"),
    "upper case": (HEADER + LINE + A.upper() + b",\n", "line 3, field 'id': '00000000000000AA' is not an image id"),
    "bad image": (HEADER + LINE + B + b"," + A + b" 12\n", "line 3, field 'images': '12' is not an image id"),
    "None": (HEADER + LINE + B + b",None\n", "line 3, field 'images': 'None' is not an image id"),
    "two spaces": (HEADER + A + b"," + A + b"  " + B + b"\n", "line 2, field 'images': there is a space too many"),
    "two trailing spaces": (HEADER + A + b"," + A + b"  \n", "line 2, field 'images': there is a space too many"),
    "leading space": (HEADER + A + b", " + A + b"\n", "line 2, field 'images': there is a space too many"),
    "half a quote": (HEADER + A + b',"' + A + b"\n", 'line 2: a quote is not closed; write "" for a quote'),
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
    monkeypatch.setattr(csv_reader, "BLOCK_BYTES", 70)
    with pytest.raises(FormatError, match="line 23, field 'images': 'x' is not"):
        rows_of(written(tmp_path, HEADER + LINE * 20 + b"\n" + A + b",x\n" + LINE * 9))


def test_a_line_without_end_is_refused_before_it_fills_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_reader, "BLOCK_BYTES", 64)
    with pytest.raises(FormatError, match="line 3: a line never ends"):
        rows_of(written(tmp_path, HEADER + LINE + A + b"," + B * 50))


def test_missing_files_and_folders(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"none\.csv: cannot be read \(No such file or directory\); give the path"):
        rows_of(tmp_path / "none.csv")
    with pytest.raises(FormatError, match="Is a directory"):
        rows_of(tmp_path)


def test_the_caller_may_refuse_a_header(tmp_path: Path) -> None:
    def refuse(names: object) -> None:
        raise FormatError(f"header {names}")

    with pytest.raises(FormatError, match="header \\['id', 'images'\\]"):
        list(read_rows(written(tmp_path, HEADER), ("id",), check_header=refuse))


def test_invalid_utf8_is_accepted_in_unused_columns_and_on_request(tmp_path: Path) -> None:
    path = written(tmp_path, b"id,url,mark\na,\xff\xe9,\xc3\xa9\nb,,\xe9\n")
    assert texts_of(path, "id") == [(2, ("a",)), (3, ("b",))]
    assert texts_of(path, "mark", any_bytes=True) == [(2, ("é",)), (3, ("\ufffd",))]
    with pytest.raises(FormatError, match="line 3, field 'mark': '\ufffd' is not UTF-8"):
        texts_of(path, "mark")


NUMBERED = "ImageID,Source,LabelName,X,Last"
ID = "0123456789abcdef"


def numbered(path: Path) -> list[tuple[int, int, str, float]]:
    """Line number, id, name and number of every row."""
    found, codes = [], {"/m/known": 0}
    for rows in read_rows(path, ("ImageID", "LabelName"), numbers=("X",)):
        labels = rows.codes("LabelName", codes)
        assert labels.dtype == np.int32
        names = [list(codes)[code] for code in labels.tolist()]
        ids, numbers = rows.ids("ImageID"), rows.numbers("X")
        found += zip(rows.lines.tolist(), ids.tolist(), names, numbers.tolist(), strict=True)
    return found


def lines_in(folder: Path, *lines: str | bytes, header: str = NUMBERED, end: bytes = b"\n") -> Path:
    parts = [line if isinstance(line, bytes) else line.encode() for line in (header, *lines)]
    return written(folder, b"".join(part + end for part in parts))


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_numbers_and_names(tmp_path: Path, end: bytes) -> None:
    lines = (f"{ID},a,/m/b,.5,1", f'{ID[::-1]},"a,b",/m/known,-1e-3,1', f"{ID},,/m/b,5,")
    assert numbered(lines_in(tmp_path, *lines, end=end)) == [
        (2, int(ID, 16), "/m/b", 0.5),
        (3, int(ID[::-1], 16), "/m/known", -0.001),
        (4, int(ID, 16), "/m/b", 5.0),
    ]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (f"{ID},a,/m/a,x,1", ", field 'X': 'x' is not a finite number"),
        (f"{ID},a,/m/a,,1", ", field 'X': '' is not a finite number"),
        (f"{ID},a,/m/a,nan,1", ", field 'X': 'nan' is not a finite number"),
        (f"{ID},a,/m/a,1e999,1", ", field 'X': '1e999' is not a finite number"),
        (f"{ID},a,/m/a,1_0,1", ", field 'X': '1_0' is not a finite number"),
        (f"{ID},a,/m/a,1 ,1", ", field 'X': '1 ' is not a finite number"),
        (f"{ID},a,/m/a,\u0661,1", ", field 'X': '\u0661' is not a finite number"),
        (f"{ID},a,,1,1", ", field 'LabelName': '' is not a name"),
        (f"{ID[1:]},a,/m/a,1,1", ", field 'ImageID': '123456789abcdef' is not an image id"),
        (",a,/m/a,1,1", ", field 'ImageID': '' is not an image id"),
        (f"{ID},a,/m/a,1", ": 4 fields instead of 5; write 'ImageID,Source,LabelName,X,Last'"),
        (f"{ID},a,/m/a,1,2,3", ": 6 fields instead of 5"),
        (ID, ": 1 fields instead of 5"),
        (f'{ID},a,/m/a,1,"1', ": a quote is not closed"),
        (f'{ID},a,"/m/\na",1,1', ": a quote is not closed"),
        (f'{ID},a,/m"a,1,1', ": a quote is not closed"),
        (f"{ID},a,/m/a,1,1\r{ID},a,/m/a,1,1", ": a carriage return inside a line"),
        (ID.encode() + b",a,\xff,1,1", ", field 'LabelName': '\ufffd' is not UTF-8"),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, line: str | bytes, message: str) -> None:
    good = f"{ID},a,/m/a,1,1"
    # A block with a blank line is read otherwise than one without.
    for before, after, end in itertools.product((["", good], [good, good]), ([], [good]), (b"\n", b"\r\n")):
        path = lines_in(tmp_path, *before, line, *after, end=end)
        with pytest.raises(FormatError) as caught:
            numbered(path)
        assert str(caught.value).startswith(f"{path}, line 4{message}")


def test_unused_columns_may_share_a_name_or_be_empty(tmp_path: Path) -> None:
    lines = (f"{ID},,/m/a,1,,", f"{ID},,/m/a,2,,")
    assert len(numbered(lines_in(tmp_path, *lines, header="ImageID,Y,LabelName,X,Y,Y"))) == 2


def whole_numbers(*texts: str) -> list[int]:
    column = pl.Series(texts, dtype=pl.String)
    return Rows(Path("f.csv"), np.arange(len(texts)), {"number": column}).whole_numbers("number").tolist()


@given(st.lists(st.integers(0, 10**18 - 1)))
def test_whole_numbers_round_trip(numbers: list[int]) -> None:
    assert whole_numbers(*map(str, numbers)) == numbers


@pytest.mark.parametrize(
    "text", ["", "-1", "+1", "1.0", "x", "1x", "1_0", "9" * 19, "0" * 41, "/", ":", " 1", "\u0661"]
)
def test_other_texts_are_no_whole_numbers(text: str) -> None:
    assert whole_numbers("7", text, "08") == [7, -1, 8]
