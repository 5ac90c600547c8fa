"""Files and folders on disk: written atomically, locked while they are written, and checked for corruption."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
