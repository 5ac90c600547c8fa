"""Arguments as Hydra's grammar of overrides takes them: it has a meaning of its own for much that paths may hold."""

import os
import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra._internal.utils import get_args_parser
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from landmarks.storage import hide

_PLAIN = re.compile(r"[./]*[A-Za-z_][\w.-]*/[\w./-]*", re.ASCII)  # paths that Hydra reads as they are
_HOME = re.compile(r"((?:^|[=\[,])['\"]?)(~[\w.-]*)(?=/|['\"]?$)")
_GRAMMAR = re.compile(r"[=,'\"\\(){}\[\]]|\$\{")


def understood(arguments: Sequence[str]) -> list[str]:
    """Prepare the arguments of a command for Hydra: its own options first, and `~` replaced by the user's folder.

    Values that the grammar cannot read, such as umlauts, are quoted; users and passwords are hidden, see `hide`.
    """
    return [_quoted_where_needed(expand_home(one)) for one in _options_first(hide(list(arguments)))]


def expand_home(argument: str) -> str:
    """Expand `~` at the start of a path, as shells do at the start of a word."""

    def home(found: re.Match[str]) -> str:
        start, name = found.groups()
        # `~key` removes a key; Path.expanduser would raise an error for unknown users
        return start + (os.path.expanduser(name) if start or name == "~" else name)  # noqa: PTH111

    return _HOME.sub(home, argument)


def quoted(value: str | Path, mark: str = "'") -> str:
    """Quote a text for Hydra's grammar of overrides; plain paths are left as they are."""
    if _PLAIN.fullmatch(str(value)):
        return str(value)
    # backslashes are doubled only before a quote
    escaped = re.sub(rf"(\\*)({mark}|\Z)", lambda found: found[1] * 2 + (f"\\{mark}" if found[2] else ""), str(value))
    return f"{mark}{escaped}{mark}"


def quoting_hint(arguments: Sequence[str], error: BaseException) -> str:
    """Return a hint on how to quote the argument that an error is about, if Hydra did not read it as one text.

    The hint is empty if quoting cannot be the problem.
    """
    said = f"{error} {error.__cause__ or ''} {getattr(error, 'override', '')}"
    sweeps = any(one in ("-m", "--multirun") for one in arguments)
    lines = []
    for argument in arguments:
        key = argument.partition("=")[0]
        if argument not in said and not re.search(rf"(?<![\w.]){re.escape(key)}(?![\w.])", said):
            continue
        if _taken_as_meant(argument, sweeps, wants_text="string" in said):
            continue
        if (text := as_text(argument)) is not None:
            lines.append(f"\nIf the value is one text, such as a path, write: {shlex.quote(text)}")
    return "".join(dict.fromkeys(lines))


def _taken_as_meant(argument: str, sweeps: bool, wants_text: bool) -> bool:
    if (found := _parsed(argument)) is None:
        return False
    if found.is_sweep_override():
        return sweeps
    value = found.value()
    return "${" not in value if isinstance(value, str) else not wants_text


def as_text(argument: str) -> str | None:
    """Return the argument with its value quoted, so that Hydra reads it as one text; None if it has no value."""
    key, equals, value = argument.partition("=")
    if not equals or not value or ("${" in value and key.startswith("hydra.")):  # see `claim_folder`
        return None
    if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"":  # quoted already, but incorrectly
        value = value[1:-1]
    literal = re.sub(r"(\\*)\$\{", r"\1\1\\${", value)
    for mark in '"', "'":
        found = f"{key}={quoted(literal, mark)}"
        if _meant(found) == value:
            return found
    return None


def _meant(argument: str) -> Any:
    """Return the value that an argument sets in a configuration; None if it sets none."""
    override = _parsed(argument)
    if override is None or override.is_sweep_override():
        return None
    try:
        return OmegaConf.create({"value": override.value()}).value
    except OmegaConfBaseException:
        return None


def _parsed(argument: str) -> Override | None:
    try:
        return OverridesParser.create().parse_override(argument)
    except HydraException:
        return None


def _quoted_where_needed(argument: str) -> str:
    value = argument.partition("=")[2]
    if argument.startswith("-") or not value or _GRAMMAR.search(value) or _parsed(argument) is not None:
        return argument
    return as_text(argument) or argument


def _options_first(arguments: list[str]) -> list[str]:
    """Put Hydra's options before the overrides, because argparse requires these to be consecutive."""
    parser, options, overrides = get_args_parser(), [], []
    takes_value = {name for action in parser._actions if action.nargs != 0 for name in action.option_strings}
    waiting = False
    for one in arguments:
        if one.startswith("-") or (waiting and "=" not in one):
            options.append(one)
        else:
            overrides.append(one)
        waiting = not waiting and one in takes_value
    return options + overrides
