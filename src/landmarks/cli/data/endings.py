"""How a command on the data set ends when something is wrong or when it is interrupted."""

from collections.abc import Iterator
from contextlib import contextmanager

import typer
from rich.console import Console

from landmarks.errors import LandmarksError


@contextmanager
def named_endings(stderr: Console, kept: str = "Nothing was written.") -> Iterator[None]:
    """End with status 2 and a message for mistakes, with 130 and what is `kept` after Ctrl-C."""
    try:
        yield
    except LandmarksError as error:
        stderr.print(str(error), style="red", markup=False, highlight=False, soft_wrap=True)
        raise typer.Exit(2) from None
    except KeyboardInterrupt:
        stderr.print(f"Stopped. {kept}", style="yellow")
        raise typer.Exit(130) from None
