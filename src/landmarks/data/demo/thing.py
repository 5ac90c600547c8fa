"""What a surface belongs to: the things in a picture that someone may want boxes around."""

from dataclasses import dataclass


@dataclass(frozen=True, eq=False)
class Thing:
    """One thing, such as one person or one house; two things are never equal.

    Attributes:
        kind: what it is, such as "person".
    """

    kind: str
