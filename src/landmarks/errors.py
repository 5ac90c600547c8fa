"""Mistakes that the person at the keyboard can mend.

Commands print these as one message without a traceback; everything else is a defect of ours and keeps its
traceback.
"""


class LandmarksError(Exception):
    """Bad input: the message names the file, row or key and says what to do."""


def shown(path: object) -> str:
    """Give a path as it can be printed: names may hold line feeds, escape sequences, and bytes that are no UTF-8."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(path))
