"""Experiments in landmark retrieval and recognition: train, search, re-rank, score."""

from typing import Any

__version__ = "0.1.0"
__all__ = ["load_model", "read_record"]


def __getattr__(name: str) -> Any:
    """`landmarks.load_model` and `landmarks.read_record`, without torch's seconds for those who need neither."""
    if name in __all__:
        from landmarks.models import model_file

        return getattr(model_file, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
