"""Nearest neighbours: exact search with its proofs, approximate kinds, and all pairs of a set."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
