"""The page shows what it is given, as text, and links to reports by relative addresses."""

import re
from pathlib import Path

import pytest

from landmarks.errors import LandmarksError
from landmarks.report import Apart, Board, BoardRow, Measured, points, write_leaderboard

NASTY = "<script>alert('x')</script> & \"more\""
BOTH = {"public": 0.2676, "private": 0.302}


def measured(run: Path | str, **values: object) -> Measured:
    figures = {"public": 0.25, "private": 0.31}
    given = {"figures": figures, "differences": {"public": -0.0176, "private": 0.008}, "protocol": "448 px", **values}
    return Measured(str(run), "2026-01-02 03:04", **given)  # type: ignore[arg-type]


def page_of(out: Path, board: Board) -> str:
    return write_leaderboard(out, board, "the rule").read_text()


def test_figures_and_differences(tmp_path: Path) -> None:
    row = BoardRow("r", "map@100", BOTH, "them", "", (measured("a"), measured("b")), {"kind": ["never shown"]})
    page = page_of(tmp_path / "x.html", Board((row,)))
    assert page.count("0.2676") == 1 and page.count("0.2500") == page.count("0.3100") == 2
    assert page.count('<span class="down">-1.76</span>') == page.count('<span class="up">+0.80</span>') == 2
    assert "never shown" not in page and "the rule" in page
    assert "http" not in page and "<script" not in page  # nothing but itself


def test_whatever_is_given_is_text(tmp_path: Path) -> None:
    row = BoardRow(NASTY, NASTY, BOTH, NASTY, NASTY, (measured(NASTY, protocol=NASTY),))
    bare = BoardRow(NASTY, NASTY, {"public": None, "private": None}, NASTY, "", (), {NASTY: [NASTY]})
    apart = Apart(NASTY, NASTY, NASTY, NASTY, {NASTY: BOTH}, NASTY, (NASTY, NASTY))
    page = page_of(tmp_path / "x.html", Board((row, bare), (apart,), (NASTY,), (NASTY,)))
    assert "<script" not in page and "alert('x')" not in page
    assert page.count("&lt;script&gt;") > 15
    opened = re.findall(r"<(?!meta|br|!)([a-z]\w*)", page)
    assert sorted(opened) == sorted(re.findall(r"</(\w+)", page))  # every tag is closed


def test_reports_are_linked_from_where_the_page_is(tmp_path: Path) -> None:
    run = tmp_path / "runs" / "a run #1"
    run.mkdir(parents=True)
    (run / "report.html").touch()
    (tmp_path / "pages").mkdir()
    rows = tuple(BoardRow(str(one), "gap", BOTH, "", "", (measured(one),)) for one in (run, tmp_path / "none"))
    (link,) = re.findall('href="([^"]+)"', page_of(tmp_path / "pages" / "x.html", Board(rows)))
    assert link == "../runs/a%20run%20%231/report.html"


def test_what_is_apart_has_no_difference(tmp_path: Path) -> None:
    apart = Apart("run", "now", "model", "demo: 3 queries", {"map@100": {"public": 0.9, "private": None}}, "", ("why",))
    page = page_of(tmp_path / "x.html", Board((), (apart,)))
    assert "Measured on other data" in page and "0.9000 / \N{EN DASH}" in page and "why" in page
    assert 'class="up"' not in page and 'class="down"' not in page
    assert "Measured on other data" not in page_of(tmp_path / "y.html", Board(()))


@pytest.mark.parametrize(
    ("difference", "text"),
    [(None, ""), (0.0, "±0"), (0.00004, "±0"), (-0.00004, "±0"), (0.01, "+1.00"), (-0.12345, "-12.35")],
)
def test_points_are_hundredths(difference: float | None, text: str) -> None:
    assert points(difference) == text


def test_a_page_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(LandmarksError, match="could not write"):
        write_leaderboard(tmp_path / "nowhere" / "x.html", Board(()), "")
