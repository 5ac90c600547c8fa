"""mAP@100, GAP and their companions; the official solution and submission files.

The torchmetrics classes are in `landmarks.metrics.streaming` and are not imported here, so that scoring a
file does not wait for torch.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
