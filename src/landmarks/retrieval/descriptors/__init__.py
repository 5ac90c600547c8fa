"""Descriptor sets on disk: their protocol, writing, joining, whitening, and sets of regions."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
