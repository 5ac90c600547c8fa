import io
import logging

import pytest
from rich.console import Console

from landmarks.progress import BYTES, show_progress


def shown(terminal: bool, pause: float = 0.0) -> str:
    console = Console(file=io.StringIO(), force_terminal=terminal, width=100)
    with show_progress(console, pause) as display:
        display.show("files", 1000, 3000, BYTES, "0 of 2 files")
        display.show("a.tar", 1000, 3000, BYTES)
        display.show("files", 2000, 3000, BYTES, "1 of 2 files")
        display.say("b.tar: [no] luck", "red")
        display.show("a.tar", 2000, 3000, BYTES)
        display.show("files", 0, 3000, BYTES, "1 of 2 files")  # thrown away
        display.hide("files")
        display.hide("a.tar")
        display.show("decoding images", 0, 9000, "images")
        display.bars.refresh()
        display.show("decoding images", 9000, 9000, "images")
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_lines_of_the_first_work_for_logs() -> None:
    lines = shown(terminal=False).splitlines()
    assert lines[0] == "0 of 2 files: 1.0 kB of 3.0 kB, 0 bytes/s, unknown time left"
    assert lines[1].startswith("1 of 2 files: 2.0 kB of 3.0 kB, ")
    assert lines[2] == "b.tar: [no] luck"
    assert lines[3].startswith("1 of 2 files: 0 bytes of 3.0 kB, ")
    assert lines[4].startswith("decoding images: 0 of 9,000 images, 0.0 a second, ")
    assert lines[5].startswith("decoding images: 9,000 of 9,000 images, ") and len(lines) == 6


def test_lines_are_printed_at_intervals() -> None:
    assert shown(terminal=False, pause=60).splitlines() == ["b.tar: [no] luck"]


def test_bars_for_terminals() -> None:
    text = shown(terminal=True)
    assert "a.tar" in text and "decoding images" in text and "0 of 9,000 images, 0.0 a second" in text
    assert "left" not in text


def test_a_nested_display_uses_the_outer_one() -> None:
    with show_progress(Console(file=io.StringIO())) as outer, show_progress() as inner:
        assert inner is outer
    with show_progress(Console(file=io.StringIO())) as another:
        assert another is not outer


def test_messages_of_the_log_are_lines_if_nobody_else_prints_them(monkeypatch: pytest.MonkeyPatch) -> None:
    console, logger = Console(file=io.StringIO()), logging.getLogger("landmarks.anything")
    for hears in (True, False):
        monkeypatch.setattr(logging.getLogger("landmarks"), "propagate", hears)  # pytest's handlers are above
        with show_progress(console, log_level=logging.INFO):
            logger.info("said to nobody else: %s", not hears)
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue() == "said to nobody else: True\n"
