import os
from pathlib import Path

from landmarks.errors import counted, shown


def test_any_name_can_be_printed_on_one_line() -> None:
    assert shown("Tour Eiffel, été/1.jpg") == "Tour Eiffel, été/1.jpg"
    odd = shown(Path(os.fsdecode(b"a\nb\x1b[31m\xff.jpg")))
    assert odd == "a\\nb\\x1b[31m\\udcff.jpg"
    assert odd.encode()


def test_long_lists_are_counted() -> None:
    assert counted("missing", ["a"]) == "1 missing: a"
    assert counted("extra", [str(n) for n in range(1012)]) == "1,012 extra: 0, 1, 2 and 1,009 more"
