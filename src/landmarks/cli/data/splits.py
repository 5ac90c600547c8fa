"""What `--split train,index` means, for all commands on the data set."""

from collections.abc import Sequence
from typing import TypeVar

from landmarks.errors import LandmarksError

Name = TypeVar("Name", bound=str)


def chosen_splits(text: str, known: Sequence[Name]) -> list[Name]:
    """The splits in a list with commas, each once.

    Raises:
        LandmarksError: One of them is not known.
    """
    by_name: dict[str, Name] = {name: name for name in known}
    names = dict.fromkeys(name.strip() for name in text.split(","))
    for name in names:
        if name not in by_name:
            raise LandmarksError(f"--split {text}: {name!r} is none of {', '.join(known)}")
    return [by_name[name] for name in names]
