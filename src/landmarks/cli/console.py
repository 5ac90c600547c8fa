"""What commands share: `--json`, the data set, the console for messages, and how they end when something is wrong."""

import errno
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer
from rich.console import Console

from landmarks.errors import FormatError, LandmarksError, shown

_ROOM, _RIGHT = "make room and start the same command again", "see who may write there, or name another place"
REFUSALS = {
    errno.ENOSPC: _ROOM,
    errno.EDQUOT: _ROOM,
    errno.EFBIG: _ROOM,
    errno.EROFS: _RIGHT,
    errno.EACCES: _RIGHT,
    errno.EPERM: _RIGHT,
}

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]
DataRoot = Annotated[str, typer.Option("--root", help="Folder or address of the data set.", show_default=False)]


@contextmanager
def named_endings(kept: str = "Nothing was written.") -> Iterator[Console]:
    """Give the console of stderr; end with 2 and a message for mistakes, with 130 and what is `kept` after Ctrl-C."""
    stderr = Console(stderr=True, soft_wrap=True, highlight=False)
    try:
        yield stderr
    except (LandmarksError, FormatError) as error:
        stderr.print(str(error), style="red", markup=False)
        raise typer.Exit(2) from None
    except OSError as error:
        if (refusal := refused_by_system(error)) is None:
            raise
        stderr.print(refusal, style="red", markup=False)
        raise typer.Exit(2) from None
    except KeyboardInterrupt:
        stderr.print(f"Stopped. {kept}", style="yellow")
        raise typer.Exit(130) from None


def refused_by_system(error: BaseException) -> str | None:
    """Word what the system refuses and people can mend, such as a full disk; None for all other errors."""
    if not isinstance(error, OSError) or error.errno not in REFUSALS:
        return None
    where = shown(error.filename) if error.filename else "writing"
    return f"{where}: {error.strerror}. What was complete before is kept; {REFUSALS[error.errno]}."


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
