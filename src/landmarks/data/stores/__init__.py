"""Stores, which read the bytes of images from official tars, an extracted tree, or files with any names."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
