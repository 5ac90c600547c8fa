"""Addresses without what only their owner may read: user, password, and what follows ? or #: tokens and signatures.

Nothing that is written or printed has them. Commands hide them before anything else looks at their arguments, and the
file that is opened at the end gets them back from a variable of this process, which those that it starts inherit.
"""

import json
import os
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

from landmarks.errors import LandmarksError

VARIABLE = "LANDMARKS_HIDDEN"
_HIDDEN = re.compile(r"\*\*\*\d*")
# What stands before the last @: no character that ends a host, or a password with some that should be %-encoded. Where
# somebody forgot the scheme, only what has a colon: folders may be called a@b.
_OWNER = re.compile(
    r"(?:(?<=://)|(?:(?<=^//)|(?<=[\s='\",(\[]//))(?=[^/?#\s@:]+:))"
    r"(?P<owner>[^/?#\s]*|[^/?#\s@:]+:(?!\d*(?:[/?#\s'\"]|$))\S*)@(?P<host>\[[\da-fA-F:.]*\](?::\d+)?|[\w.:-]*)"
)
_QUERY = re.compile(r"(?<=://)([^\s?#'\"]*[?#])[^\s'\"]*[^\s'\":;,.)]")


def printable(text: str) -> str:
    """Return text whose addresses can be read by anybody: `https://***@host/path?***`."""
    return _without(text, lambda owner, host: "***")


def hide(value: Any) -> Any:
    """Return a text, or plain values that hold texts, with addresses as `printable` has them.

    Users and passwords are kept for `owner_of` in this process and those that it starts. A second one of the same host
    is called `***2`, and so on.
    """
    if isinstance(value, str):
        return _without(value, _keep) if "//" in value else value
    if isinstance(value, dict):
        return {key: hide(one) for key, one in value.items()}
    return [hide(one) for one in value] if isinstance(value, list) else value


def owner_of(address: str) -> tuple[str, tuple[str, str] | None]:
    """Split an address into itself without its owner, and user and password; None where it has none.

    Raises:
        LandmarksError: It comes from a record, and its owner is hidden.
    """
    found = _OWNER.search(address)
    if found is None:
        return address, None
    owner, host = found["owner"], found["host"]
    plain = address[: found.start()] + address[found.start("host") :]
    if _HIDDEN.fullmatch(owner):
        if (kept := _kept().get(f"{owner}@{host}")) is None:
            raise LandmarksError(
                f"{address}: user and password are kept in no record; give them again in place of {owner}, or put them "
                f"into ~/.netrc (machine {host.rpartition(':')[0] or host} login USER password PASSWORD) and give "
                f"{plain}"
            )
        owner = kept
    user, _, password = owner.partition(":")
    return plain, (unquote(user), unquote(password))


def _without(text: str, name: Callable[[str, str], str]) -> str:
    def owner_hidden(found: re.Match[str]) -> str:
        known = _HIDDEN.fullmatch(found["owner"]) or not found["owner"]
        return f"{found['owner'] if known else name(found['owner'], found['host'])}@{found['host']}"

    return _QUERY.sub(r"\1***", _OWNER.sub(owner_hidden, text))


def _keep(owner: str, host: str) -> str:
    kept, number = _kept(), 1
    while kept.setdefault(f"{(name := '***' + (str(number) if number > 1 else ''))}@{host}", owner) != owner:
        number += 1
    os.environ[VARIABLE] = json.dumps(kept)
    return name


def _kept() -> dict[str, str]:
    found: dict[str, str] = json.loads(os.environ.get(VARIABLE, "{}"))
    return found
