"""Average precision of detected boxes as the Open Images challenges count it, and the CSV files that hold them."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
