"""Weights of other frameworks in, models for other programs out, and what a model says of single images."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
