"""The stages of a recognition pipeline, from the search in the train images to the calibrated confidence."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
