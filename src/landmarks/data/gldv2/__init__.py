"""Google Landmarks v2: its files, its tables, and the splits made of them."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
