import os
from pathlib import Path

from landmarks.errors import shown


def test_any_name_can_be_printed_on_one_line() -> None:
    assert shown("Tour Eiffel, été/1.jpg") == "Tour Eiffel, été/1.jpg"
    odd = shown(Path(os.fsdecode(b"a\nb\x1b[31m\xff.jpg")))
    assert odd == "a\\nb\\x1b[31m\\udcff.jpg"
    assert odd.encode()
