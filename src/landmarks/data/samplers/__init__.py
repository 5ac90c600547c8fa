"""Samplers, which choose the images of every batch from (seed, epoch) alone."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
