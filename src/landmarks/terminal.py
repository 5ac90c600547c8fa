"""A rich console that prints control characters in untrusted names as text."""

import re
from collections.abc import Iterable

from rich import console as rich_console
from rich.segment import Segment

# control characters except tab and line feed, characters that change the writing direction, and invalid UTF-8 bytes
_UNSAFE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


class Console(rich_console.Console):
    """Console that prints control characters, such as escape sequences in a landmark's name, as Python escapes them."""

    def render(
        self, renderable: rich_console.RenderableType, options: rich_console.ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """Escape control characters in the text; rich adds its own sequences afterwards."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(_UNSAFE.sub(_escaped, segment.text), segment.style)


def _escaped(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode()
