"""Local features: points of a picture that can be found again in another one, and what describes them."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
