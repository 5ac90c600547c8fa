import io

from rich.console import Console

from landmarks.cli.data.transfer_display import TransferDisplay
from landmarks.data.gldv2.watcher import Outcome


def shown(terminal: bool, pause: float = 0.0) -> str:
    console = Console(file=io.StringIO(), force_terminal=terminal, width=100)
    with TransferDisplay(console, pause) as display:
        display.planned(2, 3000)
        display.reached("a.tar", 1000, 3000)  # of an earlier run
        display.reached("a.tar", 2000, 3000)
        display.reached("a.tar", 0, 3000)  # thrown away
        display.reached("a.tar", 3000, 3000)
        display.ended(Outcome("a.tar", "done", 3000, "md5 right"))
        display.reached("b.tar", 0, None)
        display.ended(Outcome("b.tar", "failed", 0, "b.tar: [no] luck"))
        display.ended(Outcome("c.tar", "skipped", 7, "there already"))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_lines_for_logs() -> None:
    lines = shown(terminal=False).splitlines()
    assert lines[0] == "2 files to complete, 3.0 kB to come"
    assert lines[2].startswith("0 of 2 files, 0 failed, 1.0 kB of 3.0 kB, ") and lines[2].endswith(" left")
    assert lines[4].startswith("0 of 2 files, 0 failed, 4.0 kB of 5.0 kB, ")
    assert lines[-1] == "b.tar: [no] luck"


def test_lines_come_seldom() -> None:
    assert len(shown(terminal=False, pause=60).splitlines()) == 2


def test_bars_for_terminals() -> None:
    text = shown(terminal=True)
    assert "a.tar" in text and "2 of 2 files, 1 failed" in text and "kB" in text and "0 failed," not in text
