import csv
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from landmarks.data.gldv2 import quoted_csv
from landmarks.data.gldv2.quoted_csv import read_columns
from landmarks.metrics.errors import FormatError

FIELDS = st.text(st.sampled_from('ab0,"  é%'), max_size=12)


def read(path: Path, *columns: str) -> list[tuple[int, tuple[bytes, ...]]]:
    """Line numbers and the bytes of the fields."""
    return [
        (int(line), tuple(block.data[start:end].tobytes() for start, end in zip(starts, ends, strict=True)))
        for block in read_columns(path, columns)
        for line, starts, ends in zip(block.lines, block.starts, block.ends, strict=True)
    ]


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
    """Whatever block a line falls into. Quotes doubled inside a field stay doubled: only addresses have them."""
    text = io.StringIO()
    csv.writer(text, lineterminator=end, quoting=quoting).writerows([("id", "url", "mark"), *rows])  # type: ignore[arg-type]
    written = ("\ufeff" if mark else "") + (text.getvalue() if finished else text.getvalue().removesuffix(end))
    path = tmp_path_factory.mktemp("csv") / "train.csv"
    path.write_bytes(written.encode())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(quoted_csv, "BLOCK_BYTES", block)
        found = read(path, "mark", "id")

    def raw(field: str) -> bytes:
        return field.replace('"', '""').encode()

    assert found == [(line, (raw(mark), raw(image))) for line, (image, _, mark) in enumerate(rows, start=2)]


def test_blank_lines_count_but_are_no_rows(tmp_path: Path) -> None:
    path = tmp_path / "test.csv"
    path.write_bytes(b"id\r\n\r\na\r\n\nb\n\r\n")
    assert read(path, "id") == [(3, (b"a",)), (5, (b"b",))]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty; its first line should name the columns id,url"),
        (b"a,url\n", "line 1: column 'id' is missing in the header 'a,url'"),
        ("id,url\n".encode("utf-16"), "line 1: is not plain text"),
        (b"id,url\rx,y\r", "line 1: is not plain text"),
        (b'id,url\na,b\n\na,"b\na,b\n', "line 4: a quote is not closed"),
        (b"id,url\na,b\na,b,c\n", "line 3: 3 fields instead of 2; write 'id,url'"),
        (b"id,url\na,b\n\na", "line 4: 1 fields instead of 2"),
        (b"id,url\na,b\n" + b"x" * 200, "line 3: a line never ends"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, message: str) -> None:
    monkeypatch.setattr(quoted_csv, "BLOCK_BYTES", 100)
    path = tmp_path / "train.csv"
    path.write_bytes(content)
    with pytest.raises(FormatError) as caught:
        read(path, "id", "url")
    assert str(path) in str(caught.value) and message in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"nothing\.csv: cannot be read \(No such file"):
        read(tmp_path / "nothing.csv", "id")
