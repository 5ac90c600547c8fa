"""Experiments in landmark retrieval and recognition: train, search, re-rank, score."""

import lazy_loader

__version__ = "0.1.0"

# Names are imported when they are first used, because torch alone takes seconds. `__init__.pyi` lists them.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
