"""Comparison of runs on the same queries: differences, their intervals, and whether they are more than chance."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
