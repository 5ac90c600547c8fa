"""Experiments in landmark retrieval and recognition: train, search, re-rank, score."""

from typing import Any

__version__ = "0.1.0"
__all__ = ["load_model", "open_model", "read_record"]


def __dir__() -> list[str]:
    return ["__version__", *__all__]


def __getattr__(name: str) -> Any:
    """Give `landmarks.open_model` and the like, without torch's seconds for those who need none of them."""
    if name in __all__:
        from landmarks.models import model_file, opened

        return getattr(opened if name == "open_model" else model_file, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
