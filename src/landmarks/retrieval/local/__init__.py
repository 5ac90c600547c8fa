"""Retrieval with local features: their store on disk, matching, geometry, and search by votes."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
