"""Objects found by a detector, and the images that it processed, on disk and in memory."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
