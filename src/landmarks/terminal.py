"""What people see in a terminal: rich's console, on which names that strangers chose cannot draw."""

import re
from collections.abc import Iterable

from rich import console as rich_console
from rich.segment import Segment

# control characters but tabs and line feeds, what turns the direction of writing, and bytes that are no UTF-8
_UNSAFE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


class Console(rich_console.Console):
    """Prints control characters, such as the escape sequences in a landmark's name, as Python writes them."""

    def render(
        self, renderable: rich_console.RenderableType, options: rich_console.ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """Make printable what rich is about to style: its own sequences come afterwards."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(_UNSAFE.sub(_escaped, segment.text), segment.style)


def _escaped(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode()
