"""Decodes images, resizes them to the input size of a network, and augments them."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
