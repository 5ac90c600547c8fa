import base64
from html.parser import HTMLParser

import pytest
from PIL import Image

from landmarks.errors import LandmarksError
from landmarks.report import write_summary


class Page(HTMLParser):
    """Collects tags, sources and text, and checks that tags are closed in order."""

    def __init__(self):
        super().__init__()
        self.open, self.sources, self.cells = [], [], []

    def handle_starttag(self, tag, attributes):
        if tag not in ("meta", "img"):
            self.open.append(tag)
        self.sources += [value for key, value in attributes if key in ("src", "href")]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.cells.append(data.strip())


def test_the_page_needs_nothing_but_itself(tmp_path, stages):
    Image.new("RGB", (4, 4), "red").save(tmp_path / "curves.png")
    out = write_summary(
        tmp_path / "report.html",
        "res200 <arcmargin>",
        {"mAP@100": {"public": 0.27, "private": 0.3}},
        {"Retrieval": stages},
        {"Curves": tmp_path / "curves.png"},
        "name: <script>alert(1)</script>",
        {"queries": "<b>q.npy</b>"},
    )
    text = out.read_text(encoding="utf-8")
    assert "<script" not in text and "http" not in text
    page = Page()
    page.feed(text)
    assert page.open == []
    assert {"res200 <arcmargin>", "0.2700", "+0.0200", "-0.0100", "812", "Configuration", "<b>q.npy</b>"} <= set(
        page.cells
    )
    (source,) = page.sources
    assert base64.b64decode(source.removeprefix("data:image/png;base64,")) == (tmp_path / "curves.png").read_bytes()


def test_missing_parts_leave_no_headings(tmp_path):
    text = write_summary(tmp_path / "report.html", "run", {}).read_text(encoding="utf-8")
    assert "<h2>" not in text


def test_an_absent_image_is_an_error(tmp_path):
    with pytest.raises(LandmarksError, match=r"report\.html: could not write .*absent\.png"):
        write_summary(tmp_path / "report.html", "run", {}, images={"Curves": tmp_path / "absent.png"})
