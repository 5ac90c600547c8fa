"""Hide the secrets in addresses: user, password, and tokens and signatures after ? or #.

Files and output never contain them. Commands hide them before they process their arguments. Users and passwords are
kept in an environment variable, which child processes inherit, and are restored only when a file is opened.
"""

import json
import os
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

from landmarks.errors import LandmarksError

VARIABLE = "LANDMARKS_HIDDEN"  # environment variable with the hidden users and passwords, as JSON
_HIDDEN = re.compile(r"\*\*\*\d*")
# The owner is all text before the last @: without characters that end a host, or with a password in which they should
# have been %-encoded. Without a scheme it must have a colon, because folders may be called a@b.
_OWNER = re.compile(
    r"(?:(?<=://)|(?:(?<=^//)|(?<=[\s='\",(\[]//))(?=[^/?#\s@:]+:))"
    r"(?P<owner>[^/?#\s]*|[^/?#\s@:]+:(?!\d*(?:[/?#\s'\"]|$))\S*)@(?P<host>\[[\da-fA-F:.]*\](?::\d+)?|[\w.:-]*)"
)
_QUERY = re.compile(r"(?<=://)([^\s?#'\"]*[?#])[^\s'\"]*[^\s'\":;,.)]")


def printable(text: str) -> str:
    """Return the text with the secrets of its addresses hidden: `https://***@host/path?***`."""
    return _without(text, lambda owner, host: "***")


def hide(value: Any) -> Any:
    """Hide the secrets of addresses like `printable`, in a text or in plain values that hold texts.

    Users and passwords are kept for `owner_of`, in this process and its children. A second one for the same host
    becomes `***2`, and so on.
    """
    if isinstance(value, str):
        return _without(value, _keep) if "//" in value else value
    if isinstance(value, dict):
        return {key: hide(one) for key, one in value.items()}
    return [hide(one) for one in value] if isinstance(value, list) else value


def owner_of(address: str) -> tuple[str, tuple[str, str] | None]:
    """Split an address into the address without its owner, and user and password (None without an owner).

    Raises:
        LandmarksError: User and password are hidden and not known, because the address comes from a record.
    """
    found = _OWNER.search(address)
    if found is None:
        return address, None
    owner, host = found["owner"], found["host"]
    plain = address[: found.start()] + address[found.start("host") :]
    if _HIDDEN.fullmatch(owner):
        if (kept := _kept().get(f"{owner}@{host}")) is None:
            raise LandmarksError(
                f"{address}: records do not keep user and password; give them again in place of {owner}, or put them "
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
