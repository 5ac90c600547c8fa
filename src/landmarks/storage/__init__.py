"""What is kept on disk: whole or not there, locked while it is written, and an error where a bit has flipped."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
