"""Compares measured metrics with published ones, and runs the commands that measure missing ones."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
