"""Stages of retrieval: each takes the state of a search with its ranking and gives the next one."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
