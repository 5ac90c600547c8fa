"""Files over HTTP: fetched in pieces, verified, and resumed after any interruption."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
