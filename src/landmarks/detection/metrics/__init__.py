"""Average precision of detections as in the Open Images challenges, and the CSV files of boxes."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
