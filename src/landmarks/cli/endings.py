"""How commands end when something is wrong or when they are interrupted."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import typer
from rich.console import Console

from landmarks.errors import FormatError, LandmarksError


@contextmanager
def named_endings(stderr: Console, kept: str = "Nothing was written.") -> Iterator[None]:
    """End with status 2 and a message for mistakes, with 130 and what is `kept` after Ctrl-C."""
    try:
        yield
    except (LandmarksError, FormatError) as error:
        stderr.print(str(error), style="red", markup=False, highlight=False, soft_wrap=True)
        raise typer.Exit(2) from None
    except KeyboardInterrupt:
        stderr.print(f"Stopped. {kept}", style="yellow")
        raise typer.Exit(130) from None


@contextmanager
def logged(stderr: Console) -> Iterator[None]:
    """Show what the package notes while it works."""
    logger, handler = logging.getLogger("landmarks"), logging.StreamHandler(stderr.file)
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
