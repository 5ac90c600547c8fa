"""Average precision of detected boxes as the Open Images challenges count it, and the CSV files that hold them.

The torchmetrics class is in `landmarks.detection.metrics.streaming`, and the files, which polars reads, are in
`landmarks.detection.metrics.files`; neither is imported here, so that arrays are scored without waiting for them.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
