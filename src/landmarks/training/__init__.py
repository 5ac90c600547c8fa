"""Runs: the Lightning module, its callbacks, evaluation, and what a run folder holds."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
