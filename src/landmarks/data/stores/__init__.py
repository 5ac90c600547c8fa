"""Where the bytes of images are: official tars, an extracted tree, files with any names."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
