"""Extraction: from images to descriptors on disk, on any number of devices, resumable."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
