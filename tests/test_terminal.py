import io

import pytest
from rich.table import Table
from rich.text import Text

from landmarks.terminal import Console

NAME = "Eiffel\x1b[2J\x1b]0;owned\x07 \x9b31m\u202e tower\udcff"


@pytest.mark.parametrize("soft_wrap", [True, False])
def test_control_characters_in_names_are_escaped(soft_wrap: bool) -> None:
    out = io.StringIO()
    console = Console(
        file=out, force_terminal=True, color_system="standard", width=200, soft_wrap=soft_wrap, highlight=False
    )
    table = Table("landmark")
    table.add_row(Text(NAME))
    console.print(table)
    console.print(f"checkpoint {NAME}\nsecond\tline", style="red", markup=False)
    with console.status(NAME):
        pass
    shown = out.getvalue()
    for sequence in ("\x1b[2J", "\x1b]", "\x9b", "\u202e", "\udcff", "\x07"):
        assert sequence not in shown
    assert r"│ Eiffel\x1b[2J\x1b]0;" in shown, "a cell is as wide as the name without what has no width"
    assert r"checkpoint Eiffel\x1b[2J\x1b]0;owned \x9b31m\u202e tower\udcff" in shown.replace(r"owned\x07", "owned")
    assert "\x1b[31mcheckpoint" in shown and "\n\x1b[31msecond" in shown, "styles and lines are as they were"
