"""Import weights of other frameworks, export models for other programs, and embed or classify single images."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
