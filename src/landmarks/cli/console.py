"""Parts that commands share: common options, the console for messages, and the exit status after errors."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from landmarks.config import refused_by_system
from landmarks.errors import LandmarksError
from landmarks.storage import printable
from landmarks.terminal import Console

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]
Trust = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME",
        help="A network or loss of your own that the model may name, such as mynets.Net; once for each.",
        show_default=False,
    ),
]
DataRoot = Annotated[str, typer.Option("--root", help="Folder or address of the data set.", show_default=False)]


@contextmanager
def named_endings(kept: str = "Nothing was written.") -> Iterator[Console]:
    """Yield the console of stderr; exit with 2 and a message after a mistake, with 130 and `kept` after Ctrl-C."""
    stderr = Console(stderr=True, soft_wrap=True, highlight=False)
    try:
        yield stderr
    except LandmarksError as error:
        stderr.print(printable(str(error)), style="red", markup=False)
        raise typer.Exit(2) from None
    except OSError as error:
        if (refusal := refused_by_system(error)) is None:
            raise
        stderr.print(printable(refusal), style="red", markup=False)
        raise typer.Exit(2) from None
    except KeyboardInterrupt:
        stderr.print(f"Stopped. {kept}", style="yellow")
        raise typer.Exit(130) from None
