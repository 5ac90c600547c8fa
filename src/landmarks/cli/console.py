"""What commands share: `--json`, the data set, the console for messages, and how they end when something is wrong."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from landmarks.config import import_from_here
from landmarks.errors import LandmarksError, shown
from landmarks.storage import printable

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
    """Give the console of stderr; end with 2 and a message for mistakes, with 130 and what is `kept` after Ctrl-C."""
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


def trusted(names: list[str] | None) -> list[str]:
    """Return what `--trust` names, which may lie in the working directory."""
    import_from_here(names or ())
    return names or []


def refused_by_system(error: BaseException) -> str | None:
    """Word what the system refuses and people can mend, such as a full disk; None for all other errors."""
    if not isinstance(error, OSError) or error.errno not in REFUSALS:
        return None
    where = shown(error.filename) if error.filename else "writing"
    return f"{where}: {error.strerror}. What was complete before is kept; {REFUSALS[error.errno]}."


def check_new_file(path: Path, suffix: str, source: Path, overwrite: bool) -> None:
    """Refuse a file to be made of a file or folder that could not be written, before anything large is read."""
    if path.suffix != suffix:
        raise LandmarksError(f"{path}: a file of this format ends in {suffix}")
    if path.is_dir():
        raise LandmarksError(f"{path}: is a folder; give the name of the new file")
    if path.resolve() == source.resolve():
        raise LandmarksError(f"{path}: is the model itself; give another file")
    if path.exists() and not overwrite:
        raise LandmarksError(f"{path}: exists already; give another name, or --overwrite")
    if source.resolve() in path.resolve().parents:
        raise LandmarksError(f"{path}: lies in {source}, where it would pass for a variable; write it elsewhere")
    folder = next(folder for folder in path.absolute().parents if folder.exists())
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        raise LandmarksError(f"{path}: cannot be written; {folder} is no folder that you may write to")
