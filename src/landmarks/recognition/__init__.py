"""Recognition: from nearest train images to the landmark of a query and its confidence."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
