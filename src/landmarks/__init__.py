"""Experiments in landmark retrieval and recognition: train, search, re-rank, score."""

import lazy_loader

__version__ = "0.1.0"

# Nothing is imported before it is asked for: torch alone takes seconds. The stub beside this file lists the names.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
