"""Explains errors that a user can correct: ours, and those of Hydra, Lightning and the operating system."""

import errno
import re
import sys

from hydra.errors import HydraException, InstantiationException, OverrideParseException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from landmarks.config.check import suggest
from landmarks.errors import LandmarksError, shown

NO_GPU = "No supported gpu backend found"  # in Lightning's words
USER_ERRORS = (LandmarksError, HydraException, OmegaConfBaseException)
_ROOM, _RIGHT = "make room and start the same command again", "see who may write there, or name another place"
REFUSALS = {
    errno.ENOSPC: _ROOM,
    errno.EDQUOT: _ROOM,
    errno.EFBIG: _ROOM,
    errno.EROFS: _RIGHT,
    errno.EACCES: _RIGHT,
    errno.EPERM: _RIGHT,
}


def mistake_behind(error: BaseException) -> BaseException | None:
    """Return the error that explains the user's mistake best; None if `error` is a defect of ours or of a library."""
    if isinstance(error, InstantiationException):  # a constructor refused its values
        cause = error.__cause__
        of_trainer = isinstance(cause, TypeError) and "pytorch_lightning.trainer" in str(error)  # of trainer.devices
        return cause if isinstance(cause, ValueError) or of_trainer else cause and mistake_behind(cause)
    if isinstance(error, ValueError) and str(error).startswith("Config group override must be a string"):  # of Hydra
        return LandmarksError("A whole group such as logger or callbacks cannot be null: name one of its choices")
    # Lightning's error for invalid settings; if Lightning is not imported, it was not raised.
    lightning = sys.modules.get("lightning_fabric.utilities.exceptions")
    mistakes = (*USER_ERRORS, lightning.MisconfigurationException) if lightning else USER_ERRORS
    return error if isinstance(error, mistakes) or refused_by_system(error) else None


def explain(error: BaseException) -> str:
    """Return the message for an error: those of Hydra and OmegaConf are shortened and get a suggestion."""
    if isinstance(error, OSError) and (refusal := refused_by_system(error)):
        return refusal
    if not isinstance(error, (HydraException, OmegaConfBaseException)):
        hint = " There is no GPU here that torch can use: type trainer.accelerator=cpu" if NO_GPU in str(error) else ""
        return str(error) + hint
    text = str(error).strip()
    if isinstance(error, OverrideParseException):
        reason = re.sub(r"\s*See https:.*|Error parsing override .*\n", "", text)
        why = "" if "LexerNoViable" in reason else f": {reason}"  # it only points into the argument
        return f"Hydra cannot read the argument {error.override}{why}"
    cause = error.__cause__
    if isinstance(cause, OmegaConfBaseException):
        text += "\n" + str(cause).strip()
    lines = [
        line
        for line in text.splitlines()
        if not re.match(r"\s*(full_key|object_type|reference_type)\b|Set the env", line)
    ]
    missing_choice = re.search(r"Could not find '([\w/]+)/([^']+)'", text)
    options = re.findall(r"^\t(\S+)$", text, flags=re.MULTILINE)
    if missing_choice and options:
        group, choice = missing_choice.groups()
        return f"There is no {group}={choice}{suggest(choice, options)}\n{group} can be: {', '.join(options)}"
    if isinstance(cause, OmegaConfBaseException):
        parent = cause.parent_node if isinstance(cause.parent_node, DictConfig) else {}
        known = [str(key) for key in parent if key != "hydra" and not str(key).startswith("_")]
        word = re.search(r"Key '([^']+)' is not in struct", text)
        if word:
            return f"{cause.full_key}: no such key{suggest(word.group(1), known)}\nKnown here: {', '.join(known)}"
    return "\n".join(lines)


def refused_by_system(error: BaseException) -> str | None:
    """Return the message for errors of the system that users can correct, such as a full disk; None for others."""
    if not isinstance(error, OSError) or error.errno not in REFUSALS:
        return None
    where = shown(error.filename) if error.filename else "writing"
    return f"{where}: {error.strerror}. What was complete before is kept; {REFUSALS[error.errno]}."
