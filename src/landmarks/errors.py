"""Mistakes that the person at the keyboard can mend.

Commands print these as one message without a traceback; everything else is a defect of ours and keeps its
traceback.
"""


class LandmarksError(Exception):
    """Bad input: the message names the file, row or key and says what to do."""
